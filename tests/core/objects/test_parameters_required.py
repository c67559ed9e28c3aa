"""Parameters without a default: what the manifests have counts, or a site must say it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bundler.core import gate
from bundler.core.documents.bundle import Parameter, ParameterTarget, parse_bundle
from bundler.core.documents.policy import Policy
from bundler.core.errors import UsageError
from bundler.core.objects.parameters import check, placed, require_settled, substitute, values

REPLICAS = ParameterTarget("Deployment", "x", "/spec/replicas")
ROLE = ParameterTarget("ServiceAccount", "x", "/metadata/annotations/role")


def parameter(name: str, target: ParameterTarget, **said: Any) -> Parameter:
    return Parameter(name=name, description=f"what {name} is", targets=(target,), **said)


COUNT = parameter("count", REPLICAS, type="integer")
WHO = parameter("who", ROLE, type="string", pattern="role/[a-z]+", required=True)
LEVEL = parameter("level", ParameterTarget("ConfigMap", "x", "/data/level"), type="enum",
                  values=("info", "debug"), required=True)  # fmt: skip


def deployment(replicas: int) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "x"},
        "spec": {"replicas": replicas},
    }


def account(role: str) -> dict[str, Any]:
    metadata = {"name": "x", "annotations": {"role": role}}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def settings(level: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "x"},
        "data": {"level": level},
    }


def test_without_a_default_each_target_keeps_its_own() -> None:
    assert values([COUNT], {}) == {}
    for replicas in (1, 2):
        assert substitute([deployment(replicas)], [COUNT], {}) == (deployment(replicas),)
    given = values([COUNT], {"count": "5"})
    assert substitute([deployment(1)], [COUNT], given) == (deployment(5),)


def test_a_required_one_is_missed_where_it_has_a_place() -> None:
    here = placed([COUNT, WHO, LEVEL], [deployment(1), account("role/x"), settings("info")])
    assert here == (COUNT, WHO, LEVEL)
    with pytest.raises(UsageError) as caught:
        require_settled("site", here, {"count": "3"})
    assert caught.value.message == (
        "target site: 2 parameters not set, and a site must set it\n"
        "  who: what who is (what matches role/[a-z]+)\n"
        "  level: what level is (one of info, debug)"
    )
    assert caught.value.hint == "add --set who=… --set level=…"


def test_it_is_not_missed_in_a_target_where_it_has_none() -> None:
    here = placed([COUNT, WHO], [deployment(1)])
    assert here == (COUNT,)
    require_settled("dev", here, {})


def test_what_would_change_nothing_is_refused() -> None:
    here = placed([COUNT, WHO], [deployment(1)])
    problem = "parameter 'who' changes nothing in the target dev"
    with pytest.raises(UsageError, match=problem) as caught:
        require_settled("dev", here, {"who": "role/x"})
    assert caught.value.hint == "leave it out; those of this target: count"
    with pytest.raises(UsageError, match=problem) as caught:
        require_settled("dev", (), {"who": "role/x"})
    assert caught.value.hint == "leave it out; those of this target: none"


@pytest.mark.parametrize(
    ("given", "obj", "found"),
    [
        (WHO, account("nobody"), "expected what matches role/[a-z]+, found 'nobody'"),
        (LEVEL, settings("loud"), "expected one of info, debug, found 'loud'"),
    ],
)
def test_the_example_must_be_one_that_a_site_could_set(
    given: Parameter, obj: dict[str, Any], found: str
) -> None:
    (finding,) = check([given], {"site": [obj]})
    assert finding.rule == "parameters"
    assert finding.message.endswith(f"without a default, what stands here is judged: {found}")


def test_an_example_that_fits_is_none() -> None:
    objects = [deployment(1), account("role/x"), settings("debug")]
    assert check([COUNT, WHO, LEVEL], {"site": objects}) == ()


def test_what_stands_there_counts_for_nothing_beside_a_default() -> None:
    replaced = parameter("who", ROLE, type="string", pattern="role/[a-z]+", default="role/y")
    assert check([replaced], {"site": [account("nobody")]}) == ()


def test_the_example_and_every_value_of_an_enum_are_judged() -> None:
    hosts = parameter("level", LEVEL.targets[0], type="enum", values=("info", "https://c.example"))
    found = gate.check_variants(
        "t", [settings("https://b.example")], [hosts], Policy(), frozenset()
    )
    said = {re.findall("'(.*)'", each.message)[0] for each in found}
    assert said == {"b.example:443", "c.example:443"}


def test_a_wrong_value_without_a_default_has_no_example() -> None:
    with pytest.raises(UsageError) as caught:
        values([WHO], {"who": "me"})
    assert caught.value.hint == "such as --set who=… (what who is)"


def test_neither_default_nor_required_is_a_document() -> None:
    text = """\
apiVersion: airbundle.dev/v1alpha1
kind: Bundle
metadata: {name: a, version: "0.0.1"}
spec:
  manifests: {base: base, overlays: [site]}
  parameters:
    - name: replicas
      type: integer
      description: How many pods answer
      targets: [{kind: Deployment, name: x, path: /spec/replicas}]
"""
    (found,) = parse_bundle(text, "bundle.yaml").parameters
    assert (found.default, found.required) == (None, False)
