"""`airbundle verify`: who signed, what was read, and a code of its own for each way to fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bundler.archive import format as fmt
from bundler.cli import main
from bundler.sign.keys import Algorithm, PrivateKey
from bundler.sign.open import open_bundle
from tests.making import KEY, Contents, make_bundle

Capture = pytest.CaptureFixture[str]

SECOND = PrivateKey.generate(Algorithm.P256)
REVOKED = PrivateKey.generate(Algorithm.P384)
STRANGER = PrivateKey.generate(Algorithm.P256)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle.tar")


def public(folder: Path, key: PrivateKey) -> str:
    path = folder / f"{key.public.keyid[:8]}.pub"
    path.write_bytes(key.public.pem())
    return str(path)


def policy(folder: Path, threshold: int, *keys: PrivateKey, **rule: Any) -> str:
    """A trust policy for every name, by `keys`; JSON is YAML too."""
    listed = [{"id": key.public.keyid[:8], "pem": key.public.pem().decode()} for key in keys]
    value = {
        "apiVersion": "airbundle.dev/v1alpha1",
        "kind": "TrustPolicy",
        "rules": [{"names": ["*"], "threshold": threshold, "keys": listed, **rule}],
        "revoked": [REVOKED.public.fingerprint],
    }
    (folder / "trust.yaml").write_text(json.dumps(value))
    return str(folder / "trust.yaml")


def unsigned(path: Path) -> Path:
    """The bundle with nothing but spaces in its slot."""
    data = path.read_bytes()
    path.write_bytes(data[:512] + b" " * fmt.SLOT_SIZE + data[512 + fmt.SLOT_SIZE :])
    return path


def test_it_says_who_signed_and_what_was_read(file: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main.run(["verify", str(file), "--key", public(tmp_path, KEY)]) == 0
    shown = capsys.readouterr()
    with open_bundle(file, None) as bundle:
        index, blobs = bundle.release.index, len(bundle.blobs) + len(bundle.metadata)
    assert shown.out == (
        "verified  movie-search 1.4.0: TRUSTED\n"
        f"index     {index}\n"
        f"signer    {KEY.public.fingerprint}\n"
        f"read      {blobs} blobs, {file.stat().st_size / 1024:.1f} KiB\n"
    )
    assert "UNTRUSTED" not in shown.err


def test_keys_that_do_not_count_are_named(tmp_path: Path, capsys: Capture) -> None:
    file = make_bundle(tmp_path / "bundle.tar", None, KEY, SECOND, REVOKED, STRANGER)
    assert main.run(["verify", str(file), "--trust", policy(tmp_path, 2, KEY, SECOND)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line for line in lines if line.startswith("signer")) == sorted(
        f"signer    {key.public.keyid[:8]}" for key in (KEY, SECOND)
    )
    assert f"unknown   {STRANGER.public.fingerprint} (not counted)" in lines
    assert f"revoked   {REVOKED.public.fingerprint} (not counted)" in lines


def test_json_is_all_that_it_prints(file: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main.run(["verify", str(file), "--key", public(tmp_path, KEY), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["status"] == "TRUSTED"
    assert told["signers"] == [KEY.public.fingerprint]
    assert (told["name"], told["version"], told["entries"]) == ("movie-search", "1.4.0", 5)
    assert (told["unknown"], told["revoked"], told["size"]) == ([], [], file.stat().st_size)


@pytest.mark.parametrize("signed", [True, False])
def test_without_trust_the_first_line_says_so(file: Path, capsys: Capture, signed: bool) -> None:
    status = "UNTRUSTED" if signed else "UNSIGNED"
    if not signed:
        unsigned(file)
    assert main.run(["verify", str(file), "--allow-unsigned"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == f"verified  movie-search 1.4.0: {status}"
    assert shown.err.startswith(f"{status}: nobody ")


# --- exit 4: trust ----------------------------------------------------------------------------


def refused(capsys: Capture, file: Path, *options: str) -> tuple[int, str]:
    """Exit code and message; nothing is printed as a result."""
    code = main.run(["verify", str(file), *options])
    shown = capsys.readouterr()
    assert shown.out == ""
    return code, shown.err


def test_whom_to_trust_must_be_said(file: Path, capsys: Capture) -> None:
    code, message = refused(capsys, file)
    assert code == 4
    assert "whom to trust: expected exactly one of --trust, --key and --allow-unsigned" in message


def test_another_key_is_refused(file: Path, tmp_path: Path, capsys: Capture) -> None:
    code, message = refused(capsys, file, "--key", public(tmp_path, STRANGER))
    assert (code, message.startswith("error: ")) == (4, True)
    assert KEY.public.fingerprint in message


def test_an_unsigned_bundle_is_refused(file: Path, tmp_path: Path, capsys: Capture) -> None:
    code, message = refused(capsys, unsigned(file), "--key", public(tmp_path, KEY))
    assert code == 4
    assert "not signed" in message or "unsigned" in message.lower()


@pytest.mark.parametrize("keys", [(KEY,), (KEY, STRANGER), (KEY, REVOKED)])
def test_one_signature_where_two_are_wanted_is_refused(
    tmp_path: Path, capsys: Capture, keys: tuple[PrivateKey, ...]
) -> None:
    file = make_bundle(tmp_path / "bundle.tar", None, *keys)
    trust = policy(tmp_path, 2, KEY, SECOND, REVOKED)
    code, _ = refused(capsys, file, "--trust", trust)
    assert code == 4


def test_an_older_version_than_the_policy_wants_is_refused(
    file: Path, tmp_path: Path, capsys: Capture
) -> None:
    trust = policy(tmp_path, 1, KEY, minVersion="1.4.1")
    code, message = refused(capsys, file, "--trust", trust)
    assert (code, "1.4.0" in message, "1.4.1" in message) == (4, True, True)


# --- exit 3: integrity ------------------------------------------------------------------------


@pytest.mark.parametrize("options", [("--key",), ("--allow-unsigned",)])
def test_a_changed_layer_is_refused_and_named(
    tmp_path: Path, capsys: Capture, options: tuple[str, ...]
) -> None:
    contents = Contents(models={"mini": {"a.txt": b"some text of the model" * 99}})
    file = make_bundle(tmp_path / "bundle.tar", contents)
    data = file.read_bytes()
    at = data.index(b"some text of the model" * 2)
    file.write_bytes(data[:at] + b"S" + data[at + 1 :])
    given = ("--key", public(tmp_path, KEY)) if options == ("--key",) else options
    code, message = refused(capsys, file, *given)
    assert code == 3
    assert "models/mini" in message
    assert "blobs/sha256/" in message


def test_a_changed_index_is_refused(file: Path, tmp_path: Path, capsys: Capture) -> None:
    data = file.read_bytes()
    file.write_bytes(data.replace(b'"schemaVersion":2}', b'"schemaVersion":3}', 1))
    code, message = refused(capsys, file, "--key", public(tmp_path, KEY))
    assert (code, "index.json" in message) == (3, True)


def test_a_file_that_is_cut_off_is_refused(file: Path, tmp_path: Path, capsys: Capture) -> None:
    file.write_bytes(file.read_bytes()[:-1])
    assert refused(capsys, file, "--key", public(tmp_path, KEY))[0] == 3


def test_something_else_is_no_bundle(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "x.tar").write_bytes(b"\0" * 100_000)
    assert refused(capsys, tmp_path / "x.tar", "--allow-unsigned")[0] == 3


def test_a_file_that_is_not_there_is_exit_2(tmp_path: Path, capsys: Capture) -> None:
    assert refused(capsys, tmp_path / "none.tar", "--allow-unsigned")[0] == 2


@pytest.mark.parametrize("data", [b"", b"{}\n", b"\x1f\x8b\x08" + b"x" * 99_999])
def test_what_is_no_bundle_at_all_is_called_so(
    tmp_path: Path, capsys: Capture, data: bytes
) -> None:
    (tmp_path / "bundle.lock").write_bytes(data)
    code, message = refused(capsys, tmp_path / "bundle.lock", "--allow-unsigned")
    assert code == 3
    assert f"error: {tmp_path / 'bundle.lock'}: is no airbundle bundle" in message
    assert "hint: name the file that `airbundle build` wrote; unpack it first" in message


def test_a_file_that_is_cut_off_is_told_by_its_size(file: Path, capsys: Capture) -> None:
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:-1])
    _, message = refused(capsys, file, "--allow-unsigned")
    assert (
        f"bundle.tar: ends too early: has {size - 1} bytes, expected at least {size}\n" in message
    )


def test_a_threshold_that_is_not_met_names_the_sidecar_that_is_not_there(
    file: Path, tmp_path: Path, capsys: Capture
) -> None:
    _, message = refused(capsys, file, "--trust", policy(tmp_path, 2, KEY, SECOND))
    assert f"adds one with airbundle sign; {file}.sig.json is not there" in message
