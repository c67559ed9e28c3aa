"""`airbundle lock`: what it prints, and with which code it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bundler.cli import main
from tests.project import Project

Capture = pytest.CaptureFixture[str]


def lock(project: Project, *options: str) -> int:
    return main.run(["lock", str(project.spec), *options])


def test_it_says_what_was_locked(project: Project, capsys: Capture) -> None:
    assert lock(project) == 0
    shown = capsys.readouterr()
    assert shown.out == (
        "locked    movie-search 1.4.0\n"
        f"in        {project.lock}\n"
        "models    1\n"
        "images    1\n"
        "files     1\n"
        "targets   dev, site\n"
    )
    assert "hashing files" in shown.err


def test_it_says_what_changed(project: Project, capsys: Capture) -> None:
    assert lock(project) == 0
    project.edit("bundle.yaml", '"1.4.0"', '"1.5.0"')
    capsys.readouterr()
    assert lock(project) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("change ")] == [
        "change    spec: changed",
        "change    version: changed from 1.4.0 to 1.5.0",
    ]


def test_warnings_are_shown(project: Project, capsys: Capture) -> None:
    project.edit("bundle.yaml", "license: MIT", "license: NOASSERTION")
    assert lock(project) == 0
    lines = capsys.readouterr().out.splitlines()
    [warning] = [line for line in lines if line.startswith("warning ")]
    assert warning.startswith("warning   license: models/mini: the spec asserts no license")


def test_json_is_all_that_it_prints(project: Project, capsys: Capture) -> None:
    assert lock(project, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "checked": False,
        "path": str(project.lock),
        "name": "movie-search",
        "version": "1.4.0",
        "models": 1,
        "images": 1,
        "files": 1,
        "targets": ["dev", "site"],
        "changes": [],
        "warnings": [],
    }


def test_the_spec_of_this_folder_is_meant(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    assert main.run(["lock"]) == 0
    assert project.lock.is_file()


def test_an_image_whose_registry_does_not_answer_is_exit_7(
    project: Project, capsys: Capture
) -> None:
    project.edit("base/server.yaml", "registry.corp:5000", "127.0.0.1:1")
    assert lock(project) == 7
    error = capsys.readouterr().err
    assert "bundle.yaml:12:14: spec.manifests (127.0.0.1:1/team/server:1.0): registry " in error
    assert not project.lock.exists()


def test_a_lock_that_fits_passes_the_check(project: Project, capsys: Capture) -> None:
    assert lock(project) == 0
    before = project.lock.read_bytes(), project.lock.stat().st_mtime_ns
    assert lock(project, "--check") == 0
    assert (project.lock.read_bytes(), project.lock.stat().st_mtime_ns) == before
    assert "fits      movie-search 1.4.0" in capsys.readouterr().out


def test_a_lock_that_does_not_fit_fails_the_check_and_stays(
    project: Project, capsys: Capture
) -> None:
    assert lock(project) == 0
    before = project.lock.read_bytes()
    project.write("weights/config.json", '{"hidden_size": 500}\n')
    assert lock(project, "--check") == 2
    assert "bundle.lock: does not fit any more:\n  model mini config.json: locked" in (
        capsys.readouterr().err
    )
    assert project.lock.read_bytes() == before


def test_without_a_lock_there_is_nothing_to_check(project: Project, capsys: Capture) -> None:
    assert lock(project, "--check") == 2
    assert "bundle.lock: --check expects it, found none" in capsys.readouterr().err
    assert not project.lock.exists()


def test_a_model_that_the_spec_lacks_is_exit_5(project: Project, capsys: Capture) -> None:
    project.edit("base/server.yaml", "models/mini", "models/maxi")
    assert lock(project) == 5
    assert "model 'maxi': overlays/dev names it, the spec has mini" in capsys.readouterr().err


def test_a_lock_that_is_none_is_replaced(project: Project, capsys: Capture) -> None:
    project.lock.write_text("<<<<<<< HEAD\n")
    assert lock(project) == 0
    assert "\nchange    the lock before was no lock\n" in capsys.readouterr().out
    assert lock(project) == 0
    assert "change " not in capsys.readouterr().out


def test_no_spec_is_exit_2(tmp_path: Path, capsys: Capture) -> None:
    assert main.run(["lock", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_a_folder_without_a_spec_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.run(["lock"]) == 2
    assert capsys.readouterr().err == (
        "error: bundle.yaml: expected a spec, found none\n"
        "hint: cd into the project, name the file, or `airbundle init DIR`\n"
    )
