"""Logins at real registries: htpasswd over TLS, and docker-registry's own token authentication."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bundler.core.digest import Descriptor
from bundler.core.errors import SourceError
from bundler.tools.registry import RegistryDestination
from tests.fakes.registry.front import Front, front_of, instead
from tests.fakes.registry.tokens import (
    HTPASSWD,
    IDENTITY,
    PASSWORD,
    PUBLIC,
    SERVICE,
    USER,
    TokenService,
)
from tests.parts.needs import require
from tests.parts.registry import Registry, running_registry
from tests.parts.service import free_ports
from tests.pushed import put
from tests.tools.registry.conftest import Login, Source

pytestmark = pytest.mark.needs("docker-registry")

DATA = b"layer" * 1000
Destination = Callable[[str], RegistryDestination]


@pytest.fixture(scope="module")
def basic_registry(
    tmp_path_factory: pytest.TempPathFactory, certificates: Path
) -> Iterator[Registry]:
    """With TLS, for USER alone."""
    require("docker-registry")
    folder = tmp_path_factory.mktemp("basic")
    (folder / "users").write_text(HTPASSWD)
    auth = {"auth": {"htpasswd": {"realm": "tests", "path": str(folder / "users")}}}
    with running_registry(folder, free_ports(1)[0], settings=auth, tls=certificates) as running:
        yield running


@pytest.fixture
def trusted(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The site's authority, as SSL_CERT_FILE."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.crt"))
    return certificates / "ca.crt"


@pytest.fixture
def token_front(token_registry: Registry, tokens: TokenService) -> Iterator[Front]:
    """A front of the registry with tokens, where every request counts."""
    with front_of(token_registry.host) as front:
        front.where = "/v2/"
        tokens.asked.clear()
        yield front


@pytest.fixture
def as_user(logged_in: Login, token_registry: Registry, token_front: Front) -> None:
    """USER is logged in at the front."""
    logged_in(token_front.host, USER, PASSWORD)


def test_a_password_over_tls_with_the_site_s_own_authority(
    basic_registry: Registry, source: Source, logged_in: Login, trusted: Path
) -> None:
    logged_in(basic_registry.host, USER, PASSWORD)
    repository, blob = put(basic_registry.host, DATA)
    assert b"".join(source(basic_registry.host).blob(repository, blob, 5)) == DATA[5:]


def test_crane_and_skopeo_pull_with_the_same_login(
    basic_registry: Registry,
    logged_in: Login,
    trusted: Path,
    docker_config: Path,
    tool: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """So that what works elsewhere works here, and the other way round."""
    crane, skopeo = tool("crane"), tool("skopeo")
    authorities = tmp_path / "authorities"
    authorities.mkdir()
    shutil.copy(trusted, authorities)
    logged_in(basic_registry.host, USER, PASSWORD)
    repository, _ = put(basic_registry.host, DATA)
    config = Descriptor.of("application/vnd.oci.image.config.v1+json", b"{}")
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config.to_json(),
        "layers": [],
    }
    data = json.dumps(manifest).encode()
    with closing(RegistryDestination(basic_registry.host)) as destination:
        destination.put_blob(repository, config, (b"{}",))
        top = Descriptor.of(str(manifest["mediaType"]), data)
        destination.put_manifest(repository, "v1", top, data)
    name = f"{basic_registry.host}/{repository}:v1"
    said = subprocess.run([crane, "manifest", name], capture_output=True, check=True)
    assert said.stdout.strip() == data
    # skopeo knows authorities of its own alone, and Docker's logins by this name.
    subprocess.run(
        [skopeo, "inspect", "--raw", "--cert-dir", authorities, "--authfile", docker_config,
         f"docker://{name}"],
        capture_output=True,
        check=True,
    )  # fmt: skip


def test_an_unknown_authority_is_refused(basic_registry: Registry, source: Source) -> None:
    with pytest.raises(SourceError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        source(basic_registry.host).manifest("x", "v1")
    assert "SSL_CERT_FILE" in str(caught.value.hint)


def test_nobody_is_told_to_log_in(basic_registry: Registry, source: Source, trusted: Path) -> None:
    with pytest.raises(SourceError, match=r"wants a login \(401\) \(UNAUTHORIZED") as caught:
        source(basic_registry.host).manifest("x", "v1")
    assert caught.value.hint == f"`docker login {basic_registry.host}` first"


def test_a_wrong_password_is_named_and_not_shown(
    basic_registry: Registry, source: Source, logged_in: Login, trusted: Path
) -> None:
    logged_in(basic_registry.host, USER, "hunter2")
    with pytest.raises(SourceError, match="does not accept the login that Docker has") as caught:
        source(basic_registry.host).manifest("x", "v1")
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.usefixtures("as_user")
def test_a_token_is_fetched_once_for_a_repository(
    token_front: Front, tokens: TokenService, source: Source
) -> None:
    repository, blob = put(token_front.host, DATA)
    tokens.asked.clear()
    token_front.asked.clear()
    here = source(token_front.host)
    for _ in range(3):
        assert b"".join(here.blob(repository, blob, 0)) == DATA
    assert len(tokens.asked) == 1
    assert f"repository%3A{repository}%3Apull" in tokens.asked[0].path
    assert f"service={SERVICE.replace(' ', '+')}" in tokens.asked[0].path
    assert [str(asked.login)[:6] for asked in token_front.asked] == ["None", *["Bearer"] * 3]


def test_anybody_may_have_a_token_for_what_is_public(
    token_front: Front,
    tokens: TokenService,
    source: Source,
    logged_in: Login,
    docker_config: Path,
) -> None:
    logged_in(token_front.host, USER, PASSWORD)
    repository, blob = put(token_front.host, DATA, PUBLIC)
    private, other = put(token_front.host, b"private")
    docker_config.unlink()
    tokens.asked.clear()
    assert b"".join(source(token_front.host).blob(repository, blob, 0)) == DATA
    assert [asked.login for asked in tokens.asked] == [None]
    with pytest.raises(SourceError, match=r"wants a login \(401\)"):
        next(source(token_front.host).blob(private, other, 0))


@pytest.mark.parametrize("member", ["token", "access_token"])
def test_an_identity_token_is_posted(
    token_front: Front, tokens: TokenService, logged_in: Login, member: str
) -> None:
    tokens.member = member
    logged_in(token_front.host, "", "", identitytoken=IDENTITY)
    put(token_front.host, DATA)
    tokens.member = "token"
    assert {asked.method for asked in tokens.asked} == {"POST"}
    assert all(IDENTITY not in asked.path for asked in tokens.asked)


@pytest.mark.usefixtures("as_user")
def test_a_push_asks_for_push_a_mount_for_both(token_front: Front, tokens: TokenService) -> None:
    repository, blob = put(token_front.host, DATA)
    assert len(tokens.asked) == 1
    assert f"repository%3A{repository}%3Apull%2Cpush" in tokens.asked[0].path
    other = f"r{uuid.uuid4().hex}"
    with closing(RegistryDestination(token_front.host)) as destination:
        assert destination.mount_blob(other, blob, repository)
        assert destination.has_blob(other, blob)
    assert f"repository%3A{repository}%3Apull" in tokens.asked[1].path


@pytest.mark.usefixtures("as_user")
def test_a_token_that_ends_in_the_middle_is_replaced(
    token_front: Front, tokens: TokenService, source: Source
) -> None:
    repository, blob = put(token_front.host, DATA)
    here = source(token_front.host)
    assert b"".join(here.blob(repository, blob, 0)) == DATA
    tokens.asked.clear()
    token_front.faults.append(instead(401, www_authenticate=f'Bearer realm="{tokens.realm}"'))
    assert b"".join(here.blob(repository, blob, 0)) == DATA
    assert len(tokens.asked) == 1


@pytest.mark.usefixtures("as_user")
def test_an_upload_whose_token_ends_is_sent_again(token_front: Front, tokens: TokenService) -> None:
    ended = instead(401, www_authenticate=f'Bearer realm="{tokens.realm}",service="{SERVICE}"')
    with closing(RegistryDestination(token_front.host)) as destination:
        repository, _ = put(token_front.host, b"first", PUBLIC)
        blob = Descriptor.of("a/b", DATA)
        assert not destination.has_blob(repository, blob)
        token_front.where = "digest="  # the one PUT of a blob
        token_front.faults.append(ended)
        destination.put_blob(repository, blob, (DATA,))
        assert destination.has_blob(repository, blob)


@pytest.mark.usefixtures("as_user")
def test_a_token_service_may_ask_to_wait(
    token_front: Front, tokens: TokenService, source: Source, pauses: list[float]
) -> None:
    repository, blob = put(token_front.host, DATA)
    tokens.refusals.append(instead(429, retry_after="9"))
    assert b"".join(source(token_front.host).blob(repository, blob, 0)) == DATA
    assert pauses == [9.0]


def test_a_login_that_the_token_service_refuses(
    token_front: Front, tokens: TokenService, source: Source, logged_in: Login
) -> None:
    logged_in(token_front.host, USER, "hunter2")
    with pytest.raises(SourceError, match=f"{tokens.realm} refuses the login that") as caught:
        source(token_front.host).manifest("x", "v1")
    assert caught.value.hint == f"`docker login {token_front.host}`"
    assert "hunter2" not in caught.value.message


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize("place", ["elsewhere", "the same host"])
def test_where_blobs_are_kept_is_shown_no_login(
    token_front: Front, tokens: TokenService, registry: Registry, source: Source, place: str
) -> None:
    """Unless it is the registry itself, which wants one."""
    repository, blob = put(token_front.host, DATA)
    put(registry.host, DATA)
    path = f"/v2/{repository}/blobs/{blob.digest}"
    with front_of(registry.host) as storage:
        host = storage.host if place == "elsewhere" else token_front.host
        storage.faults.append(instead(200, DATA))
        here = source(token_front.host)
        assert b"".join(here.blob(repository, blob, 0)) == DATA
        token_front.asked.clear()
        token_front.faults.append(instead(307, location=f"http://{host}{path}"))
        assert b"".join(here.blob(repository, blob, 0)) == DATA
        shown = storage.asked if place == "elsewhere" else token_front.asked[1:]
        assert [asked.login is not None for asked in shown] == [place != "elsewhere"]


@pytest.mark.usefixtures("as_user")
def test_where_blobs_are_kept_can_not_ask_for_the_login(
    token_front: Front, tokens: TokenService, registry: Registry, source: Source
) -> None:
    repository, blob = put(token_front.host, DATA)
    with front_of(registry.host) as storage, front_of(registry.host) as thief:
        thief.where = ""
        away = instead(307, location=f"http://{storage.host}/v2/x/blobs/y")
        asks = instead(401, www_authenticate=f'Bearer realm="http://{thief.host}/t"')
        here = source(token_front.host)
        assert b"".join(here.blob(repository, blob, 0)) == DATA
        token_front.faults.append(away)
        storage.faults.append(asks)
        with pytest.raises(SourceError, match="401"):
            next(here.blob(repository, blob, 0))
        assert thief.asked == []
