"""The gate: what shuts it, what a policy may let pass, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from bundler.core import gate
from bundler.core.documents.bundle import Parameter, ParameterTarget
from bundler.core.documents.policy import Policy, Skip, Waiver
from bundler.core.errors import PolicyError
from bundler.core.findings import Finding

OUTSIDE = "https://hub.example.com/models"
INSIDE = "http://cache.search.svc:6379"
WAIVER = Waiver("external-host", "ConfigMap search/*", "Jo", "a proxy", "2026-06-30")
OPEN = Policy()


def config_map(**data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "server", "namespace": "search"},
        "data": data,
    }


def enum(name: str, key: str, *values: str) -> Parameter:
    target = ParameterTarget("ConfigMap", "server", f"/data/{key}")
    return Parameter(
        name=name, type="enum", default=values[0], description=name, values=values,
        targets=(target,),
    )  # fmt: skip


def blocking(findings: tuple[Finding, ...]) -> list[str]:
    return [found.message for found in findings if found.blocks]


# --- objects ----------------------------------------------------------------------------------


def test_objects_that_break_no_rule_pass() -> None:
    assert gate.check_objects("site", [config_map(upstream=INSIDE)], OPEN, frozenset()) == ()


def test_an_external_host_is_found_and_its_object_named() -> None:
    [found] = gate.check_objects("site", [config_map(upstream=OUTSIDE)], OPEN, frozenset())
    assert (found.rule, found.subject) == ("external-host", "ConfigMap search/server")
    assert found.blocks
    assert "hub.example.com" in found.message


def test_a_waiver_lets_it_pass_and_stays_visible() -> None:
    policy = Policy(waivers=(WAIVER,))
    [found] = gate.check_objects("site", [config_map(upstream=OUTSIDE)], policy, frozenset())
    assert (found.blocks, found.waiver) == (False, WAIVER)


def test_an_image_that_is_not_carried_is_found() -> None:
    name = "registry.airbundle.invalid/docker.io/library/redis@sha256:" + "a" * 64
    objects = [config_map(image=name)]
    [found] = gate.check_objects("site", objects, Policy(waivers=(WAIVER,)), frozenset())
    assert (found.rule, found.blocks) == ("closure", True)
    assert gate.check_objects("site", objects, OPEN, frozenset({name})) == ()


# --- every value of an enum -------------------------------------------------------------------

OBJECTS = [config_map(upstream=INSIDE, log=INSIDE)]


def test_a_default_that_breaks_a_rule_is_found() -> None:
    parameters = [enum("upstream", "upstream", OUTSIDE, INSIDE)]
    found = gate.check_variants("site", OBJECTS, parameters, OPEN, frozenset())
    assert len(blocking(found)) == 1


@pytest.mark.parametrize("values", [(INSIDE, OUTSIDE), (INSIDE, "local", OUTSIDE, "other")])
def test_a_value_that_breaks_a_rule_is_found_though_the_default_does_not(
    values: tuple[str, ...],
) -> None:
    parameters = [enum("upstream", "upstream", *values)]
    [message] = blocking(gate.check_variants("site", OBJECTS, parameters, OPEN, frozenset()))
    assert "/data/upstream" in message
    assert "hub.example.com" in message


def test_values_of_every_enum_are_tried() -> None:
    parameters = [enum("upstream", "upstream", INSIDE, "a"), enum("log", "log", INSIDE, OUTSIDE)]
    [message] = blocking(gate.check_variants("site", OBJECTS, parameters, OPEN, frozenset()))
    assert "/data/log" in message


def test_a_finding_of_all_values_is_told_once() -> None:
    objects = [config_map(upstream=INSIDE, fixed=OUTSIDE)]
    parameters = [enum("upstream", "upstream", INSIDE, "a", "b")]
    assert len(gate.check_variants("site", objects, parameters, OPEN, frozenset())) == 1


# --- waivers end ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("today", "valid"), [("2026-06-29", True), ("2026-06-30", True), ("2026-07-01", False)]
)
def test_a_waiver_is_valid_through_its_last_day(today: str, valid: bool) -> None:
    policy = Policy(("hub.example.com",), waivers=(WAIVER,))
    found = gate.still_valid(policy, today)
    assert found == Policy(("hub.example.com",), waivers=(WAIVER,) if valid else ())


# --- open or shut -----------------------------------------------------------------------------


def finding(number: int = 1, severity: Any = "error", **more: Any) -> Finding:
    subject = f"ConfigMap search/c{number}"
    return Finding("external-host", severity, subject, "/data/a: names x.com", **more)


def message(*findings: Finding, policy: Policy = OPEN, valid: Policy = OPEN) -> str:
    marked = gate.mark_expired(findings, policy, valid)
    with pytest.raises(PolicyError) as shut:
        gate.require_open([("targets/dev", found) for found in marked])
    return shut.value.message


def test_it_is_open_for_warnings_and_waived_findings() -> None:
    passing = [finding(severity="warning"), finding(waiver=WAIVER)]
    gate.require_open([("targets/dev", found) for found in passing])


def test_it_names_where_which_object_and_what() -> None:
    assert message(finding(), finding(2, severity="warning")) == (
        "the gate is shut: 1 finding\n"
        "  targets/dev: external-host: ConfigMap search/c1: /data/a: names x.com"
    )


def test_it_names_twenty_findings_and_counts_the_others() -> None:
    lines = message(*(finding(number) for number in range(23))).splitlines()
    assert lines[0] == "the gate is shut: 23 findings"
    assert len(lines) == 22
    assert lines[-1] == "  … and 3 more"


def test_it_says_that_a_waiver_ended() -> None:
    policy = Policy(waivers=(WAIVER,))
    assert f"names x.com (the waiver of {WAIVER.owner} ended on 2026-06-30)" in message(
        finding(), policy=policy
    )


def test_it_says_nothing_of_a_waiver_of_something_else() -> None:
    other = Waiver("external-host", "ConfigMap other/*", "Jo", "a proxy", "2026-06-30")
    assert "waiver" not in message(finding(), policy=Policy(waivers=(other,)))


@pytest.mark.parametrize(
    ("hint", "told"),
    [("serve it inside", "serve it inside"), (None, "mend it, or waive it by name in the policy")],
)
def test_it_says_what_to_do(hint: str | None, told: str) -> None:
    with pytest.raises(PolicyError) as shut:
        gate.require_open([("targets/dev", finding(hint=hint))])
    assert shut.value.hint == told


def test_it_names_a_finding_once_with_its_places_and_every_hint_once() -> None:
    one, two = finding(hint="serve it inside"), finding(2)
    found = [("targets/a", one), ("targets/b", one), ("targets/b", two), ("targets/b", finding(3))]
    with pytest.raises(PolicyError) as shut:
        gate.require_open(found)
    assert shut.value.message.splitlines()[:2] == [
        "the gate is shut: 3 findings",
        "  targets/a, targets/b: external-host: ConfigMap search/c1: /data/a: names x.com",
    ]
    assert shut.value.hint == "serve it inside\nmend it, or waive it by name in the policy"
    assert shut.value.findings[0] == {"where": ["targets/a", "targets/b"], **one.to_json()}


def test_a_waiver_that_fits_nothing_is_told() -> None:
    other = Waiver("external-host", "ConfigMap other/*", "Jo", "a proxy", "2026-06-30")
    policy = Policy(waivers=(Waiver("external-host", "*", "Jo", "a", "2026-06-30"), other))
    [told] = gate.unused(policy, [finding()])
    assert (told.rule, told.severity, told.subject) == ("waiver", "warning", "ConfigMap other/*")


def test_a_skipped_check_that_is_none_is_told() -> None:
    policy = Policy(skip=(Skip("CKV_K8S_15", "pinned"), Skip("CKV_K8S_9999", "x")))
    [told] = gate.unused_skips(policy, {"CKV_K8S_15", "CKV_K8S_16"})
    assert (told.rule, told.severity, told.subject) == ("skip", "warning", "CKV_K8S_9999")
