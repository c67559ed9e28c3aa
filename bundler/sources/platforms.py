"""Platforms: as a spec writes them, as an index describes them, as an image's config has them.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md, the property `platform`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bundler.core.errors import SourceError
from bundler.core.strictjson import fold

_KNOWN = ("architecture", "os", "os.features", "os.version", "rootfs", "variant")

# The variants that are meant when none is written, as containerd's platforms.Normalize has them.
_DEFAULT_VARIANT = {("arm64", "v8"): "", ("amd64", "v1"): "", ("arm", ""): "v7"}


@dataclass(frozen=True, order=True)
class Platform:
    """Operating system, architecture, variant; `extra` holds what else tells two images apart."""

    os: str
    architecture: str
    variant: str = ""
    extra: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """``linux/arm64`` or ``linux/arm/v7``; SourceError otherwise."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(parts):
            raise SourceError(f"platform {text!r}: expected os/architecture[/variant]")
        return cls.of(dict(zip(("os", "architecture", "variant"), parts, strict=False)), text)

    @classmethod
    def of(cls, value: Mapping[str, Any], where: str) -> Platform:
        """The platform in an index's descriptor or in a config; SourceError if it is none."""
        parts = [value.get(key, "") for key in ("os", "architecture", "variant", "os.version")]
        features = value.get("os.features") or []
        texts = [*parts, *features] if isinstance(features, list) else [None]
        if not all(isinstance(part, str) for part in texts) or not all(parts[:2]):
            raise SourceError(f"{where}: expected a platform with os and architecture as strings")
        os, architecture, variant, version = parts
        variant = _DEFAULT_VARIANT.get((architecture, variant), variant)
        return cls(os, architecture, variant, " ".join([version, *sorted(features)]).strip())

    @property
    def is_attestation(self) -> bool:
        """Whether this marks a statement about images rather than an image, as buildkit does."""
        return (self.os, self.architecture) == ("unknown", "unknown")

    def __str__(self) -> str:
        parts = (self.os, self.architecture, self.variant)
        return "/".join(filter(None, parts)) + (f" ({self.extra})" if self.extra else "")


def parse_config(data: bytes, where: str) -> dict[str, Any]:
    """An image's config, of which we read the members about the platform and the layers.

    The rest is the image's own affair (labels may well differ only in case); but a member that
    two parsers would read differently is refused. SourceError.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise SourceError(f"{where}: a key stands twice in one object")
        return found

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{where}: is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise SourceError(f"{where}: expected an object")
    for key in value:
        if fold(key) in _KNOWN and key not in _KNOWN:
            raise SourceError(f"{where}: key {key!r} is not {fold(key)!r}, but Go reads it so")
    return value


def match(asked: Iterable[str], found: Iterable[Platform], where: str) -> dict[Platform, str]:
    """Each platform that was asked for and is there, with the text that asked for it.

    SourceError, naming what is there, when one is missing or two images could be meant.
    """
    there = tuple(found)
    matched: dict[Platform, str] = {}
    for text in asked:
        wanted = Platform.parse(text)
        fits = [p for p in there if (p.os, p.architecture, p.variant) == _core(wanted)]
        if len(fits) != 1:
            names = ", ".join(sorted(map(str, there))) or "no platform"
            problem = f"{len(fits)} images for" if fits else "no"
            raise SourceError(
                f"{where}: has {problem} {text}; there is {names}",
                None if fits else "list in spec.platforms only what every image is there for",
            )
        matched[fits[0]] = text
    return matched


def _core(platform: Platform) -> tuple[str, str, str]:
    return platform.os, platform.architecture, platform.variant
