"""``spec.smoke``: what a release is asked when it is ready, and what it has to answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from bundler.core.documents.checks import (
    NAME,
    Check,
    Problem,
    at_least,
    matches,
    shown,
)
from bundler.core.documents.members import About

LONGEST_BODY = 65536

_PORT_NAME = re.compile(r"(https:)?[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
_POINTER = matches(r"(/([^~/\x00-\x1f]|~[01])*)*", "a JSON pointer (RFC 6901) such as /predictions")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@-]*)+(\?[A-Za-z0-9._~!$&'()*+,;=:@/?-]*)?")


def _port(value: str | int) -> Iterator[Problem]:
    if isinstance(value, int):
        if not 0 < value < 65536:
            yield Problem((), f"is {value}, expected a port from 1 to 65535")
    elif not _PORT_NAME.fullmatch(value):
        expected = "a port's name or number, with https: before it where it speaks TLS"
        yield Problem((), f"is {shown(value)}, expected {expected}")


def _path(value: str) -> Iterator[Problem]:
    # What is asked goes through the API server: no step may lead up into its own paths.
    steps = value.partition("?")[0].split("/")
    if len(value) > 1024 or not _PATH.fullmatch(value) or {".", ".."} & set(steps):
        expected = "a path such as /v1/models/zero-shot:predict, without . and .. and escapes"
        yield Problem((), f"is {shown(value)}, expected {expected}")


def _body(value: str) -> Iterator[Problem]:
    if len(value.encode()) > LONGEST_BODY:
        yield Problem((), f"has {len(value.encode())} bytes, more than {LONGEST_BODY}")


def _status(value: int) -> Iterator[Problem]:
    if not 200 <= value < 600:
        yield Problem((), f"is {value}, expected a status of HTTP from 200 to 599")


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What stands at one place of the JSON that is answered; with nothing else, that it is."""

    pointer: Annotated[str, _POINTER, About("Where: a JSON pointer; empty for all of it.")]
    type: Annotated[
        Literal["object", "array", "string", "number", "boolean", "null"] | None,
        About("What kind of value it is."),
    ] = None
    length: Annotated[
        int | None, at_least(0), About("How many items, members or characters it has.")
    ] = None
    equals: Annotated[str | int | bool | None, About("What it is.")] = None

    schema_rules: ClassVar[Mapping[str, Any]] = {
        "not": {"required": ["length", "equals"]},
        "if": {"required": ["length"]},
        "then": {"properties": {"type": {"enum": ["object", "array", "string"]}}},
    }

    def problems(self) -> Iterator[Problem]:
        """What no value could have."""
        if self.length is not None and self.type in ("number", "boolean", "null"):
            yield Problem(("length",), f"is there, and a {self.type} has no length")
        if self.length is not None and self.equals is not None:
            yield Problem(("length",), "is there, and `equals` says it all", "leave out one")


@dataclass(frozen=True, kw_only=True)
class Smoke:
    """One question to a Service of the release, as the last step of an install."""

    service: Annotated[str, NAME, About("The Service's metadata.name.")]
    namespace: Annotated[str, NAME, About("The Service's namespace.")]
    port: Annotated[
        str | int,
        Check(_port, {"minimum": 1, "maximum": 65535, "pattern": f"^(?:{_PORT_NAME.pattern})$"}),
        About("The Service's port, by name or number; https:NAME where it speaks TLS."),
    ]
    path: Annotated[
        str, Check(_path, {"pattern": f"^{_PATH.pattern}$", "maxLength": 1024}), About("And query.")
    ]
    method: Annotated[Literal["GET", "POST"], About("GET, or POST with a body.")] = "GET"
    body: Annotated[
        str | None,
        Check(_body, {"maxLength": LONGEST_BODY}),
        About("What is sent, as application/json: text, best as a block (|)."),
    ] = None
    status: Annotated[
        int, Check(_status, {"minimum": 200, "maximum": 599}), About("The answer's status.")
    ] = 200
    expect: Annotated[
        tuple[Expected, ...], About("What the answer's JSON holds; none: any answer will do.")
    ] = ()

    schema_rules: ClassVar[Mapping[str, Any]] = {
        "if": {"required": ["body"]},
        "then": {"required": ["method"], "properties": {"method": {"const": "POST"}}},
    }

    def problems(self) -> Iterator[Problem]:
        """A body that a GET has no place for."""
        if self.body is not None and self.method == "GET":
            yield Problem(("body",), "is there, and method is GET", "write method: POST")
