"""Custom resources against their definition: what the API server would say."""

from __future__ import annotations

import pytest

from bundler.core.objects.crdschema import schema_problems
from tests.core.objects.crdschema_table import CASES, kind, thing
from tests.releases import config_map

GROUP = "example.org"


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_value_under_a_schema(number: int) -> None:
    expected = CASES[number][2]
    found = schema_problems(thing(GROUP, number), kind(GROUP))
    if expected is None:
        assert found == ()
    else:
        assert found[0].startswith(f"spec.c{number}")
        assert expected in found[0]


def test_a_version_that_the_definition_does_not_serve() -> None:
    old = thing(GROUP, 0) | {"apiVersion": f"{GROUP}/v1beta1"}
    expected = "apiVersion: expected a version that the CRD serves (v1), found v1beta1"
    assert schema_problems(old, kind(GROUP)) == (expected,)


def test_all_problems_are_told_at_once_with_their_places() -> None:
    wrong = thing(GROUP, 0) | {"spec": {"c0": 1, "c4": "x"}, "sepc": {}}
    assert schema_problems(wrong, kind(GROUP)) == (
        "spec.c0: expected type string, found integer",
        "spec.c4: expected type integer, found string",
        "sepc: expected a field that the CRD has, found an unknown one",
    )


def test_metadata_is_left_to_the_server() -> None:
    odd = thing(GROUP, 0)
    odd["metadata"]["odd"] = 5
    assert schema_problems(odd, kind(GROUP)) == ()


@pytest.mark.parametrize("pattern", ["(a+)+$", r"\p{Greek}", "(", "a" * 300])
def test_a_pattern_that_can_not_be_used_here_is_passed_over(pattern: str) -> None:
    definition = kind(GROUP)
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["c0"] = {"type": "string", "pattern": pattern}
    odd = thing(GROUP, 0) | {"spec": {"c0": "b" * 1000}}
    assert schema_problems(odd, definition) == ()


def test_a_definition_without_a_schema_takes_everything() -> None:
    definition = kind(GROUP)
    del definition["spec"]["versions"][0]["schema"]
    assert schema_problems(config_map("x", "y") | {"apiVersion": f"{GROUP}/v1"}, definition) == ()
