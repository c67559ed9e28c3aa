"""What package systems write down: dpkg's status, Python's metadata, os-release."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bundler.core.bom.packages import Package
from bundler.scan.layerbytes import UnreadableError

# What is gone but for its configuration, or was never there (dpkg-query(1), "package status").
_GONE = frozenset({"not-installed", "config-files"})
_SOURCE = re.compile(r"(\S+)(?: \((\S+)\))?")
_OS_RELEASE = re.compile(r"""^(ID|VERSION_ID)=["']?([A-Za-z0-9._+~-]+)["']?\s*$""", re.MULTILINE)
_CLASSIFIER = "License :: "
_MAX_VALUE = 300
_MAX_LICENSE = 1000

Fields = dict[str, list[str]]


def dpkg_packages(data: bytes) -> tuple[Package, ...]:
    """The packages of dpkg's status file that are there; UnreadableError for a bad paragraph.

    The format is that of deb-control(5) and dpkg's `lib/dpkg/parse.c`.
    """
    text = data.decode("utf-8", "replace")
    found = (_dpkg_package(fields) for fields in _paragraphs(text))
    return tuple(package for package in found if package)


def _dpkg_package(fields: Fields) -> Package | None:
    name, version = _one(fields, "package"), _one(fields, "version")
    status = _one(fields, "status").split()
    if status and status[-1] in _GONE:
        return None
    if not name or not version:
        raise UnreadableError(f"has a paragraph without Package or Version ({name or 'no name'})")
    return Package("deb", name, version, _one(fields, "architecture"), _source(fields, version))


def _source(fields: Fields, version: str) -> str:
    """``name`` or ``name@version`` of the source package, as far as it differs."""
    match = _SOURCE.fullmatch(_one(fields, "source"))
    if match is None:
        return ""
    return f"{match[1]}@{match[2]}" if match[2] and match[2] != version else match[1]


def python_package(data: bytes) -> Package:
    """The package of a METADATA or PKG-INFO; UnreadableError when it has no name or version.

    https://packaging.python.org/en/latest/specifications/core-metadata/.
    """
    text = data.decode("utf-8", "replace").lstrip("\ufeff")
    fields = next(_paragraphs(text, strict=False), {})
    name, version = _one(fields, "name"), _one(fields, "version")
    if not name or not version:
        raise UnreadableError("has no Name or no Version")
    return Package("pypi", name, version, license=_license(fields))


def _license(fields: Fields) -> str:
    """The expression; else the field, which may hold a whole text; else the classifiers."""
    for field in ("license-expression", "license"):
        stated = fields.get(field, [""])[0].strip()
        if stated and stated != "UNKNOWN" and "\n" not in stated and len(stated) < _MAX_LICENSE:
            return stated
    named = [
        value.split(" :: ")[-1].strip()
        for value in fields.get("classifier", [])
        if value.startswith(_CLASSIFIER) and value.count(" :: ") > 1
    ]
    return " AND ".join(named)[:_MAX_LICENSE]


def distro(data: bytes) -> tuple[str, str]:
    """ID and VERSION_ID of os-release(5); "" for what it does not say."""
    found = dict(_OS_RELEASE.findall(data.decode("utf-8", "replace")))
    return found.get("ID", ""), found.get("VERSION_ID", "")


def _paragraphs(text: str, strict: bool = True) -> Iterator[Fields]:
    """Fields by name in lower case, paragraph by paragraph; lines that go on begin with a space.

    Old tools wrote licences into PKG-INFO as they were: if not `strict`, what is no field is left.
    """
    fields: Fields = {}
    values: list[str] = []
    for line in text.split("\n"):
        line = line.rstrip("\r")
        if line[:1] in (" ", "\t"):
            if line.strip() and values:
                values[-1] += "\n" + line.strip()
        elif line:
            name, colon, value = line.partition(":")
            if not colon and strict:
                raise UnreadableError(f"has a line that is no field: {line[:60]!r}")
            values = fields.setdefault(name.lower(), [])
            values.append(value.strip())
        elif fields:
            yield fields
            fields, values = {}, []
    if fields:
        yield fields


def _one(fields: Fields, name: str) -> str:
    """A field that has one short line, without characters that nobody can print."""
    value = fields.get(name, [""])[0]
    if len(value) > _MAX_VALUE or not value.isprintable():
        raise UnreadableError(f"has a field {name!r} that is too long or can't be printed")
    return value
