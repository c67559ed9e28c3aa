"""Hosts outside of the cluster are found, and nothing else is taken for one."""

from __future__ import annotations

import time

import pytest

from bundler.core.objects.manifests import JsonObject
from bundler.core.rules.external_hosts import hosts
from bundler.core.rules.hostnames import mentions
from tests.core.rules.host_table import INSIDE, OUTSIDE, schema
from tests.core.rules.objects import annotated, args, config_map, env, found, messages

RULE = "external-host"


@pytest.mark.parametrize(
    ("obj", "host"), [case[1:] for case in OUTSIDE], ids=[case[0] for case in OUTSIDE]
)
def test_a_host_outside_is_found(obj: JsonObject, host: str) -> None:
    assert [message.split("'")[1] for message in messages(RULE, obj)] == [host]


@pytest.mark.parametrize("obj", [case[1] for case in INSIDE], ids=[case[0] for case in INSIDE])
def test_what_is_inside_or_no_host_is_let_be(obj: JsonObject) -> None:
    assert messages(RULE, obj) == []


def test_a_finding_names_object_place_host_and_remedy() -> None:
    [finding] = found(RULE, env("HUB", "https://huggingface.co/x"))
    assert finding.severity == "error"
    assert finding.subject == "Deployment serving/web"
    assert finding.message.startswith("/spec/template/spec/containers/0/env/0/value: ")
    assert "huggingface.co" in finding.message
    assert finding.hint is not None
    assert "allowHosts" in finding.hint


def test_a_password_is_not_repeated() -> None:
    [message] = messages(RULE, env("PROXY", "http://user:hunter2@proxy.corp.lan:3128"))
    assert "hunter2" not in message


@pytest.mark.parametrize(
    "allowed",
    ["telemetry.corp.lan", "*.corp.lan", "*.lan", "telemetry.corp.lan:443", "TELEMETRY.corp.lan"],
)
def test_a_host_of_the_policy_is_let_be(allowed: str) -> None:
    assert messages(RULE, args("https://telemetry.corp.lan/v1"), allow_hosts=(allowed,)) == []


@pytest.mark.parametrize(
    "allowed", ["corp.lan", "*.telemetry.corp.lan", "telemetry.corp.lan:80", "elemetry.corp.lan"]
)
def test_a_host_beside_the_policy_is_found(allowed: str) -> None:
    assert len(messages(RULE, args("https://telemetry.corp.lan/v1"), allow_hosts=(allowed,))) == 1


def test_only_a_service_account_is_one_of_google_cloud() -> None:
    field = "iam.gke.io/gcp-service-account"
    for text in ("server@hub.example.com", "https://x@a.iam.gserviceaccount.com/"):
        assert len(list(hosts(annotated(field, text)))) == 1
    assert len(list(hosts(annotated("contact", "server@a-1.iam.gserviceaccount.com")))) == 1


def test_escapes_of_json_hide_nothing() -> None:
    obj = config_map(settings='{"url": "logs.example\\u002ecom", "url": "none"}')
    assert ["logs.example.com" in message for message in messages(RULE, obj)] == [True]


def test_the_first_of_two_equal_keys_is_read() -> None:
    obj = config_map(settings='{"url": "logs.example.com", "url": "none"}')
    assert len(messages(RULE, obj)) == 1


def test_each_place_and_host_is_reported_once() -> None:
    obj = args("curl a.example.com b.example.com a.example.com", "a.example.com")
    hosts = [message.split("'")[1] for message in messages(RULE, obj)]
    assert hosts == ["a.example.com", "b.example.com", "a.example.com"]


def test_a_property_called_description_is_no_prose() -> None:
    obj = schema(properties={"description": {"default": "https://example.com"}})
    assert len(messages(RULE, obj)) == 1


def test_a_name_longer_than_any_in_dns_is_no_host() -> None:
    longest = "a." * 125 + "com"
    assert len(longest) == 253
    assert [each.host for each in mentions(longest)] == [longest]
    assert list(mentions(f"a.{longest}")) == []


def test_long_texts_take_no_long_time() -> None:
    started = time.process_time()
    long = ("a." * 200_000, "://" * 100_000, "a@" * 200_000, "x.com:" * 50_000, "-" * 400_000)
    for text in (*long, "a." * 80_000 + "com", "a.com/" * 20_000, '"a,' * 100_000):
        mentions(text)
        mentions(text, code=True)
    assert time.process_time() - started < 20
