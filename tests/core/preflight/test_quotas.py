"""Quotas and ranges of namespaces, against what a release adds."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from bundler.core.objects.manifests import JsonObject
from bundler.core.preflight.quotas import demand, out_of_range, over_quota, unsaid
from bundler.core.preflight.storage import claims_of
from tests.core.preflight.test_storage import claim, claim_spec
from tests.core.preflight.things import a_workload, requesting

LIMITED = {
    "name": "server",
    "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}},
}
DEFAULTS = {
    "metadata": {"name": "defaults"},
    "spec": {
        "limits": [{"type": "Container", "default": {"cpu": "4"}, "defaultRequest": {"cpu": "3"}}]
    },
}


def quota(used: dict[str, str] | None = None, **hard: Any) -> JsonObject:
    named = {key.replace("_", "."): value for key, value in hard.items()}
    return {"spec": {"hard": named}, "status": {"hard": named, "used": used or {}}}


def range_of(kind: str, **bounds: Any) -> JsonObject:
    return {"metadata": {"name": "r"}, "spec": {"limits": [{"type": kind} | bounds]}}


def test_pods_and_volumes_count_by_a_quota_s_names() -> None:
    workload = a_workload(2, containers=[LIMITED])
    claims = claims_of([claim(claim_spec("10Gi"))], ())
    assert demand([workload], claims, (), {"deployments.apps": 1}) == {
        "pods": 2,
        "requests.cpu": 2,
        "requests.memory": 2 * 2**30,
        "limits.cpu": 4,
        "limits.memory": 2 * 2**30,
        "requests.storage": 10 * 2**30,
        "persistentvolumeclaims": 1,
        "fast.storageclass.storage.k8s.io/requests.storage": 10 * 2**30,
        "fast.storageclass.storage.k8s.io/persistentvolumeclaims": 1,
        "count/deployments.apps": 1,
    }


def test_ranges_fill_in_what_containers_leave_out() -> None:
    bare = a_workload(containers=[{"name": "c"}])
    found = demand([bare], (), (DEFAULTS,), {})
    assert [found["requests.cpu"], found["limits.cpu"]] == [3, 4]
    own = demand([a_workload(containers=[LIMITED])], (), (DEFAULTS,), {})
    assert [own["requests.cpu"], own["limits.cpu"]] == [1, 2]


def test_what_runs_first_is_no_sum_in_a_quota_either() -> None:
    spec: dict[str, Any] = {
        "initContainers": [requesting(cpu="2")],
        "containers": [requesting(cpu="1")],
    }
    assert demand([a_workload(**spec)], (), (), {})["requests.cpu"] == 2


@pytest.mark.parametrize(
    ("hard", "used", "words"),
    [
        ({"requests_cpu": "4"}, {}, None),
        ({"cpu": "4"}, {}, None),
        ({"cpu": "1"}, {}, "cpu: 1 of 1 are left, 2 are asked for"),
        ({"requests_cpu": "4"}, {"requests.cpu": "3"}, "1 of 4 are left, 2 are asked for"),
        ({"limits_memory": "1Gi"}, {}, "1 GiB of 1 GiB are left, 2 GiB are asked for"),
        ({"pods": "1"}, {}, "pods: 1 of 1 are left"),
        ({"services": "0"}, {}, None),
        ({"configmaps": "1"}, {"configmaps": "1"}, "configmaps: 0 of 1 are left"),
        ({"configmaps": "1"}, {"configmaps": "9"}, "configmaps"),
        ({"services": "1"}, {"services": "9"}, None),
    ],
)
def test_a_quota_has_so_much_left(
    hard: dict[str, str], used: dict[str, str], words: str | None
) -> None:
    wanted = demand([a_workload(2, containers=[LIMITED])], (), (), {"configmaps": 1})
    found = list(over_quota(quota(used, **hard), wanted, {}))
    assert found == [] if words is None else words in found[0]


def test_what_makes_way_is_given_back() -> None:
    full = quota({"requests.cpu": "4"}, requests_cpu="4")
    wanted = {"requests.cpu": Fraction(2)}
    assert len(list(over_quota(full, wanted, {}))) == 1
    assert list(over_quota(full, wanted, {"requests.cpu": Fraction(2)})) == []


@pytest.mark.parametrize(
    ("hard", "limits", "words"),
    [
        ({"pods": "9"}, (), []),
        ({"requests_cpu": "9"}, (), []),
        ({"limits_cpu": "9"}, (), ["container server has no resources.limits.cpu"]),
        ({"limits_cpu": "9"}, (DEFAULTS,), []),
        ({"memory": "9"}, (), ["container server has no resources.requests.memory"]),
    ],
)
def test_a_quota_wants_to_be_told(
    hard: dict[str, Any], limits: tuple[JsonObject, ...], words: list[str]
) -> None:
    assert list(unsaid(quota(**hard), a_workload(), limits)) == words


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (range_of("Container", max={"cpu": "2"}), None),
        (range_of("Container", max={"cpu": "1"}), "container server has 2 of cpu, at most 1"),
        (range_of("Container", max={"ephemeral-storage": "1Gi"}), "has no limit of ephemeral"),
        (range_of("Container", min={"cpu": "2"}), "has 1 of cpu, at least 2 is demanded"),
        (range_of("Container", min={"cpu": "1"}), None),
        (range_of("Container", min={"gpu": "1"}), "has no request of gpu"),
        (range_of("Pod", max={"cpu": "3"}), "the pod has 4 of cpu, at most 3"),
        (range_of("Pod", max={"cpu": "4"}), None),
        (range_of("PersistentVolumeClaim", max={"storage": "1"}), None),
    ],
)
def test_a_range_has_two_ends(limit: JsonObject, words: str | None) -> None:
    two = a_workload(containers=[LIMITED, LIMITED])
    found = list(out_of_range(limit, two))
    assert found == [] if words is None else words in found[0]
