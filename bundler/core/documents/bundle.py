"""The document ``bundle.yaml``: everything that a bundle is made of, by name and source."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from bundler.core import patterns
from bundler.core.documents.checks import (
    HOST,
    INSIDE,
    LABEL,
    LINE,
    NAME,
    SEMVER,
    Check,
    Problem,
    at_least,
    matches,
    shown,
    unique,
)
from bundler.core.documents.members import About, Under
from bundler.core.documents.secretrefs import SecretRef
from bundler.core.documents.site import SiteNeeds
from bundler.core.documents.smoke import Smoke
from bundler.core.documents.structure import parse_document
from bundler.core.documents.weights import Loader, Weights
from bundler.core.errors import UsageError
from bundler.core.reference import ImageReference

_PLATFORM = matches(r"[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?", "os/arch or os/arch/variant")
_REGISTRY_HOST = matches(rf"{HOST}(:[0-9]{{1,5}})?", "a host, perhaps with a port")
_MIRROR = matches(rf"{HOST}(:[0-9]{{1,5}})?(/[a-z0-9][a-z0-9._/-]*)?", "HOST[:PORT][/PREFIX]")
_FIELD_NAME = matches(r"[A-Za-z][A-Za-z0-9_-]*", "letters, digits, - and _, a letter first", 63)
_POINTER = matches(
    r"(/([^~/\x00-\x1f]|~[01])*)+", "a JSON pointer (RFC 6901) such as /spec/replicas"
)
_GLOB = matches(r"[^/\\\x00-\x1f][^\\\x00-\x1f]*", "a pattern over paths below the source")


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model: files of a folder or of the hub, which the bundle carries byte for byte."""

    name: Annotated[str, NAME, About("The manifests name it airbundle.invalid/models/<name>.")]
    source: Annotated[
        str, LINE, About("A folder, relative to this document, or hf://ORG/NAME of a model hub.")
    ]
    revision: Annotated[
        str | None, LINE, About("Of hf://: a branch, a tag or a commit; main when there is none.")
    ] = None
    include: Annotated[
        tuple[Annotated[str, _GLOB], ...],
        unique(),
        About("Patterns of the files to take; all of them when there is none."),
    ] = ()
    exclude: Annotated[
        tuple[Annotated[str, _GLOB], ...],
        unique(),
        About("Patterns of the files to leave out, of those that are taken."),
    ] = ()
    license: Annotated[str, LINE, About("An SPDX licence expression, such as Apache-2.0.")]


@dataclass(frozen=True)
class FileSet:
    """Files that travel as they are: data sets, documents, drivers."""

    name: Annotated[str, NAME, About("Unique among the files.")]
    source: Annotated[str, LINE, About("A file or folder, relative to this document.")]
    kind: Annotated[str, NAME, About("What they are in a word: dataset, document, driver.")]


def _image(value: str) -> Iterator[Problem]:
    try:
        reference = ImageReference.parse(value)
    except UsageError:
        expected = "[HOST[:PORT]/]PATH[:TAG][@sha256:DIGEST]"
        yield Problem((), f"is {shown(value)}, expected an image, {expected}")
        return
    if reference.model:
        yield Problem((), f"is {shown(value)}, a model", "list it under spec.models")


_IMAGE = Check(_image, {"pattern": r"^[A-Za-z0-9\[][A-Za-z0-9._:/@+\[\]-]*$", "maxLength": 1024})


@dataclass(frozen=True)
class Image:
    """An image that no manifest names, or that comes from elsewhere than its own registry."""

    name: Annotated[str, _IMAGE, About("The reference, as the manifests write it.")]
    source: Annotated[
        str | None,
        LINE,
        About(
            "docker://HOST/REPO[:TAG|@DIGEST], docker-daemon:NAME[:TAG], oci:DIR[:TAG] or "
            "docker-archive:FILE; without one, the registry in its name."
        ),
    ] = None


@dataclass(frozen=True)
class Mirror:
    """Where a registry's images are fetched from instead."""

    mirror: Annotated[str, _MIRROR, About("HOST[:PORT][/PREFIX]")]


@dataclass(frozen=True)
class Manifests:
    """The Kustomize tree: a base and the overlays that are this bundle's targets."""

    base: Annotated[str, INSIDE, About("The folder of the base.")]
    overlays: Annotated[
        tuple[Annotated[str, NAME], ...],
        at_least(1),
        unique(),
        About("Names of folders in overlays/; each is a target to install."),
    ]


@dataclass(frozen=True)
class ParameterTarget:
    """One scalar of one object, which a parameter replaces."""

    kind: Annotated[str, matches(r"[A-Z][A-Za-z0-9]*", "a kind such as Deployment", 63)]
    name: Annotated[str, LINE, About("The object's metadata.name.")]
    path: Annotated[str, _POINTER, About("A JSON pointer to the scalar.")]
    namespace: Annotated[str | None, NAME, About("When the name alone is not enough.")] = None


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """Something that a site may set: typed, constrained, and placed."""

    name: Annotated[str, _FIELD_NAME, About("As in --set NAME=VALUE.")]
    type: Literal["string", "integer", "boolean", "enum"]
    default: Annotated[
        str | int | bool | None,
        About("The value where a site sets none; without it, what each target's manifests have."),
    ] = None
    required: Annotated[
        bool, About("A site must set it: what the manifests have is only an example.")
    ] = False
    description: Annotated[str, LINE, About("What it does, for whoever sets it.")]
    pattern: Annotated[str | None, About("For a string: a regular expression for all of it.")] = (
        None
    )
    values: Annotated[
        tuple[Annotated[str, LINE], ...], unique(), About("For an enum: what it may be.")
    ] = ()
    targets: Annotated[tuple[ParameterTarget, ...], at_least(1), unique()]

    schema_rules: ClassVar[Mapping[str, Any]] = {
        "allOf": [
            {
                "if": {"properties": {"required": {"const": True}}, "required": ["required"]},
                "then": {"properties": {"default": False}},
            },
            {
                "if": {"properties": {"type": {"const": "string"}}},
                "then": {"required": ["pattern"], "properties": {"default": {"type": "string"}}},
                "else": {"properties": {"pattern": False}},
            },
            {
                "if": {"properties": {"type": {"const": "enum"}}},
                "then": {
                    "required": ["values"],
                    "properties": {"default": {"type": "string"}, "values": {"minItems": 1}},
                },
                "else": {"properties": {"values": {"maxItems": 0}}},
            },
            {
                "if": {"properties": {"type": {"const": "integer"}}},
                "then": {"properties": {"default": {"type": "integer"}}},
            },
            {
                "if": {"properties": {"type": {"const": "boolean"}}},
                "then": {"properties": {"default": {"type": "boolean"}}},
            },
        ]
    }

    def problems(self) -> Iterator[Problem]:
        """What does not fit together, the default's type and value last."""
        yield from self._constraint()
        if self.default is None:
            return
        if self.required:
            problem = "is there, and the parameter is required: nothing would ever use it"
            yield Problem(("default",), problem, "leave out one of the two")
        wanted, words = {
            "integer": (int, "an integer"),
            "boolean": (bool, "true or false"),
        }.get(self.type, (str, "a string"))
        if type(self.default) is not wanted:
            hint = f'write it in quotes: "{self.default}"' if wanted is str else None
            found = repr(self.default) if isinstance(self.default, str) else str(self.default)
            if isinstance(self.default, bool):
                found = found.lower()
            yield Problem(("default",), f"is {found}, expected {words} (type: {self.type})", hint)
        elif self.pattern is not None and not re.fullmatch(self.pattern, str(self.default)):
            problem = f"is {shown(str(self.default))}, which pattern {shown(self.pattern)} refuses"
            yield Problem(("default",), problem)
        elif self.values and self.default not in self.values:
            problem = f"is {shown(str(self.default))}, expected one of {', '.join(self.values)}"
            yield Problem(("default",), problem)

    def _constraint(self) -> Iterator[Problem]:
        if self.type == "string" and self.pattern is None:
            yield Problem(("pattern",), "is missing: a string needs one", "such as [a-z0-9-]{1,63}")
        if self.type != "string" and self.pattern is not None:
            yield Problem(("pattern",), f"is only for type: string, not {self.type}")
        if self.type == "enum" and not self.values:
            yield Problem(("values",), "is missing or empty: an enum needs at least one")
        if self.type != "enum" and self.values:
            yield Problem(("values",), f"is only for type: enum, not {self.type}")
        if isinstance(self.default, str) and len(self.default) > patterns.VALUE_LENGTH:
            problem = f"is too long, expected {patterns.VALUE_LENGTH} at most"
            yield Problem(("default",), problem)
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except (re.error, OverflowError, RecursionError) as error:
                yield Problem(("pattern",), f"is no regular expression: {error}")
            if slow := patterns.problem(self.pattern):
                yield Problem(("pattern",), slow, "use one such as [a-z0-9.-]{1,63}")


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What goes into one bundle; its YAML has `kind: Bundle`, `metadata` and `spec`."""

    kind: ClassVar[str] = "Bundle"
    reserved: ClassVar[Mapping[str, str]] = {
        "requires": "is reserved for a later format, in which bundles name other bundles",
        "markings": "is reserved for a later format, in which bundles carry markings",
        "serving": "is reserved for a later kind, ModelServing",
        "training": "is reserved for a later kind, TrainingRun",
    }

    # 40 characters: names of objects are made of it, and those have 63 at most.
    name: Annotated[
        str,
        Under("metadata"),
        matches(LABEL, "lower-case letters, digits and inner dashes", 40),
        About("What the release is called on a cluster."),
    ]
    version: Annotated[
        str, Under("metadata"), SEMVER, About("SemVer 2 in quotes, without build metadata.")
    ]
    platforms: Annotated[
        tuple[Annotated[str, _PLATFORM], ...],
        Under("spec"),
        at_least(1),
        unique(),
        About("os/arch[/variant] of every image."),
    ] = ("linux/amd64",)
    models: Annotated[tuple[Model, ...], Under("spec"), unique("name")] = ()
    files: Annotated[tuple[FileSet, ...], Under("spec"), unique("name")] = ()
    images: Annotated[tuple[Image, ...], Under("spec")] = ()
    registries: Annotated[
        Mapping[Annotated[str, _REGISTRY_HOST], Mirror],
        Under("spec"),
        About("Where to fetch from instead of a registry, by its host."),
    ] = field(default_factory=dict)
    manifests: Annotated[Manifests, Under("spec")]
    parameters: Annotated[
        tuple[Parameter, ...], Under("spec"), unique("name"), About("All that a site may change.")
    ] = ()
    policy: Annotated[
        str | None, Under("spec"), INSIDE, About("The Policy document of this bundle.")
    ] = None
    smoke: Annotated[
        tuple[Smoke, ...],
        Under("spec"),
        About("What the release is asked, through the API server, as the last step of an install."),
    ] = ()
    secret_refs: Annotated[
        tuple[SecretRef, ...],
        Under("spec"),
        About("Secrets that must be there before an install, and never travel."),
    ] = ()
    loader: Annotated[
        Loader | None, Under("spec"), About("The image that fetches weights inside of a cluster.")
    ] = None
    weights: Annotated[
        Mapping[Annotated[str, NAME], Weights],
        Under("spec"),
        About("How models arrive, by target; as image volumes where a target is not named."),
    ] = field(default_factory=dict)
    site: Annotated[
        SiteNeeds | None,
        Under("spec"),
        About("What pods need to reach a site's registry, made of the site's own files."),
    ] = None

    def problems(self) -> Iterator[Problem]:
        """Images that are one and the same, and places that two parameters set."""
        first: dict[object, str] = {}
        for index, image in enumerate(self.images):
            key = str(ImageReference.parse(image.name).with_default_tag())
            here = f"spec.images[{index}]"
            if (earlier := first.setdefault(key, here)) != here:
                problem = f"is the same image as {earlier} ({key})"
                yield Problem(("spec", "images", index, "name"), problem)
        for index, parameter in enumerate(self.parameters):
            for number, target in enumerate(parameter.targets):
                here = f"spec.parameters[{index}]"
                if (earlier := first.setdefault(target, here)) != here:
                    problem = f"is set by {earlier} already"
                    yield Problem(("spec", "parameters", index, "targets", number), problem)
        yield from self._secret_refs()
        yield from self._weights()

    def _secret_refs(self) -> Iterator[Problem]:
        first: dict[tuple[str, str], int] = {}
        for index, each in enumerate(self.secret_refs):
            if (earlier := first.setdefault((each.namespace, each.name), index)) != index:
                problem = f"is the same Secret as spec.secretRefs[{earlier}]"
                hint = "name all of its keys there"
                yield Problem(("spec", "secretRefs", index, "name"), problem, hint)

    def _weights(self) -> Iterator[Problem]:
        for target in self.weights:
            if target not in self.manifests.overlays:
                problem = f"is no target, expected one of {', '.join(self.manifests.overlays)}"
                yield Problem(("spec", "weights", target), problem)
            if self.loader is None:
                hint = "spec.loader: {image: python:3.13-slim, installer: airbundle.pyz}"
                problem = "needs spec.loader, the image that fetches the weights, found none"
                yield Problem(("spec", "weights", target), problem, hint)


def parse_bundle(text: str, where: str) -> Bundle:
    """The Bundle in the YAML `text`; DocumentError names `where`, line and field."""
    return parse_document(text, where, Bundle)
