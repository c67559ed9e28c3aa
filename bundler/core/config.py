"""The config of a bundle's own manifest: what an installer must know (docs/format.md, 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from bundler.core.documents.bundle import Parameter
from bundler.core.documents.checks import LINE, NAME, SEMVER, at_least, matches, unique
from bundler.core.documents.plain import to_json
from bundler.core.documents.structure import structure
from bundler.core.errors import DocumentError, IntegrityError
from bundler.core.objects.images import ImagePlace
from bundler.core.objects.manifests import ObjectId
from bundler.core.yamltext import node_of

FORMAT_VERSION = 1

_Pointer = Annotated[str, matches(r"(/([^~/]|~[01])*)+", "a JSON pointer (RFC 6901)", 65536)]


@dataclass(frozen=True)
class _Object:
    api_version: Annotated[str, LINE]
    kind: Annotated[str, LINE]
    namespace: str
    name: Annotated[str, LINE]


@dataclass(frozen=True)
class _Place:
    target: Annotated[str, NAME]
    object: _Object
    pointer: _Pointer
    occurrence: Annotated[int, at_least(0)]


@dataclass(frozen=True)
class _Config:
    format_version: int
    name: Annotated[str, NAME]
    version: Annotated[str, SEMVER]
    targets: Annotated[tuple[Annotated[str, NAME], ...], unique()]
    parameters: Annotated[tuple[Parameter, ...], unique("name")]
    image_map: Annotated[tuple[_Place, ...], unique()]
    tools: Mapping[Annotated[str, LINE], str]


@dataclass(frozen=True)
class BundleConfig:
    """Name, version, targets, parameters, places of images, and versions of tools by name."""

    name: str
    version: str
    targets: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    image_map: tuple[ImagePlace, ...]
    tools: Mapping[str, str]

    @classmethod
    def parse(cls, value: Any) -> BundleConfig:
        """The config that `to_json` gave, as `strictjson.parse` reads it; IntegrityError if not."""
        try:
            read: _Config = structure(node_of(value, "bundle config"), _Config)
            places = tuple(_place(place) for place in read.image_map)
        except (DocumentError, ValueError) as error:
            raise IntegrityError(f"bundle config: {error}") from error
        if read.format_version != FORMAT_VERSION:
            raise IntegrityError(f"bundle config: formatVersion {read.format_version} is not known")
        return cls(read.name, read.version, read.targets, read.parameters, places, read.tools)

    def to_json(self) -> dict[str, Any]:
        """The config as plain data, its keys exactly those of docs/format.md."""
        places = tuple(_written(place) for place in self.image_map)
        config = _Config(
            FORMAT_VERSION,
            self.name,
            self.version,
            self.targets,
            self.parameters,
            places,
            self.tools,
        )
        made: dict[str, Any] = to_json(config)
        return made


def _place(place: _Place) -> ImagePlace:
    found = place.object
    named = ObjectId(found.api_version, found.kind, found.namespace or None, found.name)
    return ImagePlace(place.target, named, place.pointer, place.occurrence)


def _written(place: ImagePlace) -> _Place:
    named = place.object
    written = _Object(named.api_version, named.kind, named.namespace or "", named.name)
    return _Place(place.target, written, place.pointer, place.occurrence)
