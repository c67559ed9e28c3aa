"""`airbundle sign`: one more signature, on real files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.archive.writer import write_bundle
from bundler.cli import main
from bundler.core.digest import Digest
from bundler.core.documents.trust import TrustKey, TrustPolicy, TrustRule
from bundler.core.errors import TrustError
from bundler.core.release import Release
from bundler.sign import slot
from bundler.sign.envelope import Envelope, Signature
from bundler.sign.keys import Algorithm, PrivateKey
from bundler.sign.open import open_bundle
from bundler.signing import add_signature
from tests.making import Contents, draft_of, seal, signed

ANN = PrivateKey.generate(Algorithm.P256)
BOB = PrivateKey.generate(Algorithm.P384)
PASSPHRASE = "correct horse"


def make(path: Path, contents: Contents, *keys: PrivateKey) -> Path:
    """A bundle signed by `keys`, which may be none."""
    draft, origins = draft_of(contents)
    write_bundle(path, draft, origins, seal(contents, *keys), lambda packed: None)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An unsigned bundle, alone in its folder."""
    (tmp_path / "media").mkdir()
    return make(tmp_path / "media" / "b.tar", Contents())


def write_key(folder: Path, name: str, key: PrivateKey, passphrase: bytes | None = None) -> str:
    path = folder / f"{name}.key"
    path.write_bytes(key.encrypted_pem(passphrase))
    return str(path)


@pytest.fixture
def ann(tmp_path: Path) -> str:
    return write_key(tmp_path, "ann", ANN)


@pytest.fixture
def bob(tmp_path: Path) -> str:
    return write_key(tmp_path, "bob", BOB)


def sign(file: Path, key: str, *options: str) -> int:
    return main.run(["sign", str(file), "--key", key, *options])


def both(names: tuple[str, ...] = ("*",)) -> TrustPolicy:
    keys = tuple(
        TrustKey(id=name, pem=key.public.pem().decode()) for name, key in (("a", ANN), ("b", BOB))
    )
    return TrustPolicy(rules=(TrustRule(names=names, threshold=2, keys=keys),))


def signers(file: Path, trust: TrustPolicy | None = None) -> tuple[str, ...]:
    with open_bundle(file, trust or both()) as bundle:
        return bundle.signers


def names(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir())


def test_a_sidecar_is_written_beside_the_file(
    file: Path, ann: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = file.read_bytes()
    assert sign(file, ann) == 0
    shown = capsys.readouterr().out
    assert f"by           {ANN.public.fingerprint}\n" in shown
    assert f"in           {file}.sig.json\n" in shown
    assert file.read_bytes() == before
    assert names(file) == ["b.tar", "b.tar.sig.json"]
    with open_bundle(file, ANN.public) as bundle:
        assert bundle.status == "TRUSTED"


def test_two_people_sign_one_after_the_other(
    file: Path, ann: str, bob: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sign(file, ann) == 0
    capsys.readouterr()
    assert sign(file, bob, "--json") == 0
    with open_bundle(file, None) as bundle:
        release = bundle.release
    assert json.loads(capsys.readouterr().out) == {
        "release": {
            "name": "movie-search",
            "version": "1.4.0",
            "index": str(release.index),
            "indexSize": release.index_size,
        },
        "fingerprint": BOB.public.fingerprint,
        "place": f"{file}.sig.json",
        "signatures": 2,
        "written": True,
    }
    assert sorted(signers(file)) == ["a", "b"]


@pytest.mark.parametrize("options", [(), ("--in-place",)])
def test_the_same_key_again_changes_nothing(
    file: Path, ann: str, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    assert sign(file, ann, *options) == 0
    before = {path: path.read_bytes() for path in file.parent.iterdir()}
    assert sign(file, ann, *options) == 0
    assert {path: path.read_bytes() for path in file.parent.iterdir()} == before
    said = capsys.readouterr().out
    assert "signatures   1\n" in said
    assert said.count("signed already, nothing was written") == 1


def test_a_wrong_signature_by_the_same_key_is_replaced(file: Path, ann: str) -> None:
    with open_bundle(file, None) as bundle:
        payload = bundle.release.statement()
    wrong = signed(b"other bytes", ANN).signatures
    slot.write_sidecar(file, Envelope(payload, wrong))
    assert sign(file, ann) == 0
    with open_bundle(file, ANN.public) as bundle:
        assert bundle.signers == (ANN.public.fingerprint,)


def test_in_place_fills_the_slot_and_nothing_else(file: Path, ann: str, bob: str) -> None:
    before = file.read_bytes()
    assert sign(file, ann, "--in-place") == 0
    assert sign(file, bob, "--in-place") == 0
    after = file.read_bytes()
    assert names(file) == ["b.tar"]
    assert (after[:512], after[512 + 65536 :]) == (before[:512], before[512 + 65536 :])
    assert sorted(signers(file)) == ["a", "b"]


def test_slot_and_sidecar_count_together(file: Path, ann: str, bob: str) -> None:
    assert sign(file, ann, "--in-place") == 0
    assert sign(file, bob) == 0
    assert sorted(signers(file)) == ["a", "b"]


def test_a_key_that_signed_in_the_slot_needs_no_sidecar(
    file: Path, ann: str, bob: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sign(file, ann, "--in-place") == 0
    assert sign(file, ann) == 0
    assert names(file) == ["b.tar"]
    assert sign(file, bob) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "signatures" in line] == [
        "signatures   1", "signatures   1", "signatures   2",
    ]  # fmt: skip


def test_a_sidecar_of_another_release_is_refused(
    file: Path, ann: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make(tmp_path / "other.tar", Contents(version="1.5.0"))
    assert sign(other, ann) == 0
    sidecar = slot.sidecar_path(file)
    sidecar.write_bytes(slot.sidecar_path(other).read_bytes())
    before = sidecar.read_bytes()
    assert sign(file, ann) == 3
    told = capsys.readouterr().err
    assert f"error: {file}: is damaged, or not what {sidecar} is about: " in told
    assert f"hint: remove {sidecar} if it belongs to another file" in told
    assert sidecar.read_bytes() == before


def test_signatures_over_another_release_are_not_added_to() -> None:
    release = Release("movie-search", "1.4.0", Digest.of(b"an index"), 8)
    for key in (ANN, BOB):
        other = signed(replace(release, version="1.5.0").statement(), key)
        with pytest.raises(TrustError, match="different statements"):
            add_signature(other, release, ANN)


def test_a_65th_signature_has_no_room() -> None:
    release = Release("movie-search", "1.4.0", Digest.of(b"an index"), 8)
    full = tuple(Signature(f"{number:064x}", b"x") for number in range(64))
    with pytest.raises(TrustError, match="expected 1 to 64 signatures, found 65"):
        add_signature(Envelope(release.statement(), full), release, ANN)


@pytest.mark.parametrize("part", [b"blobs/sha256/", b"one\ntwo"], ids=["framing", "layer"])
def test_a_damaged_file_is_not_signed(part: bytes, file: Path, ann: str) -> None:
    data = bytearray(file.read_bytes())
    data[data.index(part)] ^= 1
    file.write_bytes(bytes(data))
    assert sign(file, ann) == 3
    assert sign(file, ann, "--in-place") == 3
    assert file.read_bytes() == bytes(data)
    assert names(file) == ["b.tar"]


def test_an_encrypted_key_needs_its_passphrase(
    file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = write_key(tmp_path, "locked", ANN, PASSPHRASE.encode())
    monkeypatch.delenv("AIRBUNDLE_KEY_PASSPHRASE", raising=False)
    assert sign(file, key) == 2
    assert "no terminal to ask on" in capsys.readouterr().err
    monkeypatch.setenv("AIRBUNDLE_KEY_PASSPHRASE", "wrong")
    assert sign(file, key) == 2
    told = capsys.readouterr().err
    assert "passphrase is wrong" in told
    assert "hint: AIRBUNDLE_KEY_PASSPHRASE is what was tried" in told
    assert names(file) == ["b.tar"]
    monkeypatch.setenv("AIRBUNDLE_KEY_PASSPHRASE", PASSPHRASE)
    assert sign(file, key) == 0


def test_a_public_key_can_not_sign(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ann.pub").write_bytes(ANN.public.pem())
    assert sign(file, str(tmp_path / "ann.pub")) == 2
    assert "expected a PEM block PRIVATE KEY" in capsys.readouterr().err


KILLED_HALF_WAY = """
import os, signal, sys
from bundler.cli import main
from bundler.core.errors import TrustError
from bundler.core.release import Release
from bundler.sign import slot
from bundler.sign.envelope import Envelope, Signature

def overwrite(bundle, data):
    os.pwrite(bundle.fileno(), data[:300], slot.SLOT_OFFSET)
    os.kill(os.getpid(), signal.SIGKILL)

slot._overwrite = overwrite
main.run(["sign", *sys.argv[1:], "--in-place"])
"""


@pytest.mark.parametrize("options", [(), ("--in-place",)])
def test_killed_half_way_the_next_run_ends_the_same(
    file: Path, ann: str, bob: str, options: tuple[str, ...]
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_HALF_WAY, str(file), "--key", ann],
        env=os.environ | {"PYTHONPATH": str(Path(main.__file__).parents[2])},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert names(file) == ["b.tar", "b.tar.journal"]
    with pytest.raises(TrustError, match="slot: the envelope: is not JSON"):
        open_bundle(file, None)
    assert sign(file, bob, *options) == 0
    assert not slot.journal_path(file).exists()
    assert sorted(signers(file)) == ["a", "b"]
