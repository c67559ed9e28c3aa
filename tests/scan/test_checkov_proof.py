"""A checkov that is missing, fails, or saw less than it was given: nothing it says is believed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bundler.core.documents.policy import Policy
from bundler.core.errors import BundlerError, PolicyError, ToolError
from bundler.core.objects.manifests import JsonObject
from bundler.scan.checkov import scan_objects
from bundler.scan.checkov_proof import check_files, require_checks
from bundler.tools.checkov import Scan, find_checkov

POLICY = Policy(checks="checks")
POD: JsonObject = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "serving", "labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "x:1"}], "priorityClassName": "a"},
}
PYTHON = """\
from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.kubernetes.checks.resource.base_spec_check import BaseK8Check

class Team(BaseK8Check):
    def __init__(self, check_id):
        super().__init__("team", check_id, (CheckCategories.KUBERNETES,), ("Pod",))

    def scan_spec_conf(self, conf):
        {body}

check = Team("{id}")
"""
YAML = """\
metadata: {{id: {id}, name: team, category: KUBERNETES}}
definition:
  cond_type: attribute
  resource_types: [Pod]
  attribute: spec.priorityClassName
  operator: {operator}
  value: "["
"""


def python(check_id: str, body: str = "return CheckResult.PASSED") -> bytes:
    return PYTHON.format(id=check_id, body=body).encode()


def graph(check_id: str, operator: str = "equals") -> bytes:
    return YAML.format(id=check_id, operator=operator).encode()


def scan(checks: Mapping[str, bytes] = {}, path: str | None = None) -> None:
    scan_objects({"site": [POD]}, POLICY, checks, path=path)


# ---- files of checks, before anything is run ----


@pytest.mark.parametrize("name", ["a.yml", "a.json", "A.py", "b/a.py", "a-b.py", ".py", "notes"])
def test_a_file_that_would_be_left_out_is_refused(name: str) -> None:
    with pytest.raises(PolicyError, match=f"checks/{name}: is no file of checks"):
        check_files(POLICY, {name: b""})


def test_what_is_no_check_may_lie_beside_them() -> None:
    others = {"README.md": b"", "__init__.py": b"", "__pycache__/a.cpython-311.pyc": b""}
    assert check_files(POLICY, {"a.py": b"", "b.yaml": b"", **others}) == {
        "a.py": b"", "b.yaml": b"",
    }  # fmt: skip


@pytest.mark.parametrize(("targets", "named"), [({}, "every target"), ({"dev": []}, "dev")])
def test_nothing_to_look_at_is_refused(targets: dict[str, list[JsonObject]], named: str) -> None:
    with pytest.raises(PolicyError, match=f"{named}: expected at least one object, found none"):
        scan_objects(targets, POLICY, {})


# ---- checks that are not asked as they should be, on the real program ----

WRONG = {
    "broken.py": b"import nosuch\n",
    "half.py": python("CKV_TEAM_1") + b"raise ValueError\n",
    "nothing.py": b"x = 1\n",
    "own.py": python("CKV_K8S_16"),
    "own_graph.yaml": graph("CKV2_K8S_6"),
    "lower.py": python("team-2"),
    "operator.yaml": graph("CKV_TEAM_3", "nosuch"),
    "list.yaml": b"[1]\n",
    "first.py": python("CKV_TEAM_4"),
    "second.yaml": graph("CKV_TEAM_4"),
    "right.py": python("CKV_TEAM_5", "return CheckResult.FAILED"),
    "right.yaml": graph("CKV_TEAM_6"),
}


@pytest.fixture(scope="module")
def wrong() -> Scan:
    """What checkov makes of all of them in one run."""
    return find_checkov().scan({"0/0.json": POD}, WRONG, [])


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("broken.py", "broken.py: holds no check that checkov can load"),
        ("nothing.py", "nothing.py: holds no check that checkov can load"),
        ("own.py", "own.py: CKV_K8S_16 is checkov's own already"),
        ("own_graph.yaml", "own_graph.yaml: CKV2_K8S_6 is checkov's own already"),
        ("lower.py", "lower.py: 'team-2' is no id such as CKV_TEAM_1"),
        ("operator.yaml", "operator.yaml: holds no check that checkov can load"),
        ("list.yaml", "list.yaml: holds no check that checkov can load"),
        ("first.py", "first.py: CKV_TEAM_4 is another file's already"),
        ("second.yaml", "second.yaml: CKV_TEAM_4 is another file's already"),
    ],
    ids=lambda text: text.partition(":")[0],
)
def test_a_check_that_is_not_asked_is_refused(wrong: Scan, file: str, problem: str) -> None:
    with pytest.raises(PolicyError) as caught:
        require_checks(POLICY, [file], replace(wrong, complaints=()))
    assert caught.value.message == f"checks/{problem}"


@pytest.mark.parametrize(
    "complaint",
    [
        "Cannot load external check 'broken' from ../checks/broken.py: "
        "ModuleNotFoundError(\"No module named 'nosuch'\")",
        "Cannot load external check 'half' from ../checks/half.py: ValueError()",
        "check CKV_K8S_16 of own.py is not asked",
    ],
    ids=["broken", "half", "not asked"],
)
def test_whatever_checkov_complains_of_is_refused(wrong: Scan, complaint: str) -> None:
    assert complaint in wrong.complaints
    with pytest.raises(PolicyError) as caught:
        require_checks(POLICY, [], replace(wrong, complaints=(complaint,)))
    assert caught.value.message == f"checks: checkov complains: {complaint}"


def test_right_checks_are_asked(wrong: Scan) -> None:
    require_checks(POLICY, ["right.py", "right.yaml"], replace(wrong, complaints=()))
    assert {"CKV_TEAM_5", "CKV_TEAM_6"} <= {each.check for each in wrong.failures}


def test_what_nobody_skips_is_asked(wrong: Scan) -> None:
    assert any(each.check == "CKV_K8S_15" for each in wrong.failures)


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        (
            {"team.py": python("CKV_TEAM_1", "1 / (conf['metadata']['name'] == 'probe')")},
            "Failed to run check CKV_TEAM_1 on Pod serving/web:Pod.Pod: ZeroDivisionError",
        ),
        ({"team.yaml": graph("CKV_TEAM_1", "cidr_range_subset")}, "'[' does not appear to be"),
    ],
    ids=["an object's", "a graph's"],
)
def test_a_check_that_fails_fails_the_run(checks: Mapping[str, bytes], told: str) -> None:
    with pytest.raises(ToolError) as caught:
        scan(checks)
    assert told in caught.value.message
    assert "airbundle-" not in caught.value.message


# ---- programs that are no checkov ----


def report(**changes: Any) -> dict[str, Any]:
    """What a checkov that saw the pod says, and changes to it."""
    said = json.dumps({"own": ["CKV_K8S_16"], "extra": {}, "complaints": []})

    def failed(check: str, file: str, *places: str) -> dict[str, Any]:
        result = {"evaluated_keys": list(places)}
        return {"check_id": check, "check_name": "n", "file_path": file, "check_result": result}

    failures = {
        "answer": failed("AIRBUNDLE_PROBE", "/probe/0.json", said),
        "probe": failed("CKV_K8S_16", "/probe/0.json"),
        "seen": failed("AIRBUNDLE_PROBE", "/0/0.json"),
        "found": failed("CKV_K8S_16", "/0/0.json"),
    }
    kept = [each for name, each in failures.items() if changes.get(name, True)]
    version = {"checkov_version": changes.get("version", "3.3.30")}
    return {"results": {"failed_checks": kept}, "summary": version}


@pytest.fixture
def fake(tmp_path: Path) -> Callable[..., str]:
    """`fake(report, then="exit 1")`: the folder of a checkov that answers so."""

    def write(answer: object, then: str = "exit 0", version: str = "3.3.30") -> str:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        (tmp_path / "answer").write_text(text)
        program = tmp_path / "checkov"
        program.write_text(
            f"#!/bin/sh\nif [ $1 = --version ]; then echo {version}; exit 0; fi\n"
            f"/bin/cat {tmp_path}/answer\n{then}\n"
        )
        program.chmod(0o755)
        return str(tmp_path)

    return write


def test_the_fake_is_believed_when_it_saw_everything(fake: Callable[..., str]) -> None:
    found = scan_objects({"site": [POD]}, POLICY, {}, path=fake(report()))
    assert [each.rule for each in found.findings["site"]] == ["CKV_K8S_16"]


@pytest.mark.parametrize(
    ("answer", "then", "kind", "problem"),
    [
        (report(), "exit 1", ToolError, "expected exit status 0, found 1"),
        (report(), "kill -9 $$", ToolError, "expected exit status 0, found -9"),
        ("", "", ToolError, "expected a report with the probe's answer, found b''"),
        ("By Prisma Cloud", "", ToolError, "found b'By Prisma Cloud'"),
        ([report()], "", ToolError, "expected a report with the probe's answer"),
        ({"passed": 0, "failed": 0}, "", ToolError, "expected a report with the probe's answer"),
        (report(answer=False), "", ToolError, "expected a report with the probe's answer"),
        (report(version="3.3.0"), "", ToolError, "expected version 3.3.30, as it is installed"),
        (report(probe=False), "", ToolError, "expected it to find fault with a privileged pod"),
        (report(seen=False), "", PolicyError, "checkov did not look at Pod serving/web"),
    ],
    ids=[
        "fails",
        "killed",
        "says nothing",
        "no report",
        "more than one",
        "nothing scanned",
        "without the probe",
        "another version",
        "finds nothing",
        "not looked at",
    ],
)
def test_a_run_that_proves_nothing_is_refused(
    fake: Callable[..., str], answer: object, then: str, kind: type[BundlerError], problem: str
) -> None:
    with pytest.raises(kind) as caught:
        scan(path=fake(answer, then))
    assert problem in caught.value.message


def test_a_missing_checkov_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="found neither beside this Python nor on PATH") as caught:
        scan(path=str(tmp_path))
    assert caught.value.hint is not None
    assert "pip install '.[build]' in a clone" in caught.value.hint


def test_a_version_that_is_none_is_told(fake: Callable[..., str]) -> None:
    with pytest.raises(ToolError, match="expected its version, found 'not today'"):
        scan(path=fake(report(), version="not today"))


def test_what_was_not_looked_at_is_named_up_to_a_point(fake: Callable[..., str]) -> None:
    pods = [{**POD, "metadata": {**POD["metadata"], "name": f"p{n}"}} for n in range(9)]
    with pytest.raises(PolicyError, match=r"Pod serving/p1, .*, Pod serving/p5 and 3 more"):
        scan_objects({"site": pods}, POLICY, {}, path=fake(report()))
