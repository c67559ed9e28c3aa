"""Kinds of registries: known by their hosts or by name, and what they make of names."""

from __future__ import annotations

import pytest

from bundler.core.errors import UsageError
from bundler.core.objects.images import ImagePlace, relocate
from bundler.core.objects.manifests import ObjectId
from bundler.core.reference import PLACEHOLDER_HOST
from bundler.core.registries import SiteRegistry

PATH = "registry.corp_5000/team/server"
ACCOUNT = "123456789012.dkr.ecr"
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("registry.site:5000", "plain", f"registry.site:5000/{PATH}"),
        ("registry.site/a/b", "plain", f"registry.site/a/b/{PATH}"),
        (f"{ACCOUNT}.us-gov-west-1.amazonaws.com", "ecr", None),
        (f"{ACCOUNT}-fips.us-gov-west-1.amazonaws.com/x", "ecr", None),
        (f"{ACCOUNT}.cn-north-1.amazonaws.com.cn/x", "ecr", None),
        (f"{ACCOUNT}.us-iso-east-1.c2s.ic.gov/x", "ecr", None),
        ("team.azurecr.io/x", "acr", None),
        ("team.azurecr.us", "acr", None),
        ("us-docker.pkg.dev/project/images", "gar", None),
        ("us-docker.pkg.dev/project/images/deep", "gar", None),
        ("quay.io/org", "quay", "quay.io/org/registry.corp_5000__team__server"),
        ("quay.io/org/deep", "quay", "quay.io/org/deep__registry.corp_5000__team__server"),
        ("quay:q.site:5000/org", "quay", "q.site:5000/org/registry.corp_5000__team__server"),
        ("plain:quay.io/org", "plain", f"quay.io/org/{PATH}"),
        ("harbor:registry.site:5000/p", "harbor", f"registry.site:5000/p/{PATH}"),
        ("artifactory:registry.site", "artifactory", f"registry.site/{PATH}"),
        # A host with a port, whatever it is called.
        ("harbor:5000/x", "plain", f"harbor:5000/x/{PATH}"),
        ("quay:5000", "plain", f"quay:5000/{PATH}"),
        # Not Amazon's, although it looks like it.
        (f"{ACCOUNT}.us-east-1.amazonaws.com.evil.example/x", "plain", None),
        ("x.quay.io/org", "plain", None),
    ],
)
def test_a_kind_is_known_and_places_a_repository(text: str, kind: str, place: str | None) -> None:
    registry = SiteRegistry.parse(text)
    assert (registry.profile.name, str(registry)) == (kind, text)
    assert registry.place(PATH) == (place or f"{text}/{PATH}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("us-docker.pkg.dev", "expected us-docker.pkg.dev/PROJECT/REPOSITORY"),
        ("us-docker.pkg.dev/project", "found the prefix 'project'"),
        ("harbor:registry.site", "expected registry.site/PROJECT"),
        ("quay.io", "expected quay.io/ORGANISATION"),
        ("nexus:registry.site", "expected HOST"),
        ("ecr:", "expected HOST"),
        ("oci:folder", "expected HOST"),
    ],
)
def test_what_is_no_place_for_images_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        SiteRegistry.parse(text)
    assert caught.value.hint


def test_a_source_is_asked_by_the_names_that_it_has() -> None:
    registry = SiteRegistry.exactly("quay.io")
    assert registry.place("prometheus/node-exporter") == "quay.io/prometheus/node-exporter"


def test_account_and_region_are_in_the_name_of_ecr() -> None:
    known = SiteRegistry.parse(f"{ACCOUNT}.eu-west-1.amazonaws.com/x")
    assert known.aws == ("123456789012", "eu-west-1")
    assert SiteRegistry.parse("ecr:proxy.site/x").aws is None


def test_references_in_objects_follow_the_names() -> None:
    text = f"--image={PLACEHOLDER_HOST}/{PATH}@{DIGEST},{PLACEHOLDER_HOST}/models/m@{DIGEST}"
    obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "x", "namespace": "s"},
        "data": {"a": text},
    }
    places = [ImagePlace("dev", ObjectId.of(obj), "/data/a", number) for number in range(2)]
    [moved] = relocate("dev", [obj], places, "quay.io/org")
    flat = "quay.io/org/registry.corp_5000__team__server"
    assert moved["data"]["a"] == f"--image={flat}@{DIGEST},quay.io/org/models__m@{DIGEST}"
