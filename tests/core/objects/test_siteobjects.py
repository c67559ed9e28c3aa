"""The pull secret and the CA of a site: only what was asked for, only for its registry."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from bundler.core.documents.bundle import parse_bundle
from bundler.core.documents.site import SiteNeeds, SiteObject
from bundler.core.errors import DocumentError, UsageError
from bundler.core.objects.differences import MASK, differences
from bundler.core.objects.siteobjects import authority, pull_credentials, site_objects

HOST = "registry.site:5000"
SECRET = "hunter2"
AUTH = base64.b64encode(f"puller:{SECRET}".encode()).decode()
NEEDS = SiteNeeds(
    pull_secret=SiteObject(name="pull", namespaces=("a", "b")),
    ca=SiteObject(name="site-ca", namespaces=("a",)),
)
PEM = "-----BEGIN CERTIFICATE-----\nAAEC\nAwQF\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nAAEC\n-----END PRIVATE KEY-----\n"
SPEC = """\
apiVersion: airbundle.dev/v1alpha1
kind: Bundle
metadata: {name: app, version: "1.0.0"}
spec:
  manifests: {base: base, overlays: [dev]}
  site: {%s}
"""


LOGIN = json.dumps(
    {
        "auths": {
            "https://index.docker.io/v1/": {"auth": "b3RoZXI6c2VjcmV0"},
            HOST: {"auth": AUTH, "email": "x"},
        },
        "HttpHeaders": {"X": "y"},
    }
).encode()


def test_both_are_made_in_each_namespace() -> None:
    made = site_objects(NEEDS, LOGIN, f"# the site's\n{PEM}", registry=f"harbor:{HOST}/team")
    places = [(each["kind"], each["metadata"]["namespace"]) for each in made]
    assert places == [("Secret", "a"), ("Secret", "b"), ("ConfigMap", "a")]
    secret, _, ca = made
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    assert secret["metadata"]["name"] == "pull"
    kept = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))
    assert kept == {"auths": {HOST: {"auth": AUTH}}}
    assert ca["data"] == {"ca.crt": PEM}
    assert site_objects(NEEDS, LOGIN, PEM, registry=HOST) == made


def test_all_files_that_are_missing_are_named_at_once() -> None:
    with pytest.raises(
        UsageError, match=r"site\.pullSecret.*; --registry-ca: .*site\.ca"
    ) as caught:
        site_objects(NEEDS, None, None, registry=HOST)
    hints = str(caught.value.hint).splitlines()
    assert [hint.partition(":")[0] for hint in hints] == ["--registry-credentials", "--registry-ca"]


def test_a_new_password_is_masked_in_a_plan() -> None:
    old, new = (
        site_objects(NEEDS, each, PEM, registry=HOST)[0]
        for each in (LOGIN, json.dumps({"auths": {}}).encode())
    )
    [found] = differences(old, new)
    assert (found.before, found.after) == (MASK, MASK)


@pytest.mark.parametrize(
    "entry",
    [
        {HOST: {"auth": AUTH}},
        {f"https://{HOST}/v1/": {"auth": AUTH}},
        {f"{HOST}/team": {"username": "puller", "password": SECRET}},
        {f"http://{HOST}": {"auth": "eDp5"}, HOST: {"auth": AUTH}},
    ],
)
def test_a_login_is_found_as_docker_finds_it(entry: dict[str, Any]) -> None:
    kept = pull_credentials(json.dumps({"auths": entry}).encode(), HOST)
    assert json.loads(kept) == {"auths": {HOST: {"auth": AUTH}}}


def test_a_file_without_logins_says_that_none_is_needed() -> None:
    assert json.loads(pull_credentials(b'{"auths":{}}', HOST)) == {"auths": {}}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (b"\xff", "a configuration of Docker's"),
        (b"[]", "a configuration of Docker's"),
        (b'{"auths":[]}', "a configuration of Docker's"),
        (b'{"auths":{"x.y":1}}', "a configuration of Docker's"),
        (b'{"auths":{},"credsStore":"pass"}', r"kept by a program \(credsStore\)"),
        (b'{"credHelpers":{"x.y":"pass"}}', r"kept by a program \(credHelpers\)"),
        (json.dumps({"auths": {"x.y": {"auth": AUTH}}}).encode(), f"for {HOST} .* those for x.y"),
        (json.dumps({"auths": {HOST: {}}}).encode(), "no user with a password"),
        (json.dumps({"auths": {HOST: {"auth": "!"}}}).encode(), "no user with a password"),
        (json.dumps({"auths": {HOST: {"auth": 1}}}).encode(), "no user with a password"),
        (
            json.dumps({"auths": {HOST: {"auth": AUTH, "identitytoken": SECRET}}}).encode(),
            "no user with a password",
        ),
    ],
)
def test_a_login_that_a_node_cannot_use_is_refused(given: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        pull_credentials(given, HOST)
    said = f"{caught.value.message} {caught.value.hint}"
    assert SECRET not in said
    assert AUTH not in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "found no PEM"),
        ("der", "found no PEM"),
        (PEM + KEY, "found PRIVATE KEY"),
        (PEM + "-----BEGIN CERTIFICATE-----\nAA", "something broken"),
        (PEM.replace("AAEC", "AAE"), "no base64"),
    ],
)
def test_what_is_no_ca_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        authority(text)
    assert "AAEC" not in caught.value.message


@pytest.mark.parametrize(
    ("needs", "credentials", "ca", "words"),
    [
        (NEEDS, None, PEM, "--registry-credentials: this bundle needs it"),
        (NEEDS, LOGIN, None, "--registry-ca: this bundle needs it"),
        (SiteNeeds(ca=NEEDS.ca), LOGIN, PEM, "makes no use of it"),
    ],
)
def test_files_and_needs_must_fit(
    needs: SiteNeeds, credentials: bytes | None, ca: str | None, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        site_objects(needs, credentials, ca, registry=HOST)


def test_a_ca_that_no_pod_asks_for_is_for_airbundle_alone() -> None:
    needs = SiteNeeds(pull_secret=NEEDS.pull_secret)
    assert {each["kind"] for each in site_objects(needs, LOGIN, PEM, registry=HOST)} == {"Secret"}


def test_a_spec_says_where_they_are_needed() -> None:
    text = "pullSecret: {name: pull, namespaces: [a, b]}, ca: {name: site-ca, namespaces: [a]}"
    assert parse_bundle(SPEC % text, "bundle.yaml").site == NEEDS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected pullSecret or ca"),
        ("ca: {name: x, namespaces: []}", "has 0 items"),
        ("ca: {name: x, namespaces: [a, a]}", "as item 0 is already"),
        ("ca: {name: X, namespaces: [a]}", "is 'X'"),
        ("certificate: {}", "unknown field"),
    ],
)
def test_a_spec_that_asks_for_nothing_real_is_refused(text: str, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        parse_bundle(SPEC % text, "bundle.yaml")
