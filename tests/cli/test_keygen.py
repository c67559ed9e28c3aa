"""`airbundle keygen`: a key pair on the disk, and nothing overwritten."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from bundler.cli import main
from bundler.keygen import public_path
from bundler.sign.keys import Algorithm, PrivateKey, PublicKey, is_encrypted

PASSPHRASE = "correct horse"


@pytest.fixture(autouse=True)
def passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRBUNDLE_KEY_PASSPHRASE", PASSPHRASE)


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_both_halves_belong_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], algorithm: Algorithm
) -> None:
    key = tmp_path / "release.key"
    assert main.run(["keygen", str(key), "--algorithm", algorithm.value, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    public = PublicKey.load(tmp_path / "release.pub")
    assert told == {
        "private": str(key),
        "public": str(tmp_path / "release.pub"),
        "algorithm": algorithm.value,
        "fingerprint": public.fingerprint,
    }
    assert PrivateKey.load(key, PASSPHRASE.encode()).public == public
    assert public.algorithm is algorithm


def test_p256_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["keygen", str(tmp_path / "release.key")]) == 0
    public = PublicKey.load(tmp_path / "release.pub")
    assert public.algorithm is Algorithm.P256
    assert f"fingerprint  {public.fingerprint}\n" in capsys.readouterr().out


def test_the_private_key_is_encrypted_and_its_owner_s(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert main.run(["keygen", str(tmp_path / "release.key")]) == 0
    finally:
        os.umask(before)
    assert is_encrypted(tmp_path / "release.key")
    assert stat.S_IMODE((tmp_path / "release.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "release.pub").stat().st_mode) == 0o644


def test_no_passphrase_in_so_many_words(tmp_path: Path) -> None:
    assert main.run(["keygen", str(tmp_path / "release.key"), "--no-passphrase"]) == 0
    assert not is_encrypted(tmp_path / "release.key")


def test_an_empty_passphrase_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRBUNDLE_KEY_PASSPHRASE", "")
    assert main.run(["keygen", str(tmp_path / "release.key")]) == 2
    assert "passphrase is empty" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_nobody_to_ask_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRBUNDLE_KEY_PASSPHRASE")
    assert main.run(["keygen", str(tmp_path / "release.key")]) == 2
    assert "no terminal to ask on" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["release.key", "release.pub"])
@pytest.mark.parametrize("dangling", [False, True])
def test_no_file_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], there: str, dangling: bool
) -> None:
    path = tmp_path / there
    if dangling:
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_text("mine")
    assert main.run(["keygen", str(tmp_path / "release.key"), "--no-passphrase"]) == 2
    assert f"{there}: exists already" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]
    assert path.is_symlink() or path.read_text() == "mine"


def test_a_folder_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["keygen", str(tmp_path / "none" / "release.key")]) == 2
    assert "release.key: can't be written: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("private", "public"),
    [("demo.key", "demo.pub"), ("release", "release.pub"), ("a.pem", "a.pem.pub")],
)
def test_where_the_public_half_goes(private: str, public: str) -> None:
    assert public_path(Path("keys") / private) == Path("keys") / public


def test_the_name_of_a_public_key_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["keygen", str(tmp_path / "release.pub")]) == 2
    assert "release.pub: expected a name for the private key" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("phrase", "code"), [("1234567", 2), ("ééééééé", 2), ("12345678", 0)])
def test_a_short_passphrase_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phrase: str, code: int
) -> None:
    monkeypatch.setenv("AIRBUNDLE_KEY_PASSPHRASE", phrase)
    assert main.run(["keygen", str(tmp_path / "release.key")]) == code
    assert len(list(tmp_path.iterdir())) == (0 if code else 2)
