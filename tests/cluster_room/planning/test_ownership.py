"""What is somebody else's, and what the CRD beside an object says of it: refused all at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bundler.cluster.planning.ownership import check_claims, forced
from bundler.cluster.planning.terminating import being_deleted
from bundler.cluster.planning.unasked import check_schemas
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.objects.plan import Present, Taken
from tests.releases import config_map, crd, namespace

ONE = config_map("serving", "one", key="ours")
TAKEN = (Taken(".data.key", '"helm"'), Taken(".data.more", '"kubectl" using v1'))


def found(*managers: str) -> JsonObject:
    fields = [{"manager": name} for name in managers]
    status = {"manager": "kube-controller-manager", "subresource": "status"}
    live = config_map("serving", "one", key="theirs")
    live["metadata"]["managedFields"] = [*fields, status]
    return live


def test_what_others_made_is_refused_by_their_names() -> None:
    theirs = Present(ONE, found("helm", "kubectl", "helm"), ONE, foreign=True)
    expected = r"one: is there already, and no release made it \(helm, kubectl\)$"
    with pytest.raises(ClusterError, match=expected) as caught:
        check_claims((theirs,))
    assert "with --take-ownership" in str(caught.value.hint)
    unknown = replace(theirs, live=found())
    with pytest.raises(ClusterError, match="by whom isn't known"):
        check_claims((unknown,))


def test_fields_of_others_are_refused_one_by_one() -> None:
    ours = Present(ONE, ONE, ONE, taken=TAKEN)
    expected = r'others: \.data\.key of "helm", \.data\.more of "kubectl" using v1$'
    with pytest.raises(ClusterError, match=expected):
        check_claims((ours,))


def test_what_others_changed_of_ours_is_given_back_its_values() -> None:
    drifted = Present(ONE, ONE, ONE, taken=TAKEN)
    with pytest.raises(ClusterError) as caught:
        check_claims((drifted,))
    assert "of the release's objects were changed by others" in str(caught.value.hint)
    assert "--take-ownership gives them the bundle's values again" in str(caught.value.hint)
    theirs = Present(ONE, found("helm"), ONE, foreign=True)
    with pytest.raises(ClusterError) as caught:
        check_claims((drifted, theirs))
    assert "all of this becomes the release's" in str(caught.value.hint)


def test_what_others_made_is_refused_also_where_the_server_can_not_be_asked_yet() -> None:
    with pytest.raises(ClusterError, match="is there already, and no release made it"):
        check_claims((Present(ONE, found("helm"), None, foreign=True),))


def test_a_namespace_of_others_is_used_unless_its_fields_are_theirs() -> None:
    space = namespace("serving")
    shared = Present(space, space, space, foreign=True)
    check_claims((shared,))
    with pytest.raises(ClusterError, match=r"Namespace serving: expected its fields to be ours"):
        check_claims((replace(shared, taken=TAKEN),))


def test_what_is_ours_or_new_is_not_refused() -> None:
    check_claims((Present(ONE, ONE, ONE), Present(ONE, None, ONE), Present(ONE, None, None)))


def test_many_claims_are_told_in_part() -> None:
    theirs = Present(ONE, found("helm"), ONE, foreign=True)
    with pytest.raises(ClusterError, match=r"; and 5 more$"):
        check_claims((theirs,) * 25)


def test_only_what_has_to_be_is_forced() -> None:
    assert not forced(Present(ONE, ONE, ONE)).force
    assert forced(Present(ONE, ONE, ONE, taken=TAKEN)).force
    assert forced(Present(ONE, ONE, None)).force


def test_what_hangs_is_told_with_what_holds_it() -> None:
    space = ObjectId("v1", "Namespace", None, "serving")
    conditions = [
        {"type": "NamespaceContentRemaining", "status": "True", "message": "pods. has 1 instances"},
        {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "all found"},
        5,
    ]
    metadata = {"deletionTimestamp": "2026-01-02T03:04:05Z", "finalizers": ["example.org/hold"]}
    error = being_deleted(space, {"metadata": metadata, "status": {"conditions": conditions}})
    assert error.message == (
        "Namespace serving: is being deleted since 2026-01-02T03:04:05Z; its finalizers: "
        "example.org/hold; pods. has 1 instances"
    )
    assert "wait until it is gone" in str(error.hint)
    bare = being_deleted(space, {"metadata": metadata | {"finalizers": None}, "status": None})
    assert bare.message == "Namespace serving: is being deleted since 2026-01-02T03:04:05Z"


def test_an_object_is_held_against_the_kind_beside_it() -> None:
    definition = crd("example.org", "Thing")
    thing = config_map("serving", "one") | {"apiVersion": "example.org/v1", "kind": "Thing"}
    thing.pop("data")
    wrong = Present(thing | {"spec": {"text": 5}}, None, None)
    beside = Present(definition, None, definition)
    check_schemas((beside, Present(thing, None, None)))
    # Where the server could be asked, it was.
    check_schemas((beside, replace(wrong, dry_run=wrong.desired)))
    check_schemas((wrong,))
    with pytest.raises(ClusterError, match=r"Thing serving/one: spec\.text: expected type string"):
        check_schemas((beside, wrong))
    with pytest.raises(ClusterError, match=r"; and 10 more$"):
        check_schemas((beside, *(wrong,) * 30))
