"""The hook, by the real pre-commit: a clone of this tree, in a repository with a bundle."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bundler.init import init
from tests.parts import citools, installed
from tests.parts.components import ROOT
from tests.project import FILES, Project, safetensors

HOOKS = ".pre-commit-hooks.yaml"
# What a clone holds of what pip needs.
TREE = (
    *("bundler", "base", "overlays", "policies", "requirements"),
    *("pyproject.toml", "README.md", "LICENSE", HOOKS),
)
IDENTITY = ["-c", "user.name=Jo", "-c", "user.email=jo@example.com", "-c", "commit.gpgsign=false"]

pytestmark = pytest.mark.needs("citools", "git")


def git(folder: Path, *arguments: str) -> str:
    argv = ["git", *IDENTITY, *arguments]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def committed(folder: Path) -> str:
    """The commit of all that is in `folder`."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all")
    return git(folder, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("validate-manifest", ROOT / HOOKS),
        ("validate-config", ROOT / "examples" / "ci" / "pre-commit-config.yaml"),
    ],
)
def test_pre_commit_accepts_hook_and_example(command: str, file: Path) -> None:
    argv: list[str | Path] = [citools.fetch() / "bin" / "pre-commit", command, file]
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 0


def test_a_commit_with_a_lock_that_does_not_fit_is_refused(tmp_path: Path, kustomize: Path) -> None:
    clone = tmp_path / "airbundle"
    clone.mkdir()
    for name in TREE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, clone / name)
    variables = installed.environment(tmp_path / "packages")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "checkov").symlink_to(Path(sys.executable).with_name("checkov"))
    path = (tmp_path / "tools", kustomize.parent, os.environ["PATH"])
    variables |= {
        "HOME": str(tmp_path),
        "PATH": os.pathsep.join(map(str, path)),
        "AIRBUNDLE_STORE": str(tmp_path / "store"),
        "PRE_COMMIT_HOME": str(tmp_path / "cache"),
    }
    project = Project(init(tmp_path / "project").folder)
    project.write("weights/model.safetensors", safetensors(bytes(64)))
    project.write("weights/README.md", FILES["weights/README.md"])
    config = yaml.safe_load((ROOT / "examples" / "ci" / "pre-commit-config.yaml").read_text())
    config["repos"][0] |= {"repo": str(clone), "rev": committed(clone)}
    project.write(".pre-commit-config.yaml", yaml.safe_dump(config))
    locking = [sys.executable, "-m", "bundler", "lock"]
    given = {**variables, "PYTHONPATH": f"{ROOT}{os.pathsep}{variables['PYTHONPATH']}"}
    subprocess.run(locking, cwd=project.folder, env=given, check=True, capture_output=True)
    committed(project.folder)

    def hook(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [citools.fetch() / "bin" / "pre-commit", "run", *arguments],
            cwd=project.folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )

    fits = hook("--all-files")
    assert fits.returncode == 0, fits.stdout + fits.stderr
    assert "bundle.lock fits its inputs" in fits.stdout
    assert "Passed" in fits.stdout
    project.edit("base/deployment.yaml", "replicas: 1\n", "replicas: 3\n")
    before = project.lock.read_bytes()
    git(project.folder, "add", "base")
    differs = hook()
    assert differs.returncode == 1, differs.stdout + differs.stderr
    assert "exit code: 2" in differs.stdout
    assert "base/deployment.yaml" in differs.stdout
    assert project.lock.read_bytes() == before
    git(project.folder, "reset", "--quiet", "--hard")
    project.write("NOTES", "nothing of the bundle\n")
    git(project.folder, "add", "NOTES")
    assert "(no files to check)Skipped" in hook().stdout
