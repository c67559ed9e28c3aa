"""The examples for CI: what their schemas say of them, and each of their steps run for real."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from bundler.init import init
from tests.parts import citools, installed
from tests.parts.components import ROOT
from tests.project import FILES, Project, safetensors

EXAMPLES = ROOT / "examples" / "ci"
PASSPHRASE = "one two three"
INSTALL = "Install airbundle"
OUTSIDE = "https://hub.example.com"


def document(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((EXAMPLES / name).read_text())
    return read


@pytest.mark.needs("citools")
@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("github-workflow.yaml", ["--builtin-schema", "vendor.github-workflows"]),
        (
            "gitlab-ci.yaml",
            ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"],
        ),
    ],
)
def test_an_example_is_what_its_schema_says(name: str, schema: list[str], tmp_path: Path) -> None:
    argv: list[str | Path] = [citools.fetch() / "bin" / "check-jsonschema", *schema]
    assert (
        subprocess.run([*argv, EXAMPLES / name], capture_output=True, check=False).returncode == 0
    )
    wrong = tmp_path / name
    wrong.write_text((EXAMPLES / name).read_text().replace("timeout", "timeuot"))
    assert subprocess.run([*argv, wrong], capture_output=True, check=False).returncode == 1


# --- running them -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Runner:
    """A machine of a CI: what pip gets, the variables of every shell, the key, a cache."""

    airbundle: str
    variables: dict[str, str]
    key: Path
    store: Path

    def shell(
        self, script: str, folder: Path, variables: dict[str, str], *options: str
    ) -> subprocess.CompletedProcess[str]:
        (folder / ".tmp").mkdir(exist_ok=True)
        given = {**self.variables, "HOME": str(folder), "TMPDIR": str(folder / ".tmp"), **variables}
        argv = ["bash", "--noprofile", "--norc", *options, "-c", script]
        return subprocess.run(
            argv, cwd=folder, env=given, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory, kustomize: Path) -> Runner:
    """A machine on which the workflow's own step has installed airbundle."""
    folder = tmp_path_factory.mktemp("runner")
    variables = installed.environment(folder / "packages")
    argv = [sys.executable, "-m", "venv", "--without-pip", str(folder / "python")]
    subprocess.run(argv, check=True)
    for part in ("tools", "store"):
        (folder / part).mkdir()
    (folder / "tools" / "checkov").symlink_to(Path(sys.executable).with_name("checkov"))
    path = (folder / "python" / "bin", folder / "tools", kustomize.parent)
    variables["PATH"] = os.pathsep.join((*map(str, path), os.environ["PATH"]))
    keygen = [sys.executable, "-m", "bundler", "keygen", str(folder / "release.key")]
    given = {**os.environ, "AIRBUNDLE_KEY_PASSPHRASE": PASSPHRASE}
    subprocess.run(keygen, cwd=ROOT, env=given, check=True, capture_output=True)
    made = Runner(
        f"{installed.wheel(folder)}[build]", variables, folder / "release.key", folder / "store"
    )
    (step,) = [each for each in github_steps() if each["name"] == INSTALL]
    done = made.shell(step["run"], folder, {"AIRBUNDLE": made.airbundle}, "-e")
    assert done.returncode == 0, done.stderr
    assert (folder / "python" / "bin" / "airbundle").is_file()
    return made


def github_steps() -> list[dict[str, Any]]:
    """Those that a shell runs."""
    steps = document("github-workflow.yaml")["jobs"]["bundle"]["steps"]
    return [step for step in steps if "run" in step]


@pytest.fixture
def locked(tmp_path: Path, runner: Runner) -> Project:
    """A project of `airbundle init` with a model and a lock, as it is checked out."""
    project = Project(init(tmp_path / "checkout").folder)
    project.write("weights/model.safetensors", safetensors(bytes(64)))
    project.write("weights/README.md", FILES["weights/README.md"])
    # What the examples' caches bring back.
    (project.folder / ".airbundle").symlink_to(runner.store, target_is_directory=True)
    lock(project, runner)
    return project


def lock(project: Project, runner: Runner) -> None:
    given = {**os.environ, "PATH": runner.variables["PATH"], "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "bundler", "lock"]
    subprocess.run(argv, cwd=project.folder, env=given, check=True, capture_output=True)


@dataclass(frozen=True)
class Ran:
    """Which steps ran, the code of the first that failed (0: none), and what was said."""

    steps: list[str]
    code: int
    output: str


def github(project: Project, runner: Runner, event: str) -> Ran:
    """The workflow's other steps as GitHub runs them for `event`: `bash -e`, one shell a step."""
    job = document("github-workflow.yaml")["jobs"]["bundle"]
    values = {
        "github.workspace": str(project.folder),
        "secrets.AIRBUNDLE_SIGNING_KEY": runner.key.read_text(),
        "secrets.AIRBUNDLE_KEY_PASSPHRASE": PASSPHRASE,
        "github.event_name == 'pull_request'": str(event == "pull_request"),
        "github.event_name == 'push'": str(event == "push"),
    }

    def filled(text: str) -> str:
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda match: values[match[1]], text)

    steps, code, output = [], 0, ""
    for step in github_steps():
        if step["name"] == INSTALL or code or filled(step.get("if", "True")) != "True":
            continue
        variables = {**job["env"], **step.get("env", {})}
        done = runner.shell(
            filled(step["run"]),
            project.folder,
            {name: filled(value) for name, value in variables.items()},
            "-e",
        )
        steps.append(step["name"])
        code, output = done.returncode, output + done.stdout + done.stderr
    return Ran(steps, code, output)


def gitlab(project: Project, runner: Runner, source: str) -> Ran:
    """The job's script as GitLab's runner does it: one shell, `set -eo pipefail`."""
    job = document("gitlab-ci.yaml")["bundle"]
    variables = {
        "CI_PROJECT_DIR": str(project.folder),
        "CI_PIPELINE_SOURCE": source,
    }
    if source == "push":  # protected variables: not for merge requests
        variables["AIRBUNDLE_SIGNING_KEY"] = str(runner.key)
        variables["AIRBUNDLE_KEY_PASSPHRASE"] = PASSPHRASE
    variables["AIRBUNDLE_STORE"] = job["variables"]["AIRBUNDLE_STORE"].replace(
        "$CI_PROJECT_DIR", str(project.folder)
    )
    done = runner.shell("\n".join(job["script"]), project.folder, variables, "-eo", "pipefail")
    return Ran([], done.returncode, done.stdout + done.stderr)


def signed(project: Project, runner: Runner) -> bool:
    """Whether bundle.tar is what build.json says, and the release key's."""
    told = json.loads((project.folder / "build.json").read_text())
    public = runner.key.with_suffix(".pub")
    done = runner.shell(
        f"{sys.executable} -m bundler verify bundle.tar --key {public} --json",
        project.folder,
        {"PYTHONPATH": str(ROOT)},
    )
    return done.returncode == 0 and told["index"] in done.stdout


def private_keys(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and b"PRIVATE KEY-----" in path.read_bytes()
    ]


def test_github_builds_a_pull_request_without_and_main_with_a_signature(
    locked: Project, runner: Runner
) -> None:
    ran = github(locked, runner, "pull_request")
    assert ran.code == 0, ran.output
    assert ran.steps == ["The lock fits", "Audit", "Build, without a signature"]
    assert json.loads((locked.folder / "build.json").read_text())["signer"] is None
    (run,) = json.loads((locked.folder / "audit.sarif").read_text())["runs"]
    assert run["tool"]["driver"]["name"] == "airbundle"
    (locked.folder / "bundle.tar").unlink()
    ran = github(locked, runner, "push")
    assert ran.code == 0, ran.output
    assert ran.steps[-1] == "Build and sign"
    assert signed(locked, runner)
    assert private_keys(locked.folder) == []


def test_gitlab_builds_a_merge_request_without_and_main_with_a_signature(
    locked: Project, runner: Runner
) -> None:
    ran = gitlab(locked, runner, "merge_request_event")
    assert ran.code == 0, ran.output
    assert json.loads((locked.folder / "build.json").read_text())["signer"] is None
    report = ElementTree.parse(locked.folder / "audit.xml").getroot()
    assert report.get("failures") == "0"
    (locked.folder / "bundle.tar").unlink()
    ran = gitlab(locked, runner, "push")
    assert ran.code == 0, ran.output
    assert signed(locked, runner)
    job = document("gitlab-ci.yaml")["bundle"]["artifacts"]
    made = [*job["paths"], *job["reports"].values()]
    assert [name for name in made if not (locked.folder / name).is_file()] == []


def test_gitlab_installs_into_an_environment_of_the_job(tmp_path: Path, runner: Runner) -> None:
    lines = [*document("gitlab-ci.yaml")["bundle"]["before_script"], "command -v airbundle"]
    variables = {"AIRBUNDLE": runner.airbundle}
    done = runner.shell("\n".join(lines), tmp_path, variables, "-eo", "pipefail")
    found = done.stdout.splitlines()[-1:]
    assert (done.returncode, found) == (0, [str(tmp_path / ".venv/bin/airbundle")]), done.stderr


def test_a_finding_stops_both_and_is_reported(locked: Project, runner: Runner) -> None:
    locked.edit("base/deployment.yaml", "value: /mnt/models\n", f"value: {OUTSIDE}\n")
    lock(locked, runner)
    ran = github(locked, runner, "push")
    assert (ran.steps[-1], ran.code) == ("Audit", 5), ran.output
    (run,) = json.loads((locked.folder / "audit.sarif").read_text())["runs"]
    found = [each for each in run["results"] if each["ruleId"] == "external-host"]
    (location,) = found[0]["locations"]
    file = location["physicalLocation"]["artifactLocation"]["uri"]
    assert (locked.folder / file).is_file()
    ran = gitlab(locked, runner, "push")
    assert ran.code == 5, ran.output
    report = ElementTree.parse(locked.folder / "audit.xml").getroot()
    failures = [
        case.get("name", "") for case in report.iter("testcase") if case.find("failure") is not None
    ]
    assert "external-host: Deployment serving/server" in failures
    assert not (locked.folder / "bundle.tar").exists()


def test_a_lock_that_does_not_fit_stops_both(locked: Project, runner: Runner) -> None:
    locked.write("weights/config.json", "{}\n")
    before = locked.lock.read_bytes()
    ran = github(locked, runner, "push")
    assert (ran.steps[-1], ran.code) == ("The lock fits", 2), ran.output
    ran = gitlab(locked, runner, "push")
    assert ran.code == 2, ran.output
    assert locked.lock.read_bytes() == before
    assert not (locked.folder / "bundle.tar").exists()


def test_a_failed_audit_is_uploaded_all_the_same() -> None:
    steps = document("github-workflow.yaml")["jobs"]["bundle"]["steps"]
    (upload,) = [step for step in steps if "upload-sarif" in step.get("uses", "")]
    assert upload["if"].startswith("${{ always() ")
    assert upload["with"]["sarif_file"] == "audit.sarif"
    assert document("gitlab-ci.yaml")["bundle"]["artifacts"]["when"] == "always"


def test_no_step_hides_a_failure_in_a_pipe() -> None:
    steps = document("github-workflow.yaml")["jobs"]["bundle"]["steps"]
    assert [step["name"] for step in steps if "|" in step.get("run", "")] == []
