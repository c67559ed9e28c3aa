"""What is installed in an image: one value for the scan, its cache and the bill of materials."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from bundler.core import strictjson
from bundler.core.errors import IntegrityError

Kind = Literal["deb", "pypi"]


@dataclass(frozen=True, order=True)
class Package:
    """An installed package, named as its own system names it.

    `arch` and `source` (``name`` or ``name@version`` of the source package, where that differs)
    are Debian's; `license` is what the package says of itself, as it says it.
    """

    kind: Kind
    name: str
    version: str
    arch: str = ""
    source: str = ""
    license: str = ""


@dataclass(frozen=True, order=True)
class Unread:
    """A place in an image that should say what is installed, and could not be read: why not."""

    path: str
    problem: str


@dataclass(frozen=True)
class ImagePackages:
    """What is installed in an image: sorted, each once; `distro` is os-release's ID, VERSION_ID.

    `unread` is empty when everything that was found was understood.
    """

    distro: tuple[str, str] | None = None
    packages: tuple[Package, ...] = ()
    unread: tuple[Unread, ...] = ()

    def dump(self) -> bytes:
        """Canonical JSON, for a cache; `parse` is its inverse."""
        return strictjson.canonical(
            {
                "distro": list(self.distro) if self.distro else [],
                "packages": [asdict(package) for package in self.packages],
                "unread": [asdict(place) for place in self.unread],
            }
        )


def parse(data: bytes, where: str) -> ImagePackages:
    """What `ImagePackages.dump` wrote; IntegrityError, naming `where`, for anything else."""
    value = strictjson.parse(data, where)
    if not isinstance(value, dict) or value.keys() != {"distro", "packages", "unread"}:
        raise IntegrityError(f"{where}: expected exactly distro, packages and unread")
    distro = _texts(value["distro"], where)
    if len(distro) not in (0, 2):
        raise IntegrityError(f"{where}: expected a distro of two strings, or none")
    packages, unread = _list(value, "packages", where), _list(value, "unread", where)
    return ImagePackages(
        (distro[0], distro[1]) if distro else None,
        tuple(Package(**_members(item, Package, where)) for item in packages),
        tuple(Unread(**_members(item, Unread, where)) for item in unread),
    )


def _list(value: dict[str, Any], key: str, where: str) -> Iterable[Any]:
    if not isinstance(value[key], list):
        raise IntegrityError(f"{where}: {key}: expected a list")
    found: list[Any] = value[key]
    return found


def _texts(value: object, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise IntegrityError(f"{where}: expected only strings")
    return value


def _members(value: object, kind: type[Package | Unread], where: str) -> dict[str, Any]:
    names = set(kind.__dataclass_fields__)
    if not isinstance(value, dict) or value.keys() != names:
        raise IntegrityError(f"{where}: expected exactly {', '.join(sorted(names))}")
    _texts(list(value.values()), where)
    if kind is Package and value["kind"] not in get_args(Kind):
        raise IntegrityError(f"{where}: expected a known kind, found {value['kind']!r:.40}")
    return value
