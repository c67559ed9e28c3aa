"""The record of a release, as somebody may have changed it."""

from __future__ import annotations

import base64
import json

import pytest

from bundler.cluster.release import Record
from bundler.core.errors import ClusterError

RECORD = Record("app", "i", "1.0.0", "dev", "reg.site", {"a": 1}, (), ("release",))
OWNED = {"apiVersion": "v1", "kind": "Pod", "namespace": None, "name": "x", "made": True}


def test_a_record_reads_back() -> None:
    assert Record.parse(RECORD.secret("site")) == RECORD


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("signers", 5),
        ("signers", [5]),
        ("parameters", []),
        ("inventory", 5),
        ("inventory", [5]),
        ("inventory", [OWNED | {"apiVersion": 5}]),
        ("inventory", [OWNED | {"name": None}]),
        ("inventory", [OWNED | {"namespace": 5}]),
        ("inventory", [OWNED | {"made": 1}]),
    ],
)
def test_a_record_that_was_changed_is_refused(key: str, value: object) -> None:
    secret = RECORD.secret("site")
    secret["data"][key] = base64.b64encode(json.dumps(value).encode()).decode()
    with pytest.raises(ClusterError, match="expected the record of a release"):
        Record.parse(secret)


def test_a_record_nested_without_end_is_refused() -> None:
    secret = RECORD.secret("site")
    secret["data"]["parameters"] = base64.b64encode(b"[" * 100_000).decode()
    with pytest.raises(ClusterError, match="expected the record of a release"):
        Record.parse(secret)
