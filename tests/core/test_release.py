"""The signed statement: one spelling, and every other text refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bundler.core import strictjson
from bundler.core.digest import Digest
from bundler.core.errors import TrustError
from bundler.core.release import MAX_INDEX_SIZE, Release, claimed_name, parse_statement

RELEASE = Release("movie-search", "1.4.0", Digest.of(b"an index"), 8)
SHA256 = RELEASE.index.hex

SPELLING = (
    '{"_type":"https://in-toto.io/Statement/v1","predicate":{"formatVersion":1,"indexSize":8,'
    '"name":"movie-search","version":"1.4.0"},"predicateType":"https://airbundle.dev/release/v1",'
    f'"subject":[{{"digest":{{"sha256":"{SHA256}"}},"name":"index.json"}}]}}'
)

Bend = Callable[[dict[str, Any]], object]


def test_the_spelling_of_a_statement() -> None:
    assert RELEASE.statement().decode() == SPELLING


@pytest.mark.parametrize(
    "release",
    [
        RELEASE,
        Release("a", "0.0.1-rc.1", Digest.of(b""), 1),
        Release("a" * 63, "10.20.30", Digest.of(b"x"), MAX_INDEX_SIZE),
    ],
)
def test_parsing_is_the_inverse_of_stating(release: Release) -> None:
    assert parse_statement(release.statement()) == release


def _put(*path: str | int, value: object) -> Bend:
    def bend(data: dict[str, Any]) -> None:
        place: Any = data
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return bend


def _drop(*path: str | int) -> Bend:
    def bend(data: dict[str, Any]) -> None:
        place: Any = data
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return bend


SUBJECT = {"name": "index.json", "digest": {"sha256": SHA256}}

BENT: dict[str, tuple[Bend, str]] = {
    "another statement type": (
        _put("_type", value="https://in-toto.io/Statement/v0.1"),
        "_type: expected",
    ),
    "another predicate type": (
        _put("predicateType", value="https://in-toto.io/attestation/test-result/v0.1"),
        "predicateType: expected",
    ),
    "a later predicate type": (
        _put("predicateType", value="https://airbundle.dev/release/v2"),
        "predicateType: expected",
    ),
    "no subject": (_put("subject", value=[]), "expected exactly one subject, found 0"),
    "two subjects": (_put("subject", value=[SUBJECT, SUBJECT]), "exactly one subject, found 2"),
    "a subject that is no list": (_put("subject", value=SUBJECT), "exactly one subject, found no"),
    "another subject": (_put("subject", 0, "name", value="oci-layout"), "subject[0].name: exp"),
    "another digest's name": (
        _put("subject", 0, "digest", value={"sha512": SHA256}),
        "unknown member 'sha512'",
    ),
    "a second digest": (
        _put("subject", 0, "digest", "sha1", value="0" * 40),
        "unknown member 'sha1'",
    ),
    "no digest": (_put("subject", 0, "digest", value={}), "lacks 'sha256'"),
    "an upper-case digest": (
        _put("subject", 0, "digest", "sha256", value=SHA256.upper()),
        "expected sha256:<64 hex digits>",
    ),
    "a short digest": (_put("subject", 0, "digest", "sha256", value=SHA256[:-1]), "expected sha"),
    "a digest that is no string": (_put("subject", 0, "digest", "sha256", value=1), "a string"),
    "an unknown field at the top": (_put("note", value=""), "unknown member 'note'"),
    "an unknown field of the subject": (
        _put("subject", 0, "uri", value=""),
        "subject[0]: unknown member 'uri'",
    ),
    "an unknown field of the predicate": (
        _put("predicate", "note", value=""),
        "predicate: unknown member 'note'",
    ),
    "no predicate": (_drop("predicate"), "lacks 'predicate'"),
    "a predicate that is no object": (_put("predicate", value=[]), "predicate: expected an object"),
    "no format version": (_drop("predicate", "formatVersion"), "lacks 'formatVersion'"),
    "a later format": (_put("predicate", "formatVersion", value=2), "formatVersion: expected 1"),
    "a format that is true": (_put("predicate", "formatVersion", value=True), "an integer"),
    "a format that is a string": (_put("predicate", "formatVersion", value="1"), "an integer"),
    "a name with capitals": (_put("predicate", "name", value="Movie"), "is no name of a bundle"),
    "an empty name": (_put("predicate", "name", value=""), "is no name of a bundle"),
    "a name with a newline": (_put("predicate", "name", value="movie\n"), "is no name of a bundle"),
    "a long name": (_put("predicate", "name", value="a" * 64), "is no name of a bundle"),
    "a name that is no string": (_put("predicate", "name", value=1), "name: expected a string"),
    "a version that is a number": (_put("predicate", "version", value=1), "expected a string"),
    "a version that is none": (_put("predicate", "version", value="1.4"), "predicate.version"),
    "a version with build metadata": (
        _put("predicate", "version", value="1.4.0+b1"),
        "predicate.version",
    ),
    "an empty index": (_put("predicate", "indexSize", value=0), "indexSize: 0 is not from 1"),
    "a large index": (_put("predicate", "indexSize", value=MAX_INDEX_SIZE + 1), "indexSize"),
    "an index size that is true": (_put("predicate", "indexSize", value=True), "an integer"),
    "an index size that is null": (_put("predicate", "indexSize", value=None), "an integer"),
}


@pytest.mark.parametrize("name", BENT)
def test_a_bent_statement_is_refused(name: str) -> None:
    bend, problem = BENT[name]
    data = json.loads(RELEASE.statement())
    bend(data)
    with pytest.raises(TrustError) as refusal:
        parse_statement(strictjson.canonical(data))
    assert problem in refusal.value.message


TEXTS = {
    "nothing": b"",
    "no JSON": b"release",
    "an array": b"[]",
    "null": b"null",
    "not UTF-8": b'{"_type":"\xff"}',
    "a space more": SPELLING.encode() + b" ",
    "a newline at the end": SPELLING.encode() + b"\n",
    "a byte order mark": b"\xef\xbb\xbf" + SPELLING.encode(),
    "an escape": SPELLING.replace("movie", r"\u006dovie").encode(),
    "indented": json.dumps(json.loads(SPELLING), indent=1).encode(),
    "another order": json.dumps(
        dict(reversed(json.loads(SPELLING).items())), separators=(",", ":")
    ).encode(),
    "a name twice": SPELLING.replace('"name":"m', '"name":"other","name":"m').encode(),
    "a name twice, but for case": SPELLING.replace(
        '"name":"m', '"Name":"other","name":"m'
    ).encode(),
    "1.0 for 1": SPELLING.replace('Version":1', 'Version":1.0').encode(),
    "deep": b"[" * 30_000 + b"]" * 30_000,
}


@pytest.mark.parametrize("name", TEXTS)
def test_another_text_is_refused(name: str) -> None:
    with pytest.raises(TrustError, match="the signed statement"):
        parse_statement(TEXTS[name])


def test_the_claimed_name_is_the_stated_one() -> None:
    assert claimed_name(RELEASE.statement()) == "movie-search"


NAMELESS = {
    "nothing": b"",
    "an array": b"[]",
    "an empty object": b"{}",
    "a predicate that is no object": b'{"predicate":[]}',
    "an empty predicate": b'{"predicate":{}}',
    "a number": b'{"predicate":{"name":1}}',
    "a pattern": b'{"predicate":{"name":"*"}}',
    "a newline": b'{"predicate":{"name":"movie\\n"}}',
    "two names": b'{"predicate":{"name":"a","name":"b"}}',
    "half a surrogate pair": b'{"predicate":{"name":"\\ud800"}}',
    "deep arrays": b"[" * 60_000,
    "deep objects": b'{"predicate":' * 4_000,
    "a huge number": b"9" * 60_000,
}


@pytest.mark.parametrize("name", NAMELESS)
def test_no_name_is_taken_from_a_hostile_payload(name: str) -> None:
    with pytest.raises(TrustError, match="the signed statement"):
        claimed_name(NAMELESS[name])
