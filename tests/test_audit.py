"""`audit`: a spec and the bundle that it becomes are seen alike, and judged alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bundler.archive import assembly, writer
from bundler.audit import Audited, audit_bundle, audit_spec
from bundler.core import strictjson
from bundler.core.errors import BundlerError, IntegrityError, UsageError
from bundler.core.progress import SILENT
from bundler.sign.open import open_bundle
from tests.project import IMAGE, MODEL, TODAY, Project

ROLE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: server, namespace: search}
rules: [{apiGroups: [""], resources: [pods], verbs: ["*"]}]
"""
WAIVER = """\
waivers:
  - rule: rights
    object: Role search/server
    owner: Jo
    reason: for a test
    until: "2026-12-31"
"""


def contents(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


def of_spec(project: Project, target: str | None = None, today: str = TODAY) -> Audited:
    return audit_spec(project.spec, today, project.store, SILENT, target)


def of_bundle(project: Project, output: Path, target: str | None = None) -> Audited:
    project.build(output)
    with open_bundle(output, None) as bundle:
        return audit_bundle(bundle, target)


def with_role(project: Project) -> None:
    project.write("base/role.yaml", ROLE)
    project.edit("base/kustomization.yaml", "config.yaml,", "config.yaml, role.yaml,")


def test_nothing_is_written_beside_the_spec(project: Project) -> None:
    before = contents(project.folder)
    assert of_spec(project).blocking == ()
    assert contents(project.folder) == before


def test_a_spec_is_shown_as_it_is_written(project: Project) -> None:
    audited = of_spec(project)
    assert (audited.status, audited.name, audited.version) == ("SPEC", "movie-search", "1.4.0")
    assert [model.name for model in audited.models] == ["mini"]
    assert [image.name for image in audited.images] == [IMAGE]
    assert sorted(audited.targets) == ["dev", "site"]
    assert audited.targets["dev"].images == (MODEL, IMAGE)
    assert audited.scanned["models/mini"]["safetensors"] == 1


def test_a_bundle_is_shown_by_digest_and_says_what_its_scanners_read(
    project: Project, tmp_path: Path
) -> None:
    spec, bundle = of_spec(project), of_bundle(project, tmp_path / "bundle.tar")
    assert (bundle.status, bundle.scanned) == ("UNSIGNED", spec.scanned)
    assert bundle.targets["dev"].objects == spec.targets["dev"].objects
    assert [name.partition("@")[0] for name in bundle.targets["dev"].images] == [
        "registry.airbundle.invalid/models/mini",
        "registry.airbundle.invalid/registry.corp_5000/team/server",
    ]


def test_findings_of_a_spec_are_returned_and_do_not_end_it(project: Project) -> None:
    with_role(project)
    audited = of_spec(project)
    assert {(found.rule, found.subject) for found in audited.blocking} == {
        ("rights", "Role search/server")
    }
    assert "Role search/server: * pods" in audited.targets["site"].rights


def test_what_a_policy_waives_is_shown_and_does_not_block(project: Project, tmp_path: Path) -> None:
    with_role(project)
    project.write("policies/default.yaml", (project.folder / "policies/default.yaml").read_text()
                  + WAIVER)  # fmt: skip
    for audited in (of_spec(project), of_bundle(project, tmp_path / "bundle.tar")):
        assert audited.blocking == ()
        [found] = [each for each in audited.findings["targets/dev"] if each.rule == "rights"]
        assert found.waiver is not None
        assert found.waiver.owner == "Jo"


def test_a_waiver_has_a_last_day_for_a_spec_and_none_for_what_was_built(
    project: Project, tmp_path: Path
) -> None:
    with_role(project)
    policy = project.folder / "policies/default.yaml"
    project.write("policies/default.yaml", policy.read_text() + WAIVER)
    assert of_spec(project, today="2027-01-01").blocking != ()
    assert of_bundle(project, tmp_path / "bundle.tar").blocking == ()


def with_report(project: Project, path: Path, change: Callable[[Any], object]) -> Audited:
    """The audit of the bundle with another report in it, as another tool might have written it."""
    write = assembly.assemble

    def changed(draft: assembly.Draft, digests: Any) -> assembly.Assembly:
        report = json.loads(draft.report)
        change(report)
        return write(replace(draft, report=strictjson.canonical(report)), digests)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writer, "assemble", changed)
        return of_bundle(project, path)


LIES: dict[str, tuple[Callable[[Any], object], set[str]]] = {
    "nothing": (
        lambda report: (report.pop("scanned"), report.update(findings={})),
        {"checkov/dev", "checkov/site", "models/mini", f"images/{IMAGE}"},
    ),
    "no object": (
        lambda report: report["scanned"]["checkov/dev"].update(objects=0), {"checkov/dev"},
    ),
    "an object less": (
        lambda report: report["scanned"]["checkov/dev"].update(objects=2), {"checkov/dev"},
    ),
    "no file of a model": (
        lambda report: report["scanned"].update({"models/mini": {"pickle": 0}}), {"models/mini"},
    ),
    "no word of what checkov found": (
        lambda report: report["findings"].pop("checkov/site"), {"checkov/site"},
    ),
    "no image": (
        lambda report: report["scanned"].pop(f"images/{IMAGE}"), {f"images/{IMAGE}"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "where"), LIES.values(), ids=list(LIES))
def test_a_report_that_does_not_say_that_all_was_looked_at_shuts_the_gate(
    project: Project, tmp_path: Path, change: Callable[[Any], object], where: set[str]
) -> None:
    audited = with_report(project, tmp_path / "bundle.tar", change)
    assert {found.subject for found in audited.blocking} == where
    assert {found.rule for found in audited.blocking} == {"report"}


def test_parameters_of_a_bundle_are_judged_anew(project: Project, tmp_path: Path) -> None:
    def silent(report: Any) -> None:
        report["findings"]["parameters"] = [
            {"rule": "parameters", "severity": "error", "subject": "x", "message": "told"}
        ]

    audited = with_report(project, tmp_path / "bundle.tar", silent)
    assert audited.findings["parameters"] == ()


def test_a_bill_of_materials_that_is_none_is_refused(project: Project, tmp_path: Path) -> None:
    write = assembly.assemble
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            writer,
            "assemble",
            lambda draft, digests: write(replace(draft, bom=b'{"bomFormat": "SPDX"}'), digests),
        )
        with pytest.raises(IntegrityError, match=r"bom\.cdx\.json: expected CycloneDX"):
            of_bundle(project, tmp_path / "bundle.tar")


def test_one_target_alone(project: Project, tmp_path: Path) -> None:
    for audited in (of_spec(project, "site"), of_bundle(project, tmp_path / "b.tar", "site")):
        assert list(audited.targets) == ["site"]
        assert "targets/site" in audited.findings
        assert "targets/dev" not in audited.findings
        assert "models/mini" in audited.findings


def test_a_target_that_is_none_is_refused(project: Project, tmp_path: Path) -> None:
    problem = r"target 'moon': there is dev, site"
    with pytest.raises(UsageError, match=problem):
        of_spec(project, "moon")
    with pytest.raises(UsageError, match=problem):
        of_bundle(project, tmp_path / "bundle.tar", "moon")


def test_a_lock_that_does_not_fit_is_refused(project: Project, tmp_path: Path) -> None:
    project.build(tmp_path / "bundle.tar")
    project.write("data/train.jsonl", '{"text": "another film"}\n')
    with pytest.raises(BundlerError, match=r"bundle\.lock: does not fit any more"):
        of_spec(project)
