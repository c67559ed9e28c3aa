"""The plan: a pure difference of what is wanted, what is there, and what was ours before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bundler.core.objects.differences import Difference
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.plan import (
    Owned,
    Plan,
    Present,
    dropped,
    identity,
    inventory,
    make_plan,
    uncheckable,
)
from tests.releases import config_map, crd, namespace


def oid(name: str, kind: str = "ConfigMap", api_version: str = "v1") -> ObjectId:
    return ObjectId(api_version, kind, "serving", name)


def there(obj: JsonObject, becomes: JsonObject | None = None) -> Present:
    return Present(obj, obj, obj if becomes is None else becomes)


def absent(obj: JsonObject) -> Present:
    return Present(obj, None, obj)


def test_each_object_is_in_one_list() -> None:
    new, same, old = (config_map("serving", name) for name in ("new", "same", "old"))
    unseen = config_map("later", "unseen")
    present = [
        absent(new),
        there(same),
        there(old, config_map("serving", "old", text="x")),
        Present(unseen, None, None),
    ]
    plan = make_plan(present, [Owned(oid("gone"), True)], [oid("gone")])
    assert plan == Plan(
        created=(oid("new"),),
        changed=(oid("old"),),
        removed=(oid("gone"),),
        unchanged=(oid("same"),),
        unchecked=(ObjectId("v1", "ConfigMap", "later", "unseen"),),
        differences={oid("old"): (Difference("/data/text", None, "x"),)},
    )
    assert not plan.empty


def test_what_is_there_and_of_no_release_is_adopted() -> None:
    found = replace(there(config_map("serving", "found", text="x")), foreign=True)
    plan = make_plan([found], (), ())
    assert (plan.adopted, plan.changed, plan.unchanged) == ((oid("found"),), (), ())
    assert not plan.empty


def test_a_plan_in_json_has_what_differs() -> None:
    old, new = (config_map("serving", "one", text=text) for text in "ab")
    (changed,) = make_plan([there(old, new)], (), ()).to_json()["changed"]
    assert changed["name"] == "one"
    assert changed["differences"] == (Difference("/data/text", "a", "b"),)


def test_a_plan_says_what_is_made_anew() -> None:
    old, new = (config_map("serving", "one", text=text) for text in "ab")
    plan = make_plan([replace(there(old, new), anew=True)], (), ())
    assert (plan.changed, plan.anew) == ((oid("one"),), (oid("one"),))
    assert plan.to_json()["changed"][0]["anew"] is True
    assert "anew" not in make_plan([there(old, new)], (), ()).to_json()["changed"][0]


def test_nothing_to_do_is_an_empty_plan() -> None:
    assert make_plan([there(config_map("serving", "same"))], (), ()).empty


@pytest.mark.parametrize(
    "bookkeeping",
    [
        {"resourceVersion": "2"},
        {"generation": 2},
        {"managedFields": [{"manager": "airbundle"}]},
        {"creationTimestamp": "2026-01-01T00:00:00Z"},
    ],
)
def test_the_server_s_bookkeeping_is_no_change(bookkeeping: JsonObject) -> None:
    live = config_map("serving", "same")
    after = config_map("serving", "same")
    after["metadata"] |= bookkeeping
    assert there(live, after | {"status": {"seen": True}}).change == "unchanged"


@pytest.mark.parametrize("field", ["labels", "annotations", "finalizers", "ownerReferences"])
def test_all_other_metadata_counts(field: str) -> None:
    after = config_map("serving", "same")
    after["metadata"][field] = {"a": "b"}
    assert there(config_map("serving", "same"), after).change == "changed"


def test_only_what_the_release_made_is_removed() -> None:
    previous = [Owned(oid("made"), True), Owned(oid("found"), False)]
    plan = make_plan((), previous, [oid("made"), oid("found"), oid("never-ours")])
    assert plan.removed == (oid("made"),)


def test_what_is_no_longer_there_or_no_longer_ours_is_not_removed() -> None:
    assert make_plan((), [Owned(oid("made"), True)], ()).removed == ()


def test_removals_go_backwards() -> None:
    previous = [Owned(oid(name), True) for name in ("first", "second")]
    plan = make_plan((), previous, [oid("first"), oid("second")])
    assert plan.removed == (oid("second"), oid("first"))


def test_a_new_version_of_an_api_is_no_new_object() -> None:
    old = oid("scaler", "HorizontalPodAutoscaler", "autoscaling/v1")
    new = replace(old, api_version="autoscaling/v2")
    assert dropped([Owned(old, True)], [new]) == ()
    assert identity(old) != identity(replace(old, api_version="other/v1"))


@pytest.mark.parametrize("kind", ["Namespace", "CustomResourceDefinition", "PersistentVolumeClaim"])
def test_what_holds_other_people_s_things_is_kept(kind: str) -> None:
    object_id = oid("full", kind)
    plan = make_plan((), [Owned(object_id, True)], [object_id])
    assert (plan.removed, plan.kept) == ((), (object_id,))


def test_what_is_disposable_is_removed_with_all_it_holds() -> None:
    brief, full = oid("brief", "PersistentVolumeClaim"), oid("full", "PersistentVolumeClaim")
    previous = [Owned(each, True) for each in (brief, full)]
    plan = make_plan((), previous, [brief, full], [brief])
    assert (plan.removed, plan.kept) == ((brief,), (full,))


def test_an_inventory_says_what_the_release_made() -> None:
    new, mine, found = (config_map("serving", name) for name in ("new", "mine", "found"))
    previous = [Owned(oid("mine"), True)]
    owned = inventory([absent(new), there(mine), there(found)], previous, [oid("kept")])
    assert owned == (
        Owned(oid("kept"), True),
        Owned(oid("new"), True),
        Owned(oid("mine"), True),
        Owned(oid("found"), False),
    )


def test_what_waits_for_a_namespace_or_a_kind_cannot_be_checked() -> None:
    space, kind = namespace("new"), crd("example.org", "Thing")
    inside, outside = config_map("new", "inside"), config_map("old", "outside")
    thing = {
        "apiVersion": "example.org/v1",
        "kind": "Thing",
        "metadata": {"name": "one", "namespace": "old"},
    }
    objects = [space, kind, inside, outside, thing]
    moving = {identity(ObjectId.of(obj)) for obj in (space, kind)}
    waiting = {identity(ObjectId.of(obj)) for obj in (inside, thing)}
    assert uncheckable(objects, moving, moving) == waiting
    assert uncheckable(objects, (), ()) == frozenset()


OURS: JsonObject = {"manager": "airbundle:system/app", "operation": "Apply", "fieldsV1": {}}
BOUND: JsonObject = {
    "manager": "kube-controller-manager",
    "operation": "Update",
    "fieldsV1": {"f:metadata": {"f:annotations": {}}, "f:spec": {"f:volumeName": {}}},
}
STATUS: JsonObject = {"manager": "c", "operation": "Update", "subresource": "status"}


@pytest.mark.parametrize(
    ("entries", "made"),
    [
        ([OURS], True),
        ([OURS, BOUND, STATUS], True),
        ([OURS, BOUND | {"operation": "Apply"}], False),
        ([OURS, BOUND | {"fieldsV1": {"f:spec": {"f:resources": {}}}}], False),
        ([OURS, BOUND | {"fieldsV1": {"f:metadata": {"f:labels": {}}}}], False),
        ([OURS, BOUND | {"fieldsV1": {"f:data": {}}}], False),
        ([], False),
    ],
)
def test_what_nobody_else_wrote_was_made_by_the_release(
    entries: list[JsonObject], made: bool
) -> None:
    live = config_map("serving", "left")
    live["metadata"]["managedFields"] = entries
    left = there(live)
    assert inventory([left], (), ()) == (Owned(oid("left"), made),)
    assert inventory([left], [Owned(oid("left"), False)], ()) == (Owned(oid("left"), False),)
    assert inventory([replace(left, foreign=True)], (), ()) == (Owned(oid("left"), False),)
