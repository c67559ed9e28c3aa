"""`airbundle rollback`, on a real API server and a real registry."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bundler import install as installing
from bundler import rollback as verb
from bundler.cli.main import run
from bundler.cluster.transaction.apply import Checks
from bundler.core.errors import ClusterError, IntegrityError, SourceError, TrustError, UsageError
from bundler.core.objects.manifests import ObjectId
from bundler.core.progress import SILENT
from bundler.install import planned
from bundler.released import open_released
from bundler.rollback import RolledBack, rollback
from bundler.sign.keys import Algorithm, PrivateKey
from bundler.tools.registry import RegistryDestination
from tests.killedwrites import Killed, writes
from tests.listing import listing
from tests.making import KEY
from tests.parts.registry import Registry
from tests.releases import Release
from tests.site import AT_ONCE, Field, field_of_work

pytestmark = pytest.mark.needs("apiserver", "docker-registry")


@pytest.fixture(name="on")
def working(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        yield on


def version(on: Field, number: str) -> Release:
    return on.release(
        on.settings("one", key=number), on.settings(f"only{number[2]}"), version=number
    )


def back(on: Field, to: str | None = None, *, dry_run: bool = False) -> RolledBack:
    name = f"app-{on.mark}"
    return rollback(name, to, on.access, KEY.public, SILENT, dry_run=dry_run, manner=AT_ONCE)


def data(on: Field) -> object:
    found = on.get(on.id("one"))
    return None if found is None else found["data"]["key"]


def test_it_brings_back_what_was_before(on: Field) -> None:
    on.install(version(on, "1.0.0"))
    first = on.record()
    on.install(version(on, "1.1.0"))
    done = back(on)
    assert (done.version, done.status, done.release.change) == ("1.0.0", "TRUSTED", "rollback")
    assert done.plan.removed == (on.id("only1"),)
    assert (data(on), on.get(on.id("only1"))) == ("1.0.0", None)
    record = on.record()
    assert (record.installed, record.inventory) == (first.installed, first.inventory)
    assert [each.version for each in record.history] == ["1.1.0"]


def test_back_again_is_forward(on: Field) -> None:
    for number in ("1.0.0", "1.1.0"):
        on.install(version(on, number))
    back(on)
    assert back(on).version == "1.1.0"
    assert data(on) == "1.1.0"


def test_it_goes_to_the_version_that_is_named(on: Field) -> None:
    for number in ("1.0.0", "1.1.0", "1.2.0"):
        on.install(version(on, number))
    assert back(on, "1.0.0").version == "1.0.0"
    assert data(on) == "1.0.0"
    with pytest.raises(UsageError, match=r"--to 3\.0\.0: .* one of 1\.2\.0, 1\.1\.0"):
        back(on, "3.0.0")


def test_what_runs_is_nothing_to_go_back_to(on: Field) -> None:
    for number in ("1.0.0", "1.1.0"):
        on.install(version(on, number))
    with pytest.raises(UsageError, match=r"--to 1\.1\.0: is what runs") as caught:
        back(on, "1.1.0")
    assert f"airbundle status app-{on.mark}" in str(caught.value.hint)
    assert data(on) == "1.1.0"


def test_a_dry_run_changes_nothing_and_says_what_is_then_done(on: Field) -> None:
    for number in ("1.0.0", "1.1.0"):
        on.install(version(on, number))
    objects = (on.id("one"), on.id("only1"))
    before, stored = on.versions(*objects), listing(on.registry)
    said = back(on, dry_run=True)
    assert (on.versions(*objects), listing(on.registry)) == (before, stored)
    # What a preflight measures, the clock for instance, may differ.
    assert replace(back(on), dry_run=True, preflight=said.preflight) == said


def test_an_install_that_was_left_failed_is_gone_back_from(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    on.install(version(on, "1.0.0"))

    def never(ids: object) -> None:
        raise ClusterError("not ready")

    with monkeypatch.context() as patched:
        patched.setattr(installing, "checks_of", lambda *_: Checks(wait=never))
        with pytest.raises(ClusterError):
            on.install(version(on, "1.1.0"), manner=replace(AT_ONCE, keep_failed=True))
    assert data(on) == "1.1.0"
    assert back(on).version == "1.0.0"
    assert (data(on), on.get(on.id("only1")), on.record().journal) == ("1.0.0", None, None)


def test_a_rollback_that_was_killed_goes_on_to_where_it_was_going(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in ("1.0.0", "1.1.0", "1.2.0"):
        on.install(version(on, number))
    with monkeypatch.context() as patched:
        writes(patched, 2, after=True)  # the journal, and the first object
        with pytest.raises(Killed):
            back(on, "1.0.0")
    journal = on.record().journal
    assert journal is not None
    assert (journal.doing, journal.version) == ("rollback", "1.0.0")
    assert back(on).version == "1.0.0"
    assert (data(on), on.record().version, on.record().journal) == ("1.0.0", "1.0.0", None)


def test_an_install_meanwhile_is_noticed(on: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in ("1.0.0", "1.1.0"):
        on.install(version(on, number))

    def late(*asked: Any) -> Any:
        on.install(version(on, "1.2.0"))
        return planned(*asked)

    monkeypatch.setattr(verb, "planned", late)
    with pytest.raises(ClusterError, match="another install went on meanwhile; nothing was touch"):
        back(on)
    assert (data(on), on.record().version) == ("1.2.0", "1.2.0")


def test_a_rollback_that_fails_leaves_what_was_there(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in ("1.0.0", "1.1.0"):
        on.install(version(on, number))
    asked = []

    def once(ids: object) -> None:
        asked.append(ids)
        if len(asked) == 1:
            raise ClusterError("not ready")

    monkeypatch.setattr(verb, "checks_of", lambda *_: Checks(wait=once))
    with pytest.raises(ClusterError, match=r"1\.1\.0 is what runs, as before"):
        back(on)
    assert (data(on), on.record().version) == ("1.1.0", "1.1.0")


def test_without_a_way_back_nothing_is_begun(on: Field) -> None:
    for number in ("1.0.0", "1.1.0"):
        on.install(version(on, number))
    index = on.record().index.removeprefix("sha256:")
    place = "docker/registry/v2/repositories", on.mark, f"bundles/app-{on.mark}/_manifests/tags"
    tag = on.registry.storage.joinpath(*place, f"index-{index}")
    tag.rename(tag.with_name("gone"))
    with pytest.raises(ClusterError, match=r"there is no way back to 1\.1\.0"):
        back(on)
    assert (data(on), on.record().journal) == ("1.1.0", None)


def test_a_first_install_that_was_cut_off_is_nothing_to_go_back_to(
    on: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(ids: object) -> None:
        raise ClusterError("not ready")

    with monkeypatch.context() as patched:
        patched.setattr(installing, "checks_of", lambda *_: Checks(wait=never))
        with pytest.raises(ClusterError):
            on.install(version(on, "1.0.0"), manner=replace(AT_ONCE, keep_failed=True))
    with pytest.raises(UsageError, match=r"nothing was installed before 1\.0\.0"):
        back(on)


def test_what_was_never_installed_or_never_changed_is_told(on: Field) -> None:
    with pytest.raises(UsageError, match=f"release app-{on.mark}: is not installed"):
        back(on)
    on.install(version(on, "1.0.0"))
    with pytest.raises(UsageError, match=r"nothing was installed before 1\.0\.0") as caught:
        back(on)
    assert "uninstall" in str(caught.value.hint)


def test_it_is_verified_again(on: Field) -> None:
    for number in ("1.0.0", "1.1.0"):
        on.install(version(on, number))
    other = PrivateKey.generate(Algorithm.P256).public
    with pytest.raises(TrustError, match="expected"):
        rollback(f"app-{on.mark}", None, on.access, other, SILENT, manner=AT_ONCE)
    assert data(on) == "1.1.0"


def test_what_the_registry_lost_is_told(on: Field) -> None:
    for number in ("1.0.0", "1.1.0"):
        on.install(version(on, number))
    bundles = on.registry.storage / "docker/registry/v2/repositories" / on.mark / "bundles"
    bundles.rename(bundles.with_name("gone"))
    with pytest.raises(SourceError, match=r"expected an image .*bundles/app-"):
        back(on)
    assert data(on) == "1.1.0"


def artifact(on: Field, tamper: Callable[[dict[str, object]], None]) -> None:
    """What the mark of the installed bundle points to, changed."""
    from bundler.cluster.push import artifact_repository, mark
    from bundler.core.digest import Descriptor, Digest
    from bundler.tools.registry import RegistrySource

    address, name = f"{on.registry.host}/{on.mark}", f"app-{on.mark}"
    index = Digest.parse(on.record().index)
    with closing(RegistrySource(address)) as source:
        kind, found = source.manifest(artifact_repository(name), mark(index))
    manifest = json.loads(found)
    tamper(manifest)
    changed = json.dumps(manifest).encode()
    with closing(RegistryDestination(address)) as destination:
        destination.put_manifest(
            artifact_repository(name), mark(index), Descriptor.of(kind, changed), changed
        )


def another_type(manifest: dict[str, object]) -> None:
    manifest["artifactType"] = "application/vnd.example.other"


def without_index(manifest: dict[str, object]) -> None:
    layers = manifest["layers"]
    assert isinstance(layers, list)
    manifest["layers"] = [
        each
        for each in layers
        if each["annotations"]["org.opencontainers.image.title"] != "index.json"
    ]


def without_metadata(manifest: dict[str, object]) -> None:
    layers = manifest["layers"]
    assert isinstance(layers, list)
    manifest["layers"] = layers[:2]


def huge(manifest: dict[str, object]) -> None:
    layers = manifest["layers"]
    assert isinstance(layers, list)
    layers[0]["size"] = 2**40


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (another_type, "expected a bundle's artifact, found another"),
        (without_index, "expected an index.json of that digest"),
        (without_metadata, "found no such metadata"),
        (huge, "its layers hold more than"),
    ],
)
def test_an_artifact_that_was_changed_is_refused(
    on: Field, tamper: Callable[[dict[str, object]], None], message: str
) -> None:
    from bundler.core.digest import Digest

    on.install(version(on, "1.0.0"))
    artifact(on, tamper)
    index = Digest.parse(on.record().index)
    with pytest.raises(IntegrityError, match=message):
        open_released(f"{on.registry.host}/{on.mark}", f"app-{on.mark}", index, None)


def test_the_bundle_of_another_name_is_refused(on: Field) -> None:
    from bundler.core.digest import Digest

    on.install(version(on, "1.0.0"))
    bundles = on.registry.storage / "docker/registry/v2/repositories" / on.mark / "bundles"
    shutil.copytree(bundles / f"app-{on.mark}", bundles / "other")
    index = Digest.parse(on.record().index)
    with pytest.raises(IntegrityError, match=f"is the bundle app-{on.mark}$"):
        open_released(f"{on.registry.host}/{on.mark}", "other", index, None)


def test_a_blob_that_was_damaged_is_refused(on: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    from bundler.core.digest import Digest
    from bundler.tools.registry import RegistrySource

    on.install(version(on, "1.0.0"))
    real = RegistrySource.blob

    def damaged(self: RegistrySource, *asked: Any) -> Iterator[bytes]:
        return (each.swapcase() for each in real(self, *asked))

    monkeypatch.setattr(RegistrySource, "blob", damaged)
    index = Digest.parse(on.record().index)
    with pytest.raises(IntegrityError, match="the registry sent other bytes"):
        open_released(f"{on.registry.host}/{on.mark}", f"app-{on.mark}", index, None)


def test_what_is_read_back_is_the_bundle_without_layers(on: Field) -> None:
    from bundler.core.digest import Digest

    release = version(on, "1.0.0")
    on.install(release)
    index = Digest.parse(on.record().index)
    address = f"{on.registry.host}/{on.mark}"
    with (
        open_released(address, release.name, index, KEY.public) as read,
        release.opened(on.folder) as bundle,
    ):
        assert (read.release, read.status, read.signers) == (
            bundle.release,
            bundle.status,
            bundle.signers,
        )
        assert read.metadata == bundle.metadata
        assert read.layer("targets/dev.json") == bundle.layer("targets/dev.json")
        with pytest.raises(SourceError, match="its layers are no longer where they were pushed"):
            list(read.open(read.blobs[0]))


def test_the_command_says_what_it_did(on: Field, capsys: pytest.CaptureFixture[str]) -> None:
    for number in ("1.0.0", "1.1.0"):
        on.install(version(on, number))
    name = f"app-{on.mark}"
    arguments = ["rollback", name, "--kubeconfig", str(on.kubeconfig), "--timeout", "0s"]
    arguments += ["--release-namespace", on.home, "--allow-unsigned"]
    assert run([*arguments, "--dry-run"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith("preflight    ")
    assert said[2] == "release      1.1.0 -> 1.0.0 (rollback)"
    assert said[-1] == f"dry run      {name} 1.0.0, target dev: nothing was changed"
    assert run(arguments) == 0
    done = capsys.readouterr().out.splitlines()
    assert f"- {ObjectId('v1', 'ConfigMap', on.mark, 'only1')}" in done
    assert done[-1] == f"rolled back  to {name} 1.0.0, target dev"
