"""Licences: SPDX's own spelling, and expressions."""

from __future__ import annotations

import json

import pytest

from bundler.core.bom.spdx import EXCEPTIONS, LICENSES, expression, license_id
from tests.parts import cyclonedx


@pytest.mark.needs("cyclonedx")
def test_the_names_are_those_that_cyclonedx_knows() -> None:
    schema = json.loads((cyclonedx.fetch() / cyclonedx.SPDX).read_text())
    assert set(schema["enum"]) == LICENSES | EXCEPTIONS
    assert not LICENSES & EXCEPTIONS


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("MIT", "MIT"),
        (" apache-2.0", "Apache-2.0"),
        ("llama2", None),
        ("mit or x", None),
        ("", None),
    ],
)
def test_a_name_in_any_case(text: str, known: str | None) -> None:
    assert license_id(text) == known


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("mit", "MIT"),
        ("MIT or apache-2.0", "MIT OR Apache-2.0"),
        ("(mit  and(GPL-2.0+ OR isc))", "(MIT AND (GPL-2.0+ OR ISC))"),
        ("GPL-2.0-only with classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("LicenseRef-Llama-3.1", "LicenseRef-Llama-3.1"),
        ("DocumentRef-a:LicenseRef-b AND MIT", "DocumentRef-a:LicenseRef-b AND MIT"),
        ("", None),
        ("MIT OR", None),
        ("OR MIT", None),
        ("MIT Apache-2.0", None),
        ("MIT, Apache-2.0", None),
        ("(MIT", None),
        ("MIT)", None),
        ("()", None),
        ("MIT WITH ISC", None),
        ("Classpath-exception-2.0", None),
        ("llama2", None),
        ("LicenseRef-", None),
        ("(" * 500 + "MIT" + ")" * 400, None),
        ("(" * 40 + "MIT" + ")" * 40, None),
        ("MIT OR " * 200 + "MIT", None),
    ],
)
def test_an_expression(text: str, spelled: str | None) -> None:
    assert expression(text) == spelled
