"""What the store remembers of scanners: the same question is asked once, another one anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bundler.archive.store import Store
from bundler.core.bom.packages import ImagePackages
from bundler.core.documents.policy import Policy
from bundler.core.errors import PolicyError
from bundler.core.findings import Finding
from bundler.core.objects.manifests import JsonObject
from bundler.core.progress import SILENT
from bundler.inputs import scanning
from bundler.inputs.inputs import Inputs
from bundler.inputs.judge import judge, require_open
from bundler.inputs.resolve import fetch, resolve
from bundler.scan.checkov import CheckovResult
from bundler.scan.packages import LayerSubject, scan_layers
from tests.making import tar_of
from tests.project import IMAGE, METADATA, PACKAGE, TODAY, Project, write_layout

FOUND = Finding("CKV_K8S_20", "error", "Deployment search/server", "/spec: too much")


@dataclass
class Asked:
    """A checkov that answers with `findings` about every target, and counts."""

    findings: tuple[Finding, ...] = (FOUND,)
    times: int = 0
    checks: list[Mapping[str, bytes]] = field(default_factory=list)

    def __call__(
        self,
        targets: Mapping[str, Sequence[JsonObject]],
        policy: Policy,
        checks: Mapping[str, bytes],
    ) -> CheckovResult:
        self.times += 1
        self.checks.append(checks)
        return CheckovResult(
            dict.fromkeys(targets, self.findings),
            {target: len(objects) for target, objects in targets.items()},
            frozenset({"CKV_K8S_20", "CKV_K8S_15"}),
        )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    found = Asked()
    monkeypatch.setattr(scanning, "run_checkov", found)
    return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "own-store")


def inputs_of(project: Project, store: Store) -> Inputs:
    inputs = resolve(project.spec, store, SILENT)
    fetch(inputs, store, SILENT)
    return inputs


def policy(project: Project, text: str) -> None:
    path = project.folder / "policies/default.yaml"
    project.write("policies/default.yaml", f"{path.read_text()}{text}")


# --- checkov ----------------------------------------------------------------------------------


def test_what_checkov_finds_shuts_the_gate(project: Project, store: Store, asked: Asked) -> None:
    inputs = inputs_of(project, store)
    judged = judge(inputs, TODAY, store)
    assert judged.findings["checkov/dev"] == (FOUND,)
    assert judged.scanned["checkov/site"] == {"objects": 3}
    with pytest.raises(PolicyError, match=r"checkov/dev, checkov/site: CKV_K8S_20: Deployment"):
        require_open(judged)


def test_what_checkov_finds_is_waived_by_its_check(
    project: Project, store: Store, asked: Asked
) -> None:
    policy(
        project,
        "waivers: [{rule: CKV_K8S_20, object: 'Deployment search/*', owner: Jo, reason: known, "
        'until: "2026-12-31"}]\n',
    )
    inputs = inputs_of(project, store)
    require_open(judge(inputs, TODAY, store))
    with pytest.raises(PolicyError, match="the waiver of Jo ended on 2026-12-31"):
        require_open(judge(inputs, "2027-01-01", store))


def test_it_is_asked_once_for_the_same(project: Project, store: Store, asked: Asked) -> None:
    first = judge(inputs_of(project, store), TODAY, store)
    assert judge(inputs_of(project, store), TODAY, store) == first
    assert asked.times == 1


def another_object(project: Project) -> None:
    project.edit("base/config.yaml", "mode: fast", "mode: exact")
    project.edit("bundle.yaml", "default: fast", "default: exact")


def another_check(project: Project) -> None:
    project.write("policies/checks/own.yaml", "metadata: {id: CKV_TEAM_2}\n")


CHANGES: dict[str, Callable[[Project], None]] = {
    "an object": another_object,
    "a default": lambda project: project.edit("bundle.yaml", "default: fast", "default: exact"),
    "a skipped check": lambda project: policy(
        project, "skip: [{check: CKV_K8S_15, reason: by digest}]\n"
    ),
    "a check of our own": another_check,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_it_is_asked_anew_when_something_is_another(
    project: Project, store: Store, asked: Asked, change: Callable[[Project], None]
) -> None:
    policy(project, "checks: checks\n")
    project.write("policies/checks/own.yaml", "metadata: {id: CKV_TEAM_1}\n")
    judge(inputs_of(project, store), TODAY, store)
    change(project)
    judge(inputs_of(project, store), TODAY, store)
    assert asked.times == 2


def test_checks_are_given_by_their_names_and_locked(
    project: Project, store: Store, asked: Asked
) -> None:
    policy(project, "checks: checks\n")
    project.write("policies/checks/own.yaml", "metadata: {id: CKV_TEAM_1}\n")
    project.write("policies/checks/__pycache__/own.pyc", b"\0")
    inputs = inputs_of(project, store)
    judge(inputs, TODAY, store)
    assert [sorted(each) for each in asked.checks] == [["own.yaml"]]
    assert set(inputs.lock.policies) == {"policies/default.yaml", "policies/checks/own.yaml"}
    assert inputs.sources["policies/checks/own.yaml"] == b"metadata: {id: CKV_TEAM_1}\n"


def test_an_answer_that_is_none_is_asked_for_anew(
    project: Project, store: Store, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "recall", lambda key: b'{"findings": 7}')
    judge(inputs_of(project, store), TODAY, store)
    assert asked.times == 1


# --- images -----------------------------------------------------------------------------------


def test_layers_are_read_once(
    project: Project, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def watched(name: str, layers: Sequence[LayerSubject]) -> ImagePackages:
        read.append(name)
        return scan_layers(name, layers)

    monkeypatch.setattr(scanning, "scan_layers", watched)
    first = judge(inputs_of(project, store), TODAY, store)
    assert judge(inputs_of(project, store), TODAY, store).packages == first.packages
    assert read == [f"{IMAGE} (linux/amd64)"]
    [packages] = first.packages[IMAGE].values()
    assert [(each.name, each.version) for each in packages.packages] == [("server", "1.0")]


def test_packages_that_cannot_be_read_shut_the_gate(project: Project, store: Store) -> None:
    broken = METADATA.replace(b"Name: server\n", b"")
    write_layout(project.folder / "image", tar_of({PACKAGE: broken}))
    inputs = inputs_of(project, store)
    with pytest.raises(PolicyError, match=rf"images/{IMAGE}: packages: images/{IMAGE}: "):
        require_open(judge(inputs, TODAY, store))
