"""Our reader's verdict on every hostile bundle of the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundler.core.errors import BundlerError, IntegrityError, TrustError
from bundler.sign.open import open_bundle
from tests.hostile.cases import Case, cases, rearranged
from tests.hostile.forging import make_parts
from tests.making import KEY, make_bundle

VERDICTS = {IntegrityError: "integrity", TrustError: "trust"}


def verdict(path: Path) -> str:
    try:
        with open_bundle(path, KEY.public) as bundle:
            bundle.verify_blobs()
    except BundlerError as error:
        return VERDICTS[type(error)]
    return "ok"


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_verdict(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "hostile.tar"
    path.write_bytes(case.make(make_parts(tmp_path)))
    assert verdict(path) == case.expected


def members(path: Path) -> list[tuple[str, int, int]]:
    """Name, first and last byte of every member."""
    with open_bundle(path, KEY.public) as bundle:
        contents = bundle._contents
        blobs = [(p.member.name, p.start, p.end) for p in contents.places.values()]
    blobs.sort(key=lambda member: member[1])
    fixed = [("airbundle.sig.json", 0, 66_048), ("oci-layout", 66_048, 67_072)]
    return [*fixed, ("index.json", 67_072, blobs[0][1]), *blobs]


def test_every_member_removed_doubled_renamed_moved(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "good.tar")
    good, places = path.read_bytes(), members(path)
    hostile = tmp_path / "hostile.tar"
    accepted = []
    count = 0
    for name, data in rearranged(good, places):
        hostile.write_bytes(data)
        count += 1
        if verdict(hostile) == "ok":
            accepted.append(name)
    assert accepted == []
    assert count > 4 * len(places)
