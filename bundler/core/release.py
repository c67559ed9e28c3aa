"""The statement that a signature vouches for: what is released, under which name and version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from bundler.core import strictjson
from bundler.core.digest import Digest
from bundler.core.documents.checks import NAME
from bundler.core.errors import IntegrityError, TrustError
from bundler.core.version import Version

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://airbundle.dev/release/v1"
SUBJECT = "index.json"
FORMAT_VERSION = 1
MAX_INDEX_SIZE = 16 * 1024 * 1024
_WHAT = "the signed statement"


@dataclass(frozen=True)
class Release:
    """A bundle as it is signed: its name, its version (SemVer 2), its index.

    `index` is the sha256 of ``index.json``, which is the bundle's identity; `index_size` its
    size in bytes, at most 16 MiB. A value that exists is valid; TrustError otherwise.
    """

    name: str
    version: str
    index: Digest
    index_size: int

    def __post_init__(self) -> None:
        if not is_name(self.name):
            _refuse("predicate.name", f"{self.name[:80]!r} is no name of a bundle")
        _check_version(self.version)
        if not 0 < self.index_size <= MAX_INDEX_SIZE:
            _refuse("predicate.indexSize", f"{self.index_size} is not from 1 to {MAX_INDEX_SIZE}")

    def statement(self) -> bytes:
        """The in-toto Statement v1 (in-toto/attestation, spec/v1) in its canonical spelling."""
        predicate = {
            "formatVersion": FORMAT_VERSION,
            "indexSize": self.index_size,
            "name": self.name,
            "version": self.version,
        }
        return strictjson.canonical(
            {
                "_type": STATEMENT_TYPE,
                "subject": [{"digest": {"sha256": self.index.hex}, "name": SUBJECT}],
                "predicateType": PREDICATE_TYPE,
                "predicate": predicate,
            }
        )


def is_name(text: str) -> bool:
    """Whether `text` may name a bundle: a DNS label, 1 to 63 of a-z, 0-9 and inner dashes."""
    return not any(NAME.problems(text))


def parse_statement(payload: bytes) -> Release:
    """The release that `payload` states: the inverse of `Release.statement`.

    Give it exactly the bytes whose signatures were verified. A statement of another kind, with
    another subject, an unknown field or another spelling is refused with TrustError.
    """
    statement = _members(_parse(payload), "", ("_type", "subject", "predicateType", "predicate"))
    _expect(statement["_type"], STATEMENT_TYPE, "_type")
    _expect(statement["predicateType"], PREDICATE_TYPE, "predicateType")
    predicate = _members(
        statement["predicate"], "predicate", ("formatVersion", "indexSize", "name", "version")
    )
    _expect(_integer(predicate, "formatVersion"), FORMAT_VERSION, "predicate.formatVersion")
    release = Release(
        _text(predicate, "name"),
        _text(predicate, "version"),
        _parse_subject(statement["subject"]),
        _integer(predicate, "indexSize"),
    )
    if release.statement() != payload:
        raise TrustError(f"{_WHAT} is not in its canonical spelling")
    return release


def claimed_name(payload: bytes) -> str:
    """The name in a statement that nobody has verified yet: good to look up a rule, no more.

    Refuses with TrustError what has no well-formed name where a release has it.
    """
    statement = _parse(payload)
    predicate = statement.get("predicate") if isinstance(statement, dict) else None
    name = predicate.get("name") if isinstance(predicate, dict) else None
    if not isinstance(name, str) or not is_name(name):
        raise TrustError(f"{_WHAT} names no bundle, so no rule of the trust policy can be chosen")
    return name


def _parse(payload: bytes) -> Any:
    try:
        return strictjson.parse(payload, _WHAT)
    except IntegrityError as error:
        raise TrustError(error.message) from error


def _parse_subject(subjects: object) -> Digest:
    if not isinstance(subjects, list) or len(subjects) != 1:
        count = len(subjects) if isinstance(subjects, list) else "no list"
        _refuse("subject", f"expected exactly one subject, found {count}")
    subject = _members(subjects[0], "subject[0]", ("digest", "name"))
    _expect(subject["name"], SUBJECT, "subject[0].name")
    digests = _members(subject["digest"], "subject[0].digest", ("sha256",))
    try:
        return Digest.parse(f"sha256:{_text(digests, 'sha256')}")
    except IntegrityError as error:
        raise TrustError(f"{_WHAT}: subject[0].digest: {error.message}") from error


def _check_version(text: str) -> None:
    try:
        Version.parse(text)
    except ValueError as error:
        raise TrustError(f"{_WHAT}: predicate.version: {text[:80]!r} {error}") from error


def _members(value: object, field: str, names: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(field, "expected an object")
    for name in sorted(value.keys() - set(names)):
        _refuse(field, f"unknown member {name[:80]!r}")
    for name in names:
        if name not in value:
            _refuse(field, f"lacks {name!r}")
    return value


def _text(members: dict[str, Any], name: str) -> str:
    value = members[name]
    if not isinstance(value, str):
        _refuse(name, f"expected a string, found {str(value)[:80]}")
    return value


def _integer(members: dict[str, Any], name: str) -> int:
    value = members[name]
    if type(value) is not int:  # True is an int too, and equal to 1
        _refuse(name, f"expected an integer, found {str(value)[:80]}")
    return value


def _expect(found: object, expected: object, field: str) -> None:
    if found != expected:
        _refuse(field, f"expected {expected!r}, found {str(found)[:200]!r}")


def _refuse(field: str, problem: str) -> NoReturn:
    raise TrustError(f"{_WHAT}: {field}: {problem}" if field else f"{_WHAT}: {problem}")
