"""`airbundle build`: what it prints, what it refuses with which code, and that nothing is left."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.cli import main
from bundler.scan.pickled import EXTENSIONS
from bundler.sign.open import open_bundle
from tests.making import KEY
from tests.project import Project, listing

Capture = pytest.CaptureFixture[str]
Edit = Callable[[Project], object]


@pytest.fixture
def key(tmp_path: Path) -> str:
    """A private key without a passphrase."""
    path = tmp_path / "release.key"
    path.write_bytes(KEY.encrypted_pem(None))
    return str(path)


@pytest.fixture
def output(tmp_path: Path) -> str:
    return str(tmp_path / "bundle.tar")


def build(project: Project, *options: str) -> int:
    return main.run(["build", str(project.spec), *options])


# --- what it prints ---------------------------------------------------------------------------


def test_it_says_what_was_built(project: Project, key: str, output: str, capsys: Capture) -> None:
    assert build(project, "-o", output, "--key", key) == 0
    shown = capsys.readouterr()
    with open_bundle(Path(output), KEY.public) as bundle:
        index, size = bundle.release.index, bundle.size
    assert re.fullmatch(
        rf"""built     movie-search 1\.4\.0
file      {re.escape(output)} \({size / 1024:.1f} KiB\)
index     {index}
signed    {KEY.public.fingerprint}
lock      bundle\.lock was written: keep it beside the spec
""",
        shown.out,
    )
    assert "packing layers" in shown.err
    assert build(project, "-o", output, "--key", key) == 0
    assert "lock " not in capsys.readouterr().out


def test_json_is_all_that_it_prints(project: Project, output: str, capsys: Capture) -> None:
    assert build(project, "-o", output, "--unsigned", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    with open_bundle(Path(output), None) as bundle:
        assert told == {
            "path": output,
            "name": "movie-search",
            "version": "1.4.0",
            "index": str(bundle.release.index),
            "size": bundle.size,
            "signer": None,
            "lockWritten": True,
            "waived": [],
            "warnings": [],
        }


def test_unsigned_is_said_loudly(project: Project, output: str, capsys: Capture) -> None:
    assert build(project, "-o", output, "--unsigned") == 0
    assert "signed    by nobody: UNSIGNED\n" in capsys.readouterr().out
    with open_bundle(Path(output), None) as bundle:
        assert bundle.status == "UNSIGNED"


def test_warnings_and_waivers_are_listed(project: Project, output: str, capsys: Capture) -> None:
    project.edit("base/config.yaml", "mode: fast", "mode: fast\n  hub: https://hub.example.com/m")
    project.write("weights/README.md", "no front matter\n")
    waiver = "{rule: external-host, object: '*', owner: Jo, reason: ours, until: '2099-01-01'}"
    policy = project.folder / "policies/default.yaml"
    project.write("policies/default.yaml", f"{policy.read_text()}waivers: [{waiver}]\n")
    assert build(project, "-o", output, "--unsigned") == 0
    lines = capsys.readouterr().out.splitlines()
    waived = [line for line in lines if line.startswith("waived ")]
    warned = [line for line in lines if line.startswith("warning ")]
    assert len(waived) == len(warned) == 1
    assert "external-host: ConfigMap search/server: /data/hub: " in waived[0]
    assert waived[0].endswith(" [ours, Jo]")
    assert "license: models/mini: " in warned[0]


def test_the_spec_of_this_folder_is_meant(
    project: Project, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    assert main.run(["build", "-o", output, "--unsigned"]) == 0
    assert project.lock.is_file()


# --- signed or not ----------------------------------------------------------------------------


@pytest.mark.parametrize("both", [False, True])
def test_neither_key_nor_unsigned_or_both_is_refused(
    project: Project, key: str, output: str, capsys: Capture, both: bool
) -> None:
    before = listing(project.folder.parent)
    options = ("--key", key, "--unsigned") if both else ()
    assert build(project, "-o", output, *options) == 4
    assert capsys.readouterr().err == (
        "error: build: expected exactly one of --key KEY and --unsigned\n"
        "hint: `airbundle keygen` makes a key; an --unsigned bundle can be signed later\n"
    )
    assert listing(project.folder.parent) == before


def test_an_encrypted_key_needs_its_passphrase(
    project: Project, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "locked.key"
    path.write_bytes(KEY.encrypted_pem(b"correct horse"))
    options = ("-o", output, "--key", str(path))
    monkeypatch.setenv("AIRBUNDLE_KEY_PASSPHRASE", "wrong")
    assert build(project, *options) == 2
    assert not project.lock.exists()  # said before anything is hashed
    monkeypatch.setenv("AIRBUNDLE_KEY_PASSPHRASE", "correct horse")
    assert build(project, *options) == 0


def test_a_public_key_can_not_sign(project: Project, output: str, tmp_path: Path) -> None:
    path = tmp_path / "release.pub"
    path.write_bytes(KEY.public.pem())
    assert build(project, "-o", output, "--key", str(path)) == 2
    assert not Path(output).exists()


# --- refused ----------------------------------------------------------------------------------


def refused(project: Project, capsys: Capture, output: str, *options: str) -> tuple[int, str]:
    """Exit code and message of a build after which there is nothing new but perhaps a lock."""
    before = listing(project.folder.parent, ["project/bundle.lock"])
    code = build(project, "-o", output, "--unsigned", "--json", *options)
    shown = capsys.readouterr()
    error = json.loads(shown.out)["error"]
    assert error["exitCode"] == code
    assert f"error: {error['message']}\n" in shown.err
    assert listing(project.folder.parent, ["project/bundle.lock"]) == before
    return code, str(error["message"])


@pytest.mark.parametrize("extension", sorted(EXTENSIONS))
def test_a_pickle_is_exit_5(project: Project, output: str, capsys: Capture, extension: str) -> None:
    project.write(f"weights/nested/model{extension}", b"anything")
    code, message = refused(project, capsys, output)
    assert code == 5
    assert f"models/mini: pickle: nested/model{extension}: " in message


def edit(name: str, old: str, new: str) -> Edit:
    return lambda project: project.edit(name, old, new)


def link(project: Project) -> None:
    (project.folder / "weights" / "link.txt").symlink_to("config.json")


KUSTOMIZATION = "overlays/dev/kustomization.yaml"
REFUSED: dict[str, tuple[Edit, int, str]] = {
    "a spec with an unknown field": (
        edit("bundle.yaml", "platforms:", "platform:"), 2, "bundle.yaml:5:3: spec.platform",
    ),
    "a kustomization that leaves its folder": (
        edit(KUSTOMIZATION, "../../base", "../../../elsewhere"), 5, f"{KUSTOMIZATION}:1:13",
    ),
    "a remote kustomization": (
        edit(KUSTOMIZATION, "../../base", "github.com/x/y"), 5, f"{KUSTOMIZATION}:1:13",
    ),
    "a kustomization that Kustomize refuses": (
        edit("base/server.yaml", "kind: Deployment", "kind: [Deployment"), 6, "kustomize",
    ),
    "an image that is nowhere": (
        lambda project: shutil.rmtree(project.folder / "image"), 7, "image",
    ),
    "a link among the weights": (link, 7, "link.txt: expected a file or a folder, found a symb"),
    "an external host": (
        edit("base/config.yaml", "mode: fast", "mode: fast\n  hub: https://hub.example.com"), 5,
        "the gate is shut",
    ),
    "a parameter that is forbidden": (
        edit("bundle.yaml", "kind: ConfigMap, name: server, path: /data/mode",
             "kind: Deployment, name: server, path: /metadata/name"), 5, "the identity of the obj",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "code", "line"), REFUSED.values(), ids=list(REFUSED))
def test_a_refusal_has_its_own_exit_code(
    project: Project, output: str, capsys: Capture, change: Edit, code: int, line: str
) -> None:
    change(project)
    found, message = refused(project, capsys, output)
    assert found == code
    assert line in message


def test_a_lock_that_does_not_fit_is_exit_2(project: Project, output: str, capsys: Capture) -> None:
    assert build(project, "-o", output, "--unsigned") == 0
    Path(output).unlink()
    capsys.readouterr()
    project.write("weights/extra.txt", "more")
    code, message = refused(project, capsys, output, "--locked")
    assert code == 2
    assert "\n  model mini extra.txt: found, but not locked" in message


def test_other_bytes_than_locked_are_exit_3(project: Project, output: str, capsys: Capture) -> None:
    assert build(project, "-o", output, "--unsigned") == 0
    Path(output).unlink()
    capsys.readouterr()
    project.write("data/train.jsonl", '{"text": "a FILM"}\n')
    code, message = refused(project, capsys, output)
    assert (code, "train.jsonl: changed since it was locked" in message) == (3, True)


def test_locked_without_a_lock_is_exit_2(project: Project, output: str, capsys: Capture) -> None:
    code, message = refused(project, capsys, output, "--locked")
    assert (code, message) == (2, f"{project.lock}: --locked expects it, found none")


@pytest.mark.parametrize("place", ["nowhere/bundle.tar", "project"])
def test_a_place_that_can_not_be_written_is_exit_2(
    project: Project, tmp_path: Path, capsys: Capture, place: str
) -> None:
    code, message = refused(project, capsys, str(tmp_path / place))
    assert (code, str(tmp_path / place) in message) == (2, True)


def test_no_spec_is_exit_2(tmp_path: Path, output: str, capsys: Capture) -> None:
    assert main.run(["build", str(tmp_path / "none.yaml"), "-o", output, "--unsigned"]) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_without_kustomize_it_is_exit_6(
    project: Project, output: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(project.folder))
    code, message = refused(project, capsys, output)
    assert (code, "kustomize" in message) == (6, True)
