"""SARIF: what the schema and SARIF's own validator accept, and what code scanning needs of it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bundler import __version__
from bundler.core.reports.sarif import sarif
from tests.core.reported import FINDINGS, FOREIGN, HOST, HOSTILE, WAIVED, WARNING
from tests.parts import sarif as part

SPEC = "deploy/movie search/bundle.yaml"


def run_of(text: str) -> dict[str, Any]:
    (run,) = json.loads(text)["runs"]
    assert isinstance(run, dict)
    return run


def results(text: str) -> dict[str, dict[str, Any]]:
    """By rule; of several the last."""
    return {result["ruleId"]: result for result in run_of(text)["results"]}


# --- what others say of it ----------------------------------------------------------------------

LOGS = {
    "everything": sarif(FINDINGS, SPEC),
    "without a file": sarif(FINDINGS),
    "nothing": sarif({"targets/dev": ()}, SPEC),
}


@pytest.mark.needs("sarif")
@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
def test_it_is_what_the_schema_says(log: str) -> None:
    schema = json.loads(part.schema().read_text())
    validator = jsonschema.validators.validator_for(schema)
    assert [error.message for error in validator(schema).iter_errors(json.loads(log))] == []


@pytest.mark.needs("sarif")
def test_the_schema_refuses_what_is_wrong() -> None:
    schema = json.loads(part.schema().read_text())
    log = json.loads(LOGS["everything"])
    log["runs"][0]["results"][0]["level"] = "fatal"
    validator = jsonschema.validators.validator_for(schema)
    assert not validator(schema).is_valid(log)


def validate(log: str, folder: Path) -> set[str]:
    """The ids of the errors of SARIF's own validator, GitHub's rules included."""
    (folder / "log.sarif").write_text(log)
    argv: list[str | Path] = [part.program(), "validate", "log.sarif", "--rule-kind", "Sarif;Gh"]
    done = subprocess.run(
        argv,
        cwd=folder,
        env={"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Done. 1 files scanned." in done.stdout, done.stdout + done.stderr
    return set(re.findall(r": error (\w+)", done.stdout))


@pytest.mark.needs("sarif")
def test_the_validator_and_github_accept_it(tmp_path: Path) -> None:
    assert validate(LOGS["everything"], tmp_path) == set()


@pytest.mark.needs("sarif")
def test_the_validator_refuses_what_github_does(tmp_path: Path) -> None:
    log = LOGS["everything"].replace('"locations"', '"relatedLocations"')
    assert "GH1015" in validate(log, tmp_path)


# --- what is in it ------------------------------------------------------------------------------


def test_the_tool_and_its_rules_are_described() -> None:
    driver = run_of(LOGS["everything"])["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("airbundle", __version__)
    rules = {rule["id"]: rule for rule in driver["rules"]}
    assert list(rules) == sorted({each.rule for group in FINDINGS.values() for each in group})
    assert "outside of the cluster" in rules["external-host"]["shortDescription"]["text"]
    assert "allowHosts" in rules["external-host"]["help"]["text"]
    levels = {name: rule["defaultConfiguration"]["level"] for name, rule in rules.items()}
    assert (levels["external-host"], levels["license"]) == ("error", "warning")
    for result in run_of(LOGS["everything"])["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_finding_is_one_result_with_all_its_places() -> None:
    (result,) = run_of(sarif({"targets/a": [HOST], "targets/b": [HOST]}, SPEC))["results"]
    assert result["message"]["text"] == (
        "Deployment serving/web: /spec/x: names the host 'hub.example.com'. "
        "To do: list it under allowHosts."
    )
    (location,) = result["locations"]
    assert [each["fullyQualifiedName"] for each in location["logicalLocations"]] == [
        "targets/a/Deployment serving/web",
        "targets/b/Deployment serving/web",
    ]
    assert location["logicalLocations"][0]["name"] == HOST.subject


@pytest.mark.parametrize(
    ("rule", "uri"),
    [
        (HOST.rule, "deploy/movie%20search/overlays/dev/kustomization.yaml"),
        (FOREIGN.rule, "deploy/movie%20search/overlays/dev/kustomization.yaml"),
        (WARNING.rule, "deploy/movie%20search/bundle.yaml"),
    ],
)
def test_a_result_names_the_file_to_begin_with(rule: str, uri: str) -> None:
    (location,) = results(LOGS["everything"])[rule]["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == uri


def test_without_a_spec_there_is_no_file() -> None:
    assert "physicalLocation" not in LOGS["without a file"]


def test_a_waived_finding_is_suppressed_with_reason_and_owner() -> None:
    waived = results(LOGS["everything"])[WAIVED.rule]
    assert waived["level"] == "error"
    assert waived["suppressions"] == [
        {
            "kind": "external",
            "status": "accepted",
            "justification": 'it "is" needed (Jo of the <platform> team)',
        }
    ]
    assert "suppressions" not in results(LOGS["everything"])[HOST.rule]
    assert "2027" not in LOGS["everything"]


def test_a_fingerprint_tells_findings_apart_and_stays() -> None:
    prints = [each["partialFingerprints"]["airbundle/v1"] for each in
              run_of(LOGS["everything"])["results"]]  # fmt: skip
    assert len(set(prints)) == len(prints) == 6
    elsewhere = run_of(sarif({"targets/other": [HOST]}, "bundle.yaml"))["results"][0]
    assert elsewhere["partialFingerprints"]["airbundle/v1"] == prints[0]


def test_what_was_found_makes_no_link() -> None:
    message = results(LOGS["everything"])[HOSTILE.rule]["message"]["text"]
    assert "](" not in message
    assert "https://evil.example" in message


def test_it_is_the_same_every_time() -> None:
    assert sarif(FINDINGS, SPEC) == LOGS["everything"]
