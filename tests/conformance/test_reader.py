"""Two readers, one verdict: ours, and the one in tests/reader that knows docs/format.md alone."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from bundler.core.errors import IntegrityError, TrustError
from bundler.sign.keys import Algorithm, PrivateKey
from bundler.sign.open import open_bundle
from bundler.sign.slot import sidecar_path
from bundler.signing import sign_bundle
from tests.hostile.cases import cases, rearranged
from tests.hostile.forging import make_parts
from tests.hostile.test_cases import members, verdict
from tests.making import KEY, Contents, make_bundle

Verify = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def reader(tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Verify:
    """The other reader's verdict on each of some files."""
    program = tool("reader")
    public = tmp_path_factory.mktemp("reader") / "key.pub"
    public.write_bytes(KEY.public.pem())

    def verify(files: Iterable[Path], *options: str | Path) -> dict[str, str]:
        named = options or ("--key", public)
        argv = [program, "verify", *named, *files]
        done = subprocess.run(argv, capture_output=True, text=True)
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        assert done.returncode in (0, 3, 4), done.stderr
        return {Path(line[0]).name: line[1] for line in lines}

    return verify


def test_every_case_of_the_table(reader: Verify, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    expected = {}
    for number, case in enumerate(cases()):
        path = tmp_path / f"{number}.tar"
        path.write_bytes(case.make(make_parts(parts)))
        expected[path.name] = f"{case.name}: {case.expected}"
    found = reader(tmp_path / name for name in expected)
    names = {name: text.rpartition(": ")[0] for name, text in expected.items()}
    assert {name: f"{names[name]}: {result}" for name, result in found.items()} == expected


def test_every_member_rearranged(reader: Verify, tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "good.tar")
    expected = {path.name: "ok"}
    for number, (_, data) in enumerate(rearranged(path.read_bytes(), members(path))):
        hostile = tmp_path / f"{number}.tar"
        hostile.write_bytes(data)
        expected[hostile.name] = verdict(hostile)
    assert reader(tmp_path / name for name in expected) == expected


def test_flipped_bits_and_cuts(reader: Verify, tmp_path: Path) -> None:
    """A bit in every 61st byte, and every boundary: the same verdict, trust or integrity."""
    good = make_bundle(tmp_path / "good.tar", Contents(images={}, files={})).read_bytes()
    changed = [
        (n, good[:n] + bytes([good[n] ^ 1]) + good[n + 1 :]) for n in range(0, len(good), 61)
    ]
    changed += [(-n, good[:n]) for n in range(0, len(good), 512)]
    for at in range(0, len(changed), 200):
        expected = {}
        for number, data in changed[at : at + 200]:
            path = tmp_path / f"{number}.tar"
            path.write_bytes(data)
            expected[path.name] = verdict(path)
        assert reader(tmp_path / name for name in expected) == expected
        assert "ok" not in expected.values()
        for name in expected:
            (tmp_path / name).unlink()


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_every_algorithm_in_slot_and_sidecar(
    algorithm: Algorithm, reader: Verify, tmp_path: Path
) -> None:
    key = PrivateKey.generate(algorithm)
    public = tmp_path / "other.pub"
    public.write_bytes(key.public.pem())
    in_slot = make_bundle(tmp_path / "slot.tar", None, key)
    beside = make_bundle(tmp_path / "beside.tar")
    sign_bundle(beside, key, in_place=False)
    found = reader([in_slot, beside], "--key", public)
    assert found == {"slot.tar": "ok", "beside.tar": "ok"}
    sidecar = sidecar_path(beside)
    text = sidecar.read_bytes()
    for number, bent in enumerate((text + b"\n", text[:-1], b"", b" " * 9, text + bytes(65_536))):
        copy = tmp_path / f"{number}.tar"
        copy.write_bytes(beside.read_bytes())
        sidecar_path(copy).write_bytes(bent)
        assert reader([copy]) == {copy.name: "trust"}
        with pytest.raises(TrustError):
            open_bundle(copy, KEY.public)


def test_without_a_key_both_still_hold_the_bundle_together(reader: Verify, tmp_path: Path) -> None:
    parts = make_parts(tmp_path)
    parts.slot = b" " * 65_536
    unsigned = tmp_path / "unsigned.tar"
    unsigned.write_bytes(parts.file())
    damaged = tmp_path / "damaged.tar"
    data = bytearray(unsigned.read_bytes())
    data[-2000] ^= 1
    damaged.write_bytes(data)
    found = reader([unsigned, damaged], "--allow-unsigned")
    assert found == {"unsigned.tar": "ok", "damaged.tar": "integrity"}
    with open_bundle(unsigned, None) as bundle:
        assert bundle.status == "UNSIGNED"
    with pytest.raises(IntegrityError), open_bundle(damaged, None) as bundle:
        bundle.verify_blobs()
