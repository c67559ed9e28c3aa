"""Each kind of registry takes a bundle: run on docker-registry, set up to behave as it does.

docs/registries.md says of each what only the real one can show.
"""

from __future__ import annotations

import json
import stat
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bundler.archive.bundle import AuthenticatedBundle
from bundler.cluster.push import plan_push, pullables, push_artifact, push_bundle
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import SourceError
from bundler.core.progress import SILENT
from bundler.core.reference import ImageReference
from bundler.core.registries import SiteRegistry
from bundler.released import open_released
from bundler.render import render
from bundler.sign.keys import Algorithm, PrivateKey
from bundler.sign.open import open_bundle
from bundler.signing import sign_bundle
from bundler.tools.registry import RegistryDestination, RegistrySource
from tests.fakes.registry.kinds import Kind, kind_of, refusal
from tests.making import make_bundle
from tests.parts.registry import Registry
from tests.releases import TARGET, Release, deployment

pytestmark = pytest.mark.needs("docker-registry")

DATA = b"weights" * 1000
BLOB = Descriptor.of("application/vnd.oci.image.layer.v1.tar", DATA)


@dataclass
class There:
    """A registry of some kind: how it behaves, how it is addressed, and what was made in it."""

    kind: Kind
    name: str
    prefix: str
    created: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{self.name}:{self.kind.host}/{self.prefix}"

    def create(self, registry: SiteRegistry, repository: str) -> None:
        """What `aws` does for ECR."""
        assert str(registry) == self.address
        assert self.kind.made is not None
        self.kind.made.add(repository)
        self.created.append(repository)

    def destination(self) -> RegistryDestination:
        return RegistryDestination(self.address, lambda seconds: None, create=self.create)

    def push(self, bundle: AuthenticatedBundle) -> Digest:
        with closing(self.destination()) as destination:
            return push_artifact(push_bundle(bundle, destination, SILENT), destination)


def behaviour(name: str, mark: str) -> tuple[Kind, str]:
    """How a kind behaves, and a PREFIX in it."""
    prefixes = {"gar": f"project/{mark}", "quay": mark, "harbor": f"{mark}/team"}
    kind = {
        "ecr": Kind("", made=set(), kept=400, password="first"),
        "gar": Kind("", made={f"project/{mark}/"}, kept=400),
        "harbor": Kind("", made={f"{mark}/"}, kept=412),
        "quay": Kind("", levels=2),
        "artifactory": Kind("", made={f"{mark}/"}, kept=403),
    }.get(name, Kind(""))
    return kind, prefixes.get(name, mark)


@pytest.fixture(
    name="there", params=["plain", "ecr", "acr", "gar", "harbor", "artifactory", "quay"]
)
def behaving(
    request: pytest.FixtureRequest,
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[There]:
    kind, prefix = behaviour(request.param, f"t{uuid.uuid4().hex}")
    kind.upstream = registry.host
    with kind_of(kind):
        helper(tmp_path, monkeypatch, kind)
        yield There(kind, request.param, prefix)


def helper(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    """A credential helper that gives what stands in the file `word`."""
    (folder / "word").write_text("first")
    program = folder / "docker-credential-words"
    program.write_text(
        f'#!/bin/sh\nprintf \'{{"Username":"AWS","Secret":"%s"}}\' "$(cat {folder}/word)"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    config = folder / "config.json"
    helpers = {} if kind.password is None else {kind.host: "words"}
    config.write_text(json.dumps({"credHelpers": helpers}))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    # Where a person's own programs are, `aws` may be one of them.
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.fixture(name="bundle")
def opened_bundle(tmp_path: Path) -> Iterator[AuthenticatedBundle]:
    with Release("movie-search", [deployment("serving", "web")]).opened(tmp_path) as bundle:
        yield bundle


def test_a_bundle_goes_there_once_and_is_found_by_the_names_in_its_objects(
    there: There, bundle: AuthenticatedBundle
) -> None:
    artifact = there.push(bundle)
    found = pullables(bundle, there.address)
    assert {each.kind for each in found} == {"image", "model"}
    for each in found:
        reference = ImageReference.parse(each.reference)
        with closing(RegistrySource(reference.host)) as source:
            _, data = source.manifest(reference.repository, str(reference.digest))
        assert Digest.of(data) == reference.digest
    [obj] = render(bundle, TARGET, {}, there.address).objects
    image = obj["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image in {each.reference for each in found}
    with closing(there.destination()) as destination:
        plan = plan_push(bundle, destination)
    assert (plan.transfers, plan.entries, plan.artifact) == ((), (), False)
    assert there.push(bundle) == artifact
    again = open_released(there.address, "movie-search", bundle.release.index, None)
    assert again.release.index == bundle.release.index
    made = there.kind.made
    assert there.created == [] if there.name != "ecr" else set(there.created) == made


def test_a_place_is_writable_and_nothing_is_kept(there: There) -> None:
    with closing(there.destination()) as destination:
        if there.name == "ecr":
            with pytest.raises(SourceError, match="`aws`, which does that, is not on PATH"):
                destination.check_writable("models/m")
            there.create(SiteRegistry.parse(there.address), f"{there.prefix}/models/m")
        destination.check_writable("models/m")
        assert not destination.has_blob("models/m", BLOB)
    ended = [asked.method for asked in there.kind.asked if "/uploads/" in asked.path]
    assert ended[-1] == "DELETE"


def test_a_co_signed_bundle_stays_published_where_tags_are_immutable(
    there: There, tmp_path: Path
) -> None:
    path = make_bundle(tmp_path / "bundle.tar")
    with open_bundle(path, None) as bundle:
        first = there.push(bundle)
    sign_bundle(path, PrivateKey.generate(Algorithm.ED25519), in_place=False)
    with open_bundle(path, None) as signed:
        assert (there.push(signed) == first) == (there.kind.kept is not None)


@pytest.mark.parametrize("there", ["ecr", "harbor", "artifactory"], indirect=True)
def test_a_tag_that_cannot_be_moved_is_said_to_be_so(there: There) -> None:
    with closing(there.destination()) as destination:
        destination.put_blob("models/m", BLOB, (DATA,))
        put(destination, b"{}")
        put(destination, b"{}")
        with pytest.raises(SourceError, match=r"can't be moved: expected .*, found sha256") as e:
            put(destination, b'{"other":1}')
    assert "immutable" in str(e.value.hint)


def put(destination: RegistryDestination, config: bytes) -> None:
    kind = "application/vnd.oci.image.config.v1+json"
    found = Descriptor.of(kind, config)
    destination.put_blob("models/m", found, (config,))
    media = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": media, "config": found.to_json(), "layers": []}
    data = json.dumps(manifest).encode()
    destination.put_manifest("models/m", "v1", Descriptor.of(media, data), data)


@pytest.mark.parametrize("there", ["ecr"], indirect=True)
def test_a_login_that_ends_in_the_middle_is_asked_for_again(there: There, tmp_path: Path) -> None:
    with closing(there.destination()) as destination:
        destination.put_blob("models/m", BLOB, (DATA,))
        there.kind.password, there.kind.ended = "second", {"first"}
        (tmp_path / "word").write_text("second")
        destination.put_blob("models/other", BLOB, (DATA,))
        assert destination.has_blob("models/other", BLOB)
        there.kind.password, there.kind.ended = "third", {"first", "second"}
        with pytest.raises(SourceError, match=r"does not permit this \(403\)"):
            destination.has_blob("models/other", BLOB)


@pytest.mark.parametrize("there", ["ecr"], indirect=True)
def test_a_login_that_has_ended_before_is_said_to_be_so(there: There) -> None:
    there.kind.password, there.kind.ended = "never", {"first", "second"}
    with closing(there.destination()) as destination:
        for ask in (destination.check_writable, lambda name: destination.has_blob(name, BLOB)):
            words = "any more" if ask == destination.check_writable else "does not permit"
            with pytest.raises(SourceError, match=words) as caught:
                ask("models/m")
            assert "aws ecr get-login-password" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ("acr", "`az acr login --name REGISTRY` (good for 3 hours)"),
        ("gar", "`gcloud auth configure-docker {host}` (its helper renews the login every hour)"),
        ("quay", "`docker login {host}` as a robot account"),
    ],
    indirect=["there"],
)
def test_who_is_not_logged_in_is_told_how_such_a_registry_is(there: There, words: str) -> None:
    there.kind.password = "first"
    with closing(there.destination()) as destination:
        for ask in (destination.check_writable, lambda name: destination.has_blob(name, BLOB)):
            with pytest.raises(SourceError, match=r"wants a login \(401\)") as caught:
                ask("models/m")
            assert caught.value.hint == f"{words.format(host=there.kind.host)} first"


@pytest.mark.parametrize(
    ("there", "words"),
    [("gar", "gcloud artifacts repositories create"), ("harbor", "in Harbor")],
    indirect=["there"],
)
def test_what_must_be_made_first_is_named(there: There, words: str) -> None:
    there.kind.made = set()
    with closing(there.destination()) as destination:
        for ask in (destination.check_writable, lambda name: destination.put_blob(name, BLOB, ())):
            with pytest.raises(SourceError, match=r"has no such repository \(404\)") as caught:
                ask("models/m")
            assert words in str(caught.value.hint)


@pytest.mark.parametrize("there", ["quay"], indirect=True)
def test_nested_names_are_refused_where_nobody_said_that_it_is_quay(there: There) -> None:
    with (
        closing(RegistryDestination(f"{there.kind.host}/{there.prefix}")) as destination,
        pytest.raises(SourceError, match="NAME_INVALID"),
    ):
        destination.check_writable("models/m")


@pytest.mark.parametrize("there", ["harbor"], indirect=True)
@pytest.mark.parametrize(
    "full",
    [
        refusal(403, "DENIED", "adding 1 GiB, which will exceed the configured upper limit of 1"),
        refusal(413, "UNKNOWN", "too large"),
        refusal(507, "UNKNOWN", "no"),
        refusal(400, "DENIED", "Quota has been exceeded on namespace"),
    ],
)
def test_a_registry_without_room_is_said_to_be_so(there: There, full: object) -> None:
    with ExitStack() as stack:
        there.kind.full = full  # type: ignore[assignment]
        destination = stack.enter_context(closing(there.destination()))
        with pytest.raises(SourceError, match="has no room for it") as caught:
            destination.put_blob("models/m", BLOB, (DATA,))
        assert "quota" in str(caught.value.hint)
