"""What package systems write down: dpkg's status, Python's metadata, os-release."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from bundler.core.bom.packages import Package
from bundler.scan import rootfs
from bundler.scan.layerbytes import UnreadableError

# What one file may say. Debian has 60,000 packages; one of PyPI, a hundred classifiers.
MAX_PACKAGES = 200_000
MAX_FIELDS = 10_000
MAX_RELEASE = 64 * 1024
# What is gone but for its configuration, or was never there (dpkg-query(1), "package status").
_GONE = frozenset({"not-installed", "config-files"})
_SOURCE = re.compile(r"(\S+)(?: \((\S+)\))?")
_OS_RELEASE = re.compile(r"""^(ID|VERSION_ID)=["']?([A-Za-z0-9._+~-]+)["']?\s*$""", re.MULTILINE)
_CLASSIFIER = "License :: "
_MAX_VALUE = 300
_MAX_LICENSE = 1000
# Bytes: what is read of a line, which is more than any field that counts may have.
_MAX_LINE = 4096
_DPKG = frozenset({"package", "version", "status", "architecture", "source"})
_PYTHON = frozenset({"name", "version", "license-expression", "license", "classifier"})

Fields = dict[str, list[str]]


def dpkg_packages(data: bytes) -> tuple[Package, ...]:
    """The packages of dpkg's status file that are there; UnreadableError for a bad paragraph.

    The format is that of deb-control(5) and dpkg's `lib/dpkg/parse.c`.
    """
    found: list[Package] = []
    weight = 0
    for number, fields in enumerate(_paragraphs(data, _DPKG)):
        if number == MAX_PACKAGES:
            raise UnreadableError(f"has more than {MAX_PACKAGES} packages")
        package = _dpkg_package(fields)
        if package:
            found.append(package)
            weight += rootfs.weight_of(package)
        if weight > rootfs.MAX_KEPT:
            raise UnreadableError("has more packages than are kept")
    return tuple(found)


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
    fields = next(_paragraphs(data.removeprefix(codecs.BOM_UTF8), _PYTHON, strict=False), {})
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
    if len(data) > MAX_RELEASE:
        raise UnreadableError(f"has {len(data)} bytes, more than {MAX_RELEASE}")
    found = dict(_OS_RELEASE.findall(data.decode("utf-8", "replace")))
    return found.get("ID", ""), found.get("VERSION_ID", "")


def _lines(data: bytes) -> Iterator[str]:
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        line = data[start : min(end, start + _MAX_LINE)]
        yield line.decode("utf-8", "replace").rstrip("\r")
        start = end + 1


def _paragraphs(data: bytes, wanted: frozenset[str], strict: bool = True) -> Iterator[Fields]:
    """Fields by name in lower case, paragraph by paragraph; lines that go on begin with a space.

    Those that are not `wanted` are looked at, and not kept; no line is read before its turn.
    Old tools wrote licences into PKG-INFO as they were: if not `strict`, what is no field is left.
    """
    fields: Fields = {}
    values: list[str] = []
    number = 0
    for line in _lines(data):
        if line[:1] in (" ", "\t"):
            if line.strip() and values and len(values[-1]) < _MAX_LICENSE:
                values[-1] += "\n" + line.strip()
        elif line:
            name, colon, value = line.partition(":")
            if not colon and strict:
                raise UnreadableError(f"has a line that is no field: {line[:60]!r}")
            number += 1
            if number > MAX_FIELDS:
                raise UnreadableError(f"has a paragraph of more than {MAX_FIELDS} fields")
            name = name.lower()
            values = fields.setdefault(name, []) if name in wanted else []
            values.append(value.strip())
        elif number:
            yield fields
            fields, values, number = {}, [], 0
    if number:
        yield fields


def _one(fields: Fields, name: str) -> str:
    """A field that has one short line, without characters that nobody can print."""
    value = fields.get(name, [""])[0]
    if len(value) > _MAX_VALUE or not value.isprintable():
        raise UnreadableError(f"has a field {name!r} that is too long or can't be printed")
    return value
