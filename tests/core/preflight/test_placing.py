"""Where pods may go, and whether they find room there."""

from __future__ import annotations

from typing import Any

import pytest

from bundler.core.preflight.matching import is_alone, unwanted
from bundler.core.preflight.nodes import nodes_of
from bundler.core.preflight.placing import eligible, runs_on, shortages
from bundler.core.preflight.workloads import Workload, workloads
from tests.cluster.nodes import node
from tests.core.preflight.things import DIGEST, a_node, a_workload, requesting

GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
LABELS = {"zone": "a", "gpus": "4"}


def affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def wish(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({}, None),
        ({"nodeSelector": {"zone": "a"}}, None),
        ({"nodeSelector": {"zone": "b"}}, "has no label zone=b"),
        ({"affinity": affinity(wish("zone", "In", "a", "b"))}, None),
        ({"affinity": affinity(wish("zone", "In", "b"))}, "affinity"),
        ({"affinity": affinity(wish("zone", "NotIn", "b"))}, None),
        ({"affinity": affinity(wish("zone", "NotIn", "a"))}, "affinity"),
        ({"affinity": affinity(wish("zone", "Exists"))}, None),
        ({"affinity": affinity(wish("rack", "Exists"))}, "affinity"),
        ({"affinity": affinity(wish("rack", "DoesNotExist"))}, None),
        ({"affinity": affinity(wish("zone", "DoesNotExist"))}, "affinity"),
        ({"affinity": affinity(wish("gpus", "Gt", "3"))}, None),
        ({"affinity": affinity(wish("gpus", "Gt", "4"))}, "affinity"),
        ({"affinity": affinity(wish("gpus", "Lt", "5"))}, None),
        ({"affinity": affinity(wish("zone", "Lt", "5"))}, "affinity"),
        ({"affinity": affinity(wish("zone", "Near", "a"))}, "affinity"),
        ({"affinity": affinity(wish("zone", "In", "b"), wish("gpus", "In", "4"))}, None),
        ({"affinity": affinity({})}, "affinity"),
        (
            {
                "affinity": affinity(
                    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["one"]}]}
                )
            },
            None,
        ),
    ],
)
def test_selectors_and_affinity(spec: dict[str, Any], reason: str | None) -> None:
    found = unwanted(a_workload(**spec), a_node(labels=LABELS))
    assert found is None if reason is None else reason in str(found)


@pytest.mark.parametrize(
    ("tolerations", "taint", "may"),
    [
        ([], GPU_TAINT, False),
        ([], GPU_TAINT | {"effect": "NoExecute"}, False),
        ([], GPU_TAINT | {"effect": "PreferNoSchedule"}, True),
        ([{"key": "nvidia.com/gpu", "operator": "Exists"}], GPU_TAINT, True),
        ([{"key": "nvidia.com/gpu", "value": "present"}], GPU_TAINT, True),
        ([{"key": "nvidia.com/gpu", "value": "absent"}], GPU_TAINT, False),
        (
            [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute"}],
            GPU_TAINT,
            False,
        ),
        ([{"operator": "Exists"}], GPU_TAINT, True),
        ([{"operator": "Equal", "value": "present"}], GPU_TAINT, False),
        ([{"key": "other", "operator": "Exists"}], GPU_TAINT, False),
    ],
)
def test_taints_keep_out_what_does_not_tolerate_them(
    tolerations: list[dict[str, str]], taint: dict[str, str], may: bool
) -> None:
    found = unwanted(a_workload(tolerations=tolerations), a_node(taints=[taint]))
    assert (found is None) is may


def test_a_daemon_bears_what_nodes_in_trouble_have() -> None:
    taint = {"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}
    assert unwanted(a_workload(), a_node(taints=[taint])) is not None
    daemon = Workload(a_workload().id, "serving", a_workload().pod, 0, True)
    assert unwanted(daemon, a_node(taints=[taint])) is None


def test_what_is_in_trouble_is_not_eligible() -> None:
    nodes = [a_node("one"), a_node("two", cordoned=True)]
    assert [each.name for each in eligible(a_workload(), nodes)] == ["one"]


@pytest.mark.parametrize(
    ("platforms", "runs"),
    [
        ({DIGEST: frozenset({"linux/amd64"})}, False),
        ({DIGEST: frozenset({"linux/amd64", "linux/arm64/v8"})}, True),
        ({}, True),
    ],
)
def test_images_are_for_platforms(platforms: dict[str, frozenset[str]], runs: bool) -> None:
    assert runs_on(a_workload(), a_node(architecture="arm64"), platforms) is runs


def shortage_of(found: list[Workload], *nodes: Any) -> list[tuple[int, bool, str]]:
    return [
        (short.placed, short.shared, "; ".join(short.reasons))
        for short in shortages(found, nodes, {DIGEST: frozenset({"linux/amd64"})})
    ]


def test_pods_that_fit_are_no_shortage() -> None:
    assert shortage_of([a_workload(16)], a_node()) == []
    assert shortage_of([a_workload(32)], a_node("one"), a_node("two")) == []


def test_pods_that_don_t_are_counted_with_the_reason() -> None:
    hungry = a_workload(3, containers=[requesting(cpu="12")])
    [(placed, shared, reasons)] = shortage_of([hungry], a_node("one"), a_node("two"))
    assert (placed, shared) == (2, False)
    assert reasons == "has room for some of its pods"
    greedy = a_workload(containers=[requesting(cpu="17")])
    [(placed, _, reasons)] = shortage_of([greedy], a_node())
    assert placed == 0
    assert reasons == "has 16 of 16 cpu free, a pod asks for 17"


def test_what_others_have_is_not_free() -> None:
    taken = {
        "metadata": {"name": "p", "namespace": "x"},
        "spec": {"nodeName": "one", "containers": [requesting(gpu="1")]},
    }
    nodes = nodes_of([node("one", offers={"nvidia.com/gpu": "1"})], [taken], lambda pod: False)
    wanting = a_workload(containers=[requesting(gpu="1")])
    [(placed, _, reasons)] = shortage_of([wanting], *nodes)
    assert placed == 0
    assert reasons == "has 0 of 1 nvidia.com/gpu free, a pod asks for 1"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"cordoned": True}, "is cordoned"),
        ({"architecture": "arm64"}, "is linux/arm64"),
        ({"taints": [GPU_TAINT]}, "taint nvidia.com/gpu=present:NoSchedule"),
        ({"runtime": "containerd://1.7.0"}, "can't mount image volumes"),
    ],
)
def test_a_node_that_is_none_says_why(said: dict[str, Any], reason: str) -> None:
    mounting = a_workload(volumes=[{"name": "m", "image": {"reference": "x"}}])
    [(placed, _, reasons)] = shortage_of([mounting], a_node(**said))
    assert placed == 0
    assert reason in reasons


def test_two_that_fit_alone_but_not_together_may_wait() -> None:
    first = a_workload(containers=[requesting(cpu="10")])
    second = a_workload(containers=[requesting(cpu="10")])
    [(placed, shared, _)] = shortage_of([first, second], a_node())
    assert (placed, shared) == (0, True)


def test_who_is_choosy_is_placed_first_and_plain_pods_leave_devices_alone() -> None:
    plain = a_workload(containers=[requesting(cpu="16")])
    choosy = a_workload(containers=[requesting(cpu="16", gpu="1")])
    nodes = [a_node("gpu", offers={"nvidia.com/gpu": "1"}), a_node("cpu")]
    assert shortage_of([plain, choosy], *nodes) == []


def test_pods_that_refuse_each_other_need_a_node_each() -> None:
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    workload = a_workload(2, affinity=apart)
    assert is_alone(workload)
    [(placed, _, _)] = shortage_of([workload], a_node())
    assert placed == 1
    assert shortage_of([workload], a_node("one"), a_node("two")) == []
    term["labelSelector"] = {"matchLabels": {"app": "other"}}
    assert not is_alone(a_workload(2, affinity=apart))


def test_a_daemon_that_fits_nowhere_is_said() -> None:
    daemon = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "d", "namespace": "x"},
        "spec": {"template": {"spec": {"nodeSelector": {"a": "b"}, "containers": [{"name": "c"}]}}},
    }
    found = list(workloads([daemon]))
    assert shortage_of(found, a_node(labels={"a": "b"})) == []
    assert len(shortage_of(found, a_node())) == 1
