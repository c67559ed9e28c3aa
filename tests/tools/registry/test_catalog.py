"""What a real registry says that it has, page by page, and what is believed of it."""

from __future__ import annotations

import json
import uuid
from contextlib import closing

import pytest

from bundler.core.errors import SourceError
from bundler.tools.registry import RegistryCatalog, RegistryDestination, catalog
from tests.fakes.registry.front import Front, instead
from tests.parts.registry import Registry
from tests.pushed import put_manifest

pytestmark = pytest.mark.needs("docker-registry")


@pytest.fixture
def prefix(registry: Registry) -> str:
    name = f"t{uuid.uuid4().hex}"
    for repository in ("bundles/a", "bundles/b", "bundles/c", "bundles/deep/d", "models/a"):
        put_manifest(f"{registry.host}/{name}", repository)
    put_manifest(f"{registry.host}/{name}/bundles", "bundles/inner")
    return name


def test_all_pages_are_read(
    registry: Registry, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "_PAGE", "?n=2")
    with closing(RegistryCatalog(f"{registry.host}/{prefix}")) as here:
        assert here.below("bundles") == ("bundles/a", "bundles/b", "bundles/c")
        assert here.below("files") == ()


def test_flat_names_are_found_as_they_were_given(registry: Registry, prefix: str) -> None:
    address = f"quay:{registry.host}/{prefix}"
    for repository in ("bundles/a", "models/a"):
        put_manifest(address, repository)
    with closing(RegistryCatalog(address)) as here:
        assert here.below("bundles") == ("bundles/a",)
        assert here.tags("bundles/a") == ()


def test_tags_of_what_is_not_there_are_none(registry: Registry, prefix: str) -> None:
    with closing(RegistryCatalog(f"{registry.host}/{prefix}")) as here:
        assert here.tags("bundles/other") == ()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"repositories":"a"}', b'{"repositories":[1]}']
)
def test_what_is_no_list_is_refused(front: Front, body: bytes) -> None:
    front.where, front.faults = "_catalog", [instead(200, body)]
    with (
        closing(RegistryCatalog(front.host)) as here,
        pytest.raises(SourceError, match="expected a list of repositories"),
    ):
        here.below("bundles")


def test_a_list_without_an_end_is_refused(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_MOST_PAGES", 3)
    page = instead(200, json.dumps({"repositories": ["a"]}).encode())
    page.headers.append(("Link", '</v2/_catalog?last=a&n=1>; rel="next"'))
    front.where, front.faults = "_catalog", [page] * 4
    with (
        closing(RegistryCatalog(front.host)) as here,
        pytest.raises(SourceError, match="has more than 3 pages"),
    ):
        here.below("bundles")
    assert len(front.asked) == 3


def test_a_next_page_is_asked_of_the_same_registry(front: Front) -> None:
    page = instead(200, json.dumps({"repositories": ["bundles/a"]}).encode())
    page.headers.append(("Link", '<http://elsewhere.example/v2/_catalog?last=zzz>; rel="next"'))
    front.where, front.faults = "_catalog", [page]
    with closing(RegistryCatalog(front.host)) as here:
        assert "bundles/a" in here.below("bundles")
    assert [asked.path for asked in front.asked] == ["/v2/_catalog?n=1000", "/v2/_catalog?last=zzz"]


def test_the_destination_and_the_catalog_agree(registry: Registry, prefix: str) -> None:
    with (
        closing(RegistryDestination(f"{registry.host}/{prefix}")) as destination,
        closing(RegistryCatalog(f"{registry.host}/{prefix}")) as here,
    ):
        for repository in here.below("models"):
            destination.check_writable(repository)
        assert here.below("models") == ("models/a",)
