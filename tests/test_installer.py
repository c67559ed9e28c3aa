"""`airbundle installer`: the same bytes again, a signature that openssl checks, and refusals."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from bundler import __version__
from bundler.cli.main import run
from bundler.core.errors import UsageError
from bundler.installer import MACHINES, Installer, default_name, make_installer, openssl
from bundler.keygen import keygen
from bundler.sign.keys import Algorithm, PrivateKey
from tests.parts.components import ROOT, find_program

PLATFORM = next(name for name, machine in MACHINES.items() if machine == os.uname().machine)


@pytest.fixture
def fetched(core_wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheels, without asking pip once more; tests/tools/test_wheels.py is about that."""

    def copy(lock: str, machine: str, folder: Path, wheels: Path | None) -> None:
        shutil.copytree(core_wheels / machine, folder)

    monkeypatch.setattr("bundler.tools.wheels.fetch", copy)


def check(made: Installer, public: Path) -> subprocess.CompletedProcess[str]:
    """Runs what it says that a person should run, in the folder where the files are."""
    assert made.check is not None
    words = made.check.replace("PUB", str(public)).split()
    openssl = find_program("openssl")
    assert openssl is not None
    assert words[0] == "openssl"
    return subprocess.run(
        [openssl, *words[1:]], cwd=made.path.parent, capture_output=True, text=True, check=False
    )


# --- what it makes ----------------------------------------------------------------------------


@pytest.mark.usefixtures("fetched")
@pytest.mark.parametrize("platform", MACHINES)
def test_made_again_it_has_the_same_bytes(tmp_path: Path, platform: str) -> None:
    first = make_installer(tmp_path / "one.pyz", platform)
    again = make_installer(tmp_path / "two.pyz", platform)
    assert first.path.read_bytes() == again.path.read_bytes()
    assert first.digest == again.digest
    assert first.size == first.path.stat().st_size


@pytest.mark.needs("core-wheels")
def test_it_holds_what_a_wheel_of_airbundle_holds(installer_file: Path) -> None:
    with zipfile.ZipFile(installer_file) as archive:
        names = {name.removeprefix("site-packages/") for name in archive.namelist()}
    for name in ("base", "overlays", "policies"):
        for path in (ROOT / name).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"bundler/scaffold/{path.relative_to(ROOT)}" in names
    assert {"bundler/py.typed", "bundler/requirements/core.txt", "bundler/cli/main.py"} <= names
    assert not [name for name in names if name.endswith(".pyc")]


def test_it_is_named_by_version_and_platform() -> None:
    assert default_name("linux/arm64") == Path(f"airbundle-{__version__}-linux-arm64.pyz")


@pytest.mark.usefixtures("fetched")
def test_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pair = keygen(tmp_path / "release.key", Algorithm.P256, None)
    words = ["installer", "--key", "release.key", "--platform", PLATFORM]
    assert run([*words, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    name = str(default_name(PLATFORM))
    assert made["path"] == name
    assert made["signer"] == pair.fingerprint
    assert made["pythons"] == ["3.11", "3.12", "3.13", "3.14"]
    assert made["check"] == f"openssl dgst -sha256 -verify PUB -signature {name}.sig {name}"
    assert run([*words, "-o", "other.pyz"]) == 0
    assert f"signed       {pair.fingerprint}\n" in capsys.readouterr().out
    assert (tmp_path / "other.pyz").read_bytes() == (tmp_path / name).read_bytes()


# --- its signature ------------------------------------------------------------------------------


@pytest.mark.usefixtures("fetched")
@pytest.mark.needs("openssl")
@pytest.mark.parametrize("algorithm", Algorithm)
def test_openssl_checks_the_signature(tmp_path: Path, algorithm: Algorithm) -> None:
    key = PrivateKey.generate(algorithm)
    public = tmp_path / "release.pub"
    public.write_bytes(key.public.pem())
    made = make_installer(tmp_path / "airbundle.pyz", PLATFORM, key)
    assert made.signer == key.public.fingerprint
    done = check(made, public)
    assert done.returncode == 0, done.stderr
    assert "Verified" in done.stdout
    with made.path.open("r+b") as file:
        file.seek(made.size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    assert check(made, public).returncode != 0


@pytest.mark.needs("openssl")
def test_openssl_says_the_fingerprint_that_keygen_says(tmp_path: Path) -> None:
    """As docs/far-side.md has it: what is read out over the phone."""
    pair = keygen(tmp_path / "release.key", Algorithm.P256, None)
    command = f"openssl pkey -pubin -in {pair.public} -outform DER | sha256sum"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert f"sha256:{done.stdout.split()[0]}" == pair.fingerprint


def test_each_kind_of_key_has_its_command() -> None:
    file = Path("folder/a.pyz")
    assert openssl(file, Algorithm.P384).startswith("openssl dgst -sha384 -verify PUB")
    assert openssl(file, Algorithm.ED25519) == (
        "openssl pkeyutl -verify -pubin -inkey PUB -rawin -in a.pyz -sigfile a.pyz.sig"
    )


# --- refusals -----------------------------------------------------------------------------------


def test_an_unknown_platform_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected linux/amd64 or linux/arm64, found 'windows'"):
        make_installer(tmp_path / "a.pyz", "windows")


@pytest.mark.parametrize("name", ["a.pyz", "a.pyz.sig"])
def test_what_is_there_stays(tmp_path: Path, name: str) -> None:
    """A signature of an older file, too: it would stand beside bytes that it is not for."""
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match=rf"{name}: exists already"):
        make_installer(tmp_path / "a.pyz", PLATFORM)
    assert (tmp_path / name).read_text() == "mine"


def test_an_empty_folder_of_wheels_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wheels").mkdir()
    words = ["-o", str(tmp_path / "a.pyz"), "--wheels", str(tmp_path / "wheels")]
    assert run(["installer", *words]) == 6
    assert "error: the locked wheels can't be had: " in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["wheels"]


@pytest.mark.needs("core-wheels")
def test_a_wheel_that_was_changed_makes_nothing(
    tmp_path: Path, core_wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheels = tmp_path / "wheels"
    shutil.copytree(core_wheels / os.uname().machine, wheels)
    [changed] = wheels.glob("click-*.whl")
    with zipfile.ZipFile(changed, "a") as archive:
        archive.writestr("evil.py", "")
    words = ["-o", str(tmp_path / "a.pyz"), "--platform", PLATFORM, "--wheels", str(wheels)]
    assert run(["installer", *words]) == 6
    assert "DO NOT MATCH THE HASHES" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["wheels"]
