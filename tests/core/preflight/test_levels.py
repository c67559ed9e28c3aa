"""Which level a namespace enforces, and whom that keeps out."""

from __future__ import annotations

import pytest

from bundler.core.objects.manifests import JsonObject
from bundler.core.preflight.levels import ENFORCE, enforced, violations
from tests.releases import deployment


def namespace(level: str | None) -> JsonObject:
    labels = {} if level is None else {ENFORCE: level}
    return {"metadata": {"name": "serving", "labels": labels}}


@pytest.mark.parametrize(
    ("live", "brought", "level"),
    [
        (None, None, None),
        (namespace("baseline"), None, "baseline"),
        (namespace("baseline"), namespace("restricted"), "restricted"),
        (namespace("baseline"), namespace(None), "baseline"),
        (None, namespace("restricted"), "restricted"),
        (namespace(None), {"metadata": {"name": "serving"}}, None),
    ],
)
def test_what_the_bundle_says_counts_first(
    live: JsonObject | None, brought: JsonObject | None, level: str | None
) -> None:
    assert enforced(live, brought) == level


def test_pods_that_restricted_refuses() -> None:
    good = deployment("serving", "web")
    assert violations(good) == ()
    good["spec"]["template"]["spec"]["hostNetwork"] = True
    assert "hostNetwork" in violations(good)[0]
