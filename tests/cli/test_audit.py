"""`airbundle audit`: what it prints in each of its forms, and with which code it ends."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bundler.cli import main
from tests.project import Project

Capture = pytest.CaptureFixture[str]

ROLE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: server, namespace: search}
rules: [{apiGroups: [""], resources: [pods], verbs: ["*"]}]
"""


def audit(path: Path, *options: str) -> int:
    return main.run(["audit", str(path), *options])


@pytest.fixture
def bad(project: Project) -> Project:
    """The project with a role that may do everything."""
    project.write("base/role.yaml", ROLE)
    project.edit("base/kustomization.yaml", "config.yaml,", "config.yaml, role.yaml,")
    return project


def test_a_spec_whose_gate_is_open(project: Project, capsys: Capture) -> None:
    assert audit(project.spec) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "movie-search 1.4.0: a spec, not built yet"
    assert lines[-1] == "the gate is open"
    assert "target dev" in lines
    assert "    Deployment search/server" in lines
    assert "  models/mini: pickle read 3 files, safetensors read 1 file" in lines


def test_a_spec_whose_gate_is_shut_is_exit_5_and_each_finding_is_told_once(
    bad: Project, capsys: Capture
) -> None:
    assert audit(bad.spec) == 5
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[-1] == "the gate is shut: 1 to mend or to waive"
    assert lines[-4:-2] == [
        "findings",
        "  targets/dev, targets/site: rights: Role search/server: "
        "/rules/0/verbs/0: '*' stands for all verbs",
    ]
    assert lines[-2].startswith("    hint: name the verbs")
    assert "error" not in shown.err


def test_a_bundle_needs_somebody_to_trust(
    project: Project, tmp_path: Path, capsys: Capture
) -> None:
    project.build(tmp_path / "bundle.tar")
    assert audit(tmp_path / "bundle.tar") == 4
    assert "expected exactly one of --trust, --key and --allow-unsigned" in capsys.readouterr().err
    assert audit(tmp_path / "bundle.tar", "--allow-unsigned", "--target", "site") == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("movie-search 1.4.0: UNSIGNED\n")
    assert "target site" in shown.out
    assert "target dev" not in shown.out


@pytest.mark.parametrize(
    "options", [("--json",), ("--format", "json"), ("--json", "--format=text")]
)
def test_json_is_all_that_it_prints(
    bad: Project, capsys: Capture, options: tuple[str, ...]
) -> None:
    assert audit(bad.spec, *options) == 5
    audited = json.loads(capsys.readouterr().out)
    assert audited["name"] == "movie-search"
    [found] = audited["findings"]["targets/dev"]
    assert (found["rule"], found["severity"]) == ("rights", "error")
    assert audited["targets"]["dev"]["rights"] == ["Role search/server: * pods"]
    assert audited["images"][0]["platforms"].keys() == {"linux/amd64"}


def test_sarif_names_the_rule_and_the_object(bad: Project, capsys: Capture) -> None:
    assert audit(bad.spec, "--format", "sarif") == 5
    [run] = json.loads(capsys.readouterr().out)["runs"]
    assert {result["ruleId"] for result in run["results"]} == {"rights"}
    assert run["tool"]["driver"]["name"] == "airbundle"


def test_junit_counts_what_shuts_the_gate(bad: Project, capsys: Capture) -> None:
    assert audit(bad.spec, "--format", "junit") == 5
    suites = ElementTree.fromstring(capsys.readouterr().out)
    assert len(suites.findall(".//failure")) == 2  # one for each target


def test_a_form_that_is_none_is_refused(project: Project, capsys: Capture) -> None:
    assert audit(project.spec, "--format", "html") == 2
    assert "'html' is not one of" in capsys.readouterr().err


def test_a_spec_is_what_no_bundle_is(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "bundle.tar"
    path.write_bytes(b"PK\x03\x04")
    assert audit(path) == 2
    assert "bundle.tar:" in capsys.readouterr().err


@pytest.mark.usefixtures("real_checkov")
def test_checkov_has_its_word(project: Project, capsys: Capture) -> None:
    assert audit(project.spec, "--json") == 5
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert "CKV_K8S_22" in {found["rule"] for found in findings["checkov/dev"]}
    assert findings["checkov/dev"] == findings["checkov/site"]


def test_the_bill_of_materials_is_that_of_the_bundle(
    project: Project, tmp_path: Path, capsys: Capture
) -> None:
    project.build(tmp_path / "bundle.tar")
    assert audit(project.spec, "--format", "cyclonedx") == 0
    of_spec = capsys.readouterr().out
    assert audit(tmp_path / "bundle.tar", "--allow-unsigned", "--format", "cyclonedx") == 0
    assert capsys.readouterr().out == of_spec
    names = {component["name"] for component in json.loads(of_spec)["components"]}
    assert {"mini", "data"} <= names


def test_a_name_that_ends_a_line_begins_no_other(project: Project, capsys: Capture) -> None:
    role = ROLE.replace("resources: [pods]", 'resources: ["pods\\n::stop-commands::x"]')
    project.write("base/role.yaml", role)
    project.edit("base/kustomization.yaml", "config.yaml,", "config.yaml, role.yaml,")
    assert audit(project.spec) == 5
    lines = capsys.readouterr().out.splitlines()
    assert not any(line.startswith("::") for line in lines)
    assert "    Role search/server: * pods\\n::stop-commands::x" in lines


def test_skipped_checks_and_waivers_that_ended_are_told(project: Project, capsys: Capture) -> None:
    project.write("base/role.yaml", ROLE)
    project.edit("base/kustomization.yaml", "config.yaml,", "config.yaml, role.yaml,")
    policy = project.folder / "policies/default.yaml"
    project.write(
        "policies/default.yaml",
        f"{policy.read_text()}skip: [{{check: CKV_K8S_15, reason: by digest}}]\n"
        "waivers: [{rule: rights, object: 'Role *', owner: Jo, reason: x, until: '2020-01-01'}]\n",
    )
    assert audit(project.spec) == 5
    text = capsys.readouterr().out
    assert "skipped\n  CKV_K8S_15: by digest\n" in text
    assert "stands for all verbs (the waiver of Jo ended on 2020-01-01)\n" in text


def test_without_a_spec_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.run(["audit"]) == 2
    assert "error: bundle.yaml: expected a spec, found none\nhint: cd into" in (
        capsys.readouterr().err
    )
