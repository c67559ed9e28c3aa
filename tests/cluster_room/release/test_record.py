"""The record of a release, as somebody may have changed it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from bundler.cluster.client import Cluster
from bundler.cluster.release.record import (
    MOST_PAST,
    Journal,
    Past,
    Record,
    check_owner,
    check_version,
)
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import ObjectId
from bundler.core.objects.plan import Owned

PAST = Past("i", "1.0.0", "dev", "reg.site", {"a": 1}, ("release",))
LATER = Past("j", "1.1.0", "dev", "reg.site", {"a": 2}, ("release",), "sha256:1")
JOURNAL = Journal("install", "j", "1.1.0", "dev", False, (ObjectId("v1", "Pod", "n", "y"),))
RECORD = Record("app", PAST, (Owned(ObjectId("v1", "Pod", None, "x"), True),), (LATER,), JOURNAL)
OWNED = {"apiVersion": "v1", "kind": "Pod", "namespace": None, "name": "x", "made": True}
GOES = {"doing": "install", "index": "i", "version": "1", "target": "t", "first": True, "fresh": []}


@pytest.mark.parametrize("record", [RECORD, Record("app", LATER, ())])
def test_a_record_reads_back(record: Record) -> None:
    assert Record.parse(record.secret("site")) == record


def test_what_was_installed_before_is_remembered_once_and_the_latest_first() -> None:
    third = replace(PAST, version="1.2.0")
    after = Record("app", third, ()).after(Record("app", LATER, (), (PAST, third)))
    assert after.history == (LATER, PAST)
    back = Record("app", PAST, ()).after(Record("app", third, (), after.history))
    assert back.history == (third, LATER)


def test_installed_again_the_history_is_the_same() -> None:
    record = Record("app", PAST, (), (LATER,))
    assert Record("app", PAST, ()).after(record) == record


def test_a_first_install_that_was_cut_off_is_no_history() -> None:
    cut_off = Record("app", LATER, (), (), replace(JOURNAL, first=True))
    assert Record("app", PAST, ()).after(cut_off).history == ()


def test_a_record_remembers_so_many_and_no_more() -> None:
    record = Record("app", PAST, ())
    for number in range(MOST_PAST + 3):
        record = Record("app", replace(PAST, version=f"2.{number}.0"), ()).after(record)
    assert len(record.history) == MOST_PAST


def test_a_history_that_would_fill_the_record_loses_its_oldest() -> None:
    record = Record("app", PAST, ())
    for number in range(5):
        past = replace(PAST, version=f"2.{number}.0", overlay="x" * 300 * 1024)
        record = Record("app", past, ()).after(record)
    assert [each.version for each in record.history] == ["2.3.0"]
    assert 600 * 1024 < record.size < 768 * 1024
    assert Record("app", replace(PAST, overlay="x" * 800 * 1024), ()).after(record).history == ()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("signers", 5),
        ("signers", [5]),
        ("parameters", []),
        ("overlay", 5),
        ("inventory", 5),
        ("inventory", [5]),
        ("inventory", [OWNED | {"apiVersion": 5}]),
        ("inventory", [OWNED | {"name": None}]),
        ("inventory", [OWNED | {"namespace": 5}]),
        ("inventory", [OWNED | {"made": 1}]),
        ("history", [{"index": "i"}]),
        ("journal", 5),
        ("journal", GOES | {"doing": "nothing"}),
        ("journal", GOES | {"first": 1}),
        ("journal", GOES | {"fresh": [5]}),
        ("signers", "release"),
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


def test_a_manager_that_calls_itself_as_we_do_and_can_not_be_us_owns_nothing() -> None:
    asked: list[ObjectId] = []
    cluster = SimpleNamespace(manager="airbundle:x/app", get=asked.append)
    for name in ("airbundle:A B/app", "airbundle:x/a b", "airbundle:../app"):
        fields = [{"manager": name, "operation": "Apply"}]
        live = {"metadata": {"managedFields": fields}}
        check_owner(cast(Cluster, cluster), ObjectId("v1", "ConfigMap", "x", "one"), live)
    assert asked == []


def test_an_older_version_is_refused_only_where_another_is_installed() -> None:
    newer = Record("app", replace(PAST, version="2.0.0"), ())
    with pytest.raises(ClusterError, match=r"version 2\.0\.0 is installed, .* the older 1\.9\.0"):
        check_version(newer, "1.9.0")
    check_version(newer, "2.0.0")
    check_version(None, "1.9.0")
    check_version(replace(newer, journal=replace(JOURNAL, first=True)), "1.9.0")


def test_a_version_that_is_none_is_told() -> None:
    with pytest.raises(ClusterError, match="release app: its record's version "):
        check_version(Record("app", replace(PAST, version="new"), ()), "1.0.0")
