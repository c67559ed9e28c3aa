"""The pull half on a real registry, and on one whose answers are changed on the way."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, SourceError, UsageError
from bundler.core.registries import SiteRegistry
from bundler.tools.http import ATTEMPTS
from bundler.tools.registry import RegistryDestination, site
from tests.fakes.registry.front import Front, both, instead, with_body, with_header
from tests.parts.registry import Registry
from tests.pushed import put
from tests.tools.registry.conftest import Source

OCI = "application/vnd.oci.image.manifest.v1+json"


def put_manifest(address: str, repository: str, layer: Descriptor) -> bytes:
    """A manifest under the tag v1."""
    config = Descriptor.of("application/vnd.oci.image.config.v1+json", b"{}")
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI,
        "config": config.to_json(),
        "layers": [layer.to_json()],
    }
    data = json.dumps(manifest, indent=3).encode()
    with closing(RegistryDestination(address)) as destination:
        destination.put_blob(repository, config, (b"{}",))
        destination.put_manifest(repository, "v1", Descriptor.of(OCI, data), data)
    return data


@pytest.fixture
def image(registry: Registry) -> tuple[str, bytes]:
    """A repository and its manifest's bytes, tagged v1."""
    repository, layer = put(registry.host, b"layer")
    return repository, put_manifest(registry.host, repository, layer)


@pytest.mark.needs("docker-registry")
def test_a_manifest_by_tag_and_by_digest(
    registry: Registry, source: Source, image: tuple[str, bytes]
) -> None:
    repository, data = image
    here = source(registry.host)
    assert here.manifest(repository, "v1") == (OCI, data)
    assert here.manifest(repository, str(Digest.of(data))) == (OCI, data)


@pytest.mark.needs("docker-registry")
def test_repositories_lie_below_the_prefix(registry: Registry, source: Source) -> None:
    repository, layer = put(f"{registry.host}/team/a", b"layer")
    data = put_manifest(f"{registry.host}/team/a", repository, layer)
    assert source(f"{registry.host}/team").manifest(f"a/{repository}", "v1") == (OCI, data)
    assert b"".join(source(f"{registry.host}/team/a").blob(repository, layer, 2)) == b"yer"


@pytest.mark.needs("docker-registry")
def test_what_is_not_there_is_named(registry: Registry, source: Source) -> None:
    absence = rf"^registry {registry.host}: expected an image none/x:v9, found none \(404 MANIFEST"
    with pytest.raises(SourceError, match=absence) as caught:
        source(f"{registry.host}/none").manifest("x", "v9")
    assert caught.value.hint
    absent = Descriptor.of("a/b", b"absent")
    with pytest.raises(SourceError, match=rf"blob {absent.digest} of none/x: answered 404 \(BLOB"):
        next(source(f"{registry.host}/none").blob("x", absent, 0))


@pytest.mark.needs("docker-registry")
@pytest.mark.parametrize("by", ["tag", "digest"])
def test_a_manifest_that_was_changed_on_the_way_is_refused(
    front: Front, source: Source, image: tuple[str, bytes], by: str
) -> None:
    repository, data = image
    front.where = "/manifests/"
    front.faults.append(with_body(data.replace(b"layers", b"LAYERS")))
    with pytest.raises(IntegrityError, match=f"expected {Digest.of(data)}, found sha256:"):
        source(front.host).manifest(repository, "v1" if by == "tag" else str(Digest.of(data)))


@pytest.mark.needs("docker-registry")
def test_a_registry_that_does_not_say_a_digest_is_believed_about_a_tag(
    front: Front, source: Source, image: tuple[str, bytes]
) -> None:
    repository, data = image
    front.where = "/manifests/"
    nameless = both(with_header("Docker-Content-Digest", None), with_header("Content-Type", None))
    front.faults.append(nameless)
    assert source(front.host).manifest(repository, "v1") == ("", data)


@pytest.mark.needs("docker-registry")
def test_parameters_are_no_part_of_a_media_type(
    front: Front, source: Source, image: tuple[str, bytes]
) -> None:
    front.where = "/manifests/"
    front.faults.append(with_header("Content-Type", f"{OCI.upper()} ; charset=utf-8"))
    assert source(front.host).manifest(image[0], "v1")[0] == OCI


@pytest.mark.needs("docker-registry")
def test_a_manifest_without_end_is_refused(front: Front, source: Source) -> None:
    front.where = "/manifests/"
    front.faults.append(instead(200, b" " * (site.MAX_MANIFEST + 1)))
    with pytest.raises(SourceError, match="is larger than 4194304 bytes"):
        source(front.host).manifest("x", "v1")


@pytest.mark.needs("docker-registry")
def test_a_manifest_is_asked_for_again_while_the_registry_wants_that(
    front: Front, source: Source, image: tuple[str, bytes], pauses: list[float]
) -> None:
    repository, data = image
    front.where = "/manifests/"
    front.faults[:] = [instead(429, retry_after="3"), instead(503)]
    assert source(front.host).manifest(repository, "v1") == (OCI, data)
    assert pauses == [3.0, 1.0]
    front.faults[:] = [instead(429) for _ in range(ATTEMPTS)]
    with pytest.raises(SourceError, match="answered 429"):
        source(front.host).manifest(repository, "v1")


@pytest.mark.parametrize("repository", ["../x", "X", "a//b", "a?b", ""])
def test_a_repository_that_is_none_is_not_asked_for(source: Source, repository: str) -> None:
    with pytest.raises(SourceError, match="expected lower-case names"):
        source("127.0.0.1:9").manifest(repository, "v1")


@pytest.mark.parametrize("reference", ["a/b", "", "v1?x", "sha256:12", "md5:" + "0" * 32])
def test_a_reference_that_is_none_is_not_asked_for(source: Source, reference: str) -> None:
    with pytest.raises((SourceError, IntegrityError), match="expected"):
        source("127.0.0.1:9").manifest("x", reference)


@pytest.mark.parametrize("address", ["http://reg.example", "", "hub/p"])
def test_an_address_that_is_none_is_refused(source: Source, address: str) -> None:
    with pytest.raises(UsageError, match=r"HOST\[:PORT\]\[/PREFIX\]"):
        source(address)


@pytest.mark.parametrize("name", ["docker.io", "index.docker.io"])
def test_docker_hub_answers_elsewhere(name: str) -> None:
    with closing(site.Site(SiteRegistry.exactly(name), "pull", lambda seconds: None)) as hub:
        assert hub.base == "https://registry-1.docker.io"
        assert hub.session.what == f"registry {name}"
        assert hub.login("library/x").logins.host == name
