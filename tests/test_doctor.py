"""`airbundle doctor`, and the preflight of an install: on a real API server and registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from bundler import doctor as verb
from bundler.cli.main import run
from bundler.cluster.access import Access
from bundler.cluster.preflight import needs_of
from bundler.core.errors import ClusterError, PreflightError, ToolError
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.preflight.checked import Checked
from bundler.core.preflight.cuda import Cuda
from bundler.core.progress import SILENT
from bundler.install import Installed, install
from bundler.render import spec_of
from bundler.rollback import RolledBack, rollback
from tests.cluster.certificates import write_server_certificate
from tests.cluster.users import rule, write_user
from tests.fakes.registry.front import Front, front_of
from tests.listing import listing
from tests.making import KEY
from tests.parts.registry import Registry, running_registry
from tests.parts.service import free_ports
from tests.releases import SPEC, TARGET, Release, deployment, namespace
from tests.site import AT_ONCE, Field, field_of_work

pytestmark = pytest.mark.needs("apiserver", "docker-registry")

SECRETS = """\
  secretRefs:
    - {{name: bucket, namespace: {place}, keys: [user], description: the bucket's login}}
"""


@pytest.fixture(name="on")
def examining(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        yield on


@pytest.fixture(name="front")
def watched(registry: Registry) -> Iterator[Front]:
    """The registry, all of whose requests are remembered."""
    with front_of(registry.host) as front:
        front.where = "/"
        yield front


def impossible(on: Field) -> Release:
    """A release that needs a CRD, a storage class, a GPU and a Secret that nobody has."""
    thing = {
        "apiVersion": f"{on.mark}.example.org/v1",
        "kind": "Thing",
        "metadata": {"name": "one", "namespace": on.mark},
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "cache", "namespace": on.mark},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": f"{on.mark}-fast",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    release = on.release(wanting_a_gpu(on), thing, claim)
    return replace(release, spec=SPEC + SECRETS.replace("{place}", on.mark))


def wanting_a_gpu(on: Field) -> JsonObject:
    web: JsonObject = deployment(on.mark, "web")
    container = web["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"limits": {"nvidia.com/gpu": "1"}}
    return web


def diagnosed(
    on: Field, release: Release, registry: str | None, access: Access | None = None
) -> dict[str, Checked]:
    with release.opened(on.folder) as bundle:
        prospect = verb.Prospect(TARGET, {}, registry)
        found = verb.examine_bundle(bundle, prospect, access or on.access)
    assert found.failed is any(each.outcome == "failed" for each in found.checks)
    return {each.name: each for each in found.checks}


def test_an_install_stops_before_its_first_push_with_all_that_is_missing(
    on: Field, front: Front
) -> None:
    release, stored = impossible(on), listing(on.registry)
    site = replace(on.site(), registry=f"{front.host}/{on.mark}")
    with release.opened(on.folder) as bundle, pytest.raises(ClusterError) as caught:
        install(bundle, site, SILENT, manner=AT_ONCE)
    assert caught.value.exit_code == 8
    lines = caught.value.message.splitlines()
    assert {line.split(":")[0].strip() for line in lines[1:]} >= {
        "kinds",
        "storage",
        "GPU",
        "secrets",
    }
    assert f"{on.mark}-fast is not there" in caught.value.message
    assert "asks for 1 nvidia.com/gpu, which no node offers" in caught.value.message
    assert f"Secret {on.mark}/bucket (the bucket's login): is not there" in caught.value.message
    assert {each.method for each in front.asked} <= {"GET", "HEAD"}
    assert listing(on.registry) == stored
    assert on.get(ObjectId("v1", "Namespace", None, on.mark)) is None
    assert on.get(ObjectId("v1", "Namespace", None, on.home)) is None


def test_an_install_without_rights_stops_before_its_first_push(on: Field, front: Front) -> None:
    on.cluster.create(namespace(on.mark))
    few = (rule("", "configmaps", "get patch"),)
    path = write_user(on.folder / "few", on.kubeconfig, on.cluster, on.mark, few)
    release = on.release(on.settings("one", key="value"))
    access = replace(on.access, kubeconfig=path)
    site = replace(on.site(), registry=f"{front.host}/{on.mark}", access=access)
    with release.opened(on.folder) as bundle, pytest.raises(ClusterError) as caught:
        install(bundle, site, SILENT, manner=AT_ONCE)
    assert f"may not, in the namespace {on.mark}: create configmaps" in caught.value.message
    assert f"in the namespace {on.home}: list secrets" in caught.value.message
    assert "in the whole cluster: get namespaces" in caught.value.message
    assert "kubectl auth can-i" in str(caught.value.hint)
    assert {each.method for each in front.asked} <= {"GET", "HEAD"}
    assert on.get(on.id("one")) is None


def test_what_would_go_through_is_said_and_nothing_is_there_after_it(on: Field) -> None:
    stored = listing(on.registry)
    found = diagnosed(on, on.release(deployment(on.mark, "web")), on.site().registry)
    failed = [each for each in found.values() if each.outcome == "failed"]
    assert failed == []
    assert found["registry"].outcome == "ok"
    assert found["room for pods"].message == "1 pods find room"
    assert listing(on.registry) == stored
    assert on.get(ObjectId("v1", "Namespace", None, on.mark)) is None


def test_who_knows_better_installs_and_goes_back_past_a_failed_check(on: Field) -> None:
    def installed(version: str, *objects: JsonObject, ignored: tuple[str, ...] = ()) -> Installed:
        release = on.release(on.settings("one", key=version), *objects, version=version)
        site = replace(on.site(), ignored_checks=ignored)
        with release.opened(on.folder) as bundle:
            return install(bundle, site, SILENT, manner=AT_ONCE)

    def back(ignored: tuple[str, ...]) -> RolledBack:
        name, key = f"app-{on.mark}", KEY.public
        more: dict[str, Any] = {"ignored_checks": ignored, "manner": AT_ONCE}
        return rollback(name, None, on.access, key, SILENT, **more)

    for ignored in ((), ("node disk",)):
        with pytest.raises(PreflightError, match="GPU: "):
            installed("1.0.0", wanting_a_gpu(on), ignored=ignored)
    done = {e.name: e for e in installed("1.0.0", wanting_a_gpu(on), ignored=("GPU",)).preflight}
    assert done["GPU"].outcome == "ignored"
    assert "takes uploads" in done["registry"].message
    installed("1.1.0")
    with pytest.raises(PreflightError, match="GPU: "):
        back(())
    assert "ignored" in [each.outcome for each in back(("GPU",)).preflight if each.name == "GPU"]
    assert on.record().version == "1.0.0"


def test_what_goes_with_an_upgrade_needs_the_right_to_delete_it(on: Field) -> None:
    on.install(on.release(on.settings("one"), on.settings("two")))
    verbs = "get list patch create update"
    most = (
        rule("", "configmaps secrets", verbs),
        rule("coordination.k8s.io", "leases", f"{verbs} delete"),
    )
    everywhere = (
        rule("", "namespaces", "get patch"),
        rule("", "secrets", "get list patch create"),
        most[1],
    )
    path = write_user(on.folder / "most", on.kubeconfig, on.cluster, on.mark, most, everywhere)
    access = replace(on.access, kubeconfig=path)
    upgrade = on.release(on.settings("one"), version="1.1.0")
    found = diagnosed(on, upgrade, None, access)["rights"]
    assert found.outcome == "warning"  # the last of two: what it can't undo
    with upgrade.opened(on.folder) as bundle:
        checks = verb.examine_bundle(bundle, verb.Prospect(TARGET, {}), access).checks
    failed = [each for each in checks if each.outcome == "failed"]
    assert [each.message.partition(": ")[2] for each in failed] == ["delete configmaps"]


def test_the_image_s_cuda_and_the_model_s_size_come_out_of_the_bundle(on: Field) -> None:
    release = on.release()
    says = ("PATH=/usr/bin", "CUDA_VERSION=12.4.1", "NVIDIA_REQUIRE_CUDA=cuda>=12.4 brand=tesla")
    contents = replace(release.contents, environment=says)
    with replace(release, contents=contents).opened(on.folder) as bundle:
        needs = needs_of(bundle, spec_of(bundle), (), on.home)
        sizes = {e.descriptor.digest.hex: bundle.tree(e).blobs for e in bundle.entries}
    found = {each.name: each for each in needs.images.values()}
    assert found["registry.corp_5000/team/server"].platforms == {"linux/amd64"}
    said = Cuda("12.4.1", "cuda>=12.4 brand=tesla")
    assert found["registry.corp_5000/team/server"].cuda == said
    assert (found["mini"].kind, found["mini"].cuda) == ("model", None)
    assert {key: sum(b.size for b in sizes[key]) for key in needs.images} == {
        key: each.size for key, each in needs.images.items()
    }


def test_how_long_the_certificate_of_a_registry_with_tls_lasts_is_said(
    on: Field, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_server_certificate(tmp_path, "registry.test", "0.0.0.0")
    shown = x509.load_pem_x509_certificate((tmp_path / "server.crt").read_bytes())
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "0.0.0.0")
    release, authority = on.release(), tmp_path / "ca.crt"
    with (
        running_registry(tmp_path / "tls", free_ports(1)[0], tls=tmp_path) as registry,
        release.opened(on.folder) as bundle,
    ):
        prospect = verb.Prospect(TARGET, {}, f"{registry.host}/{on.mark}", authority)
        checks = verb.examine_bundle(bundle, prospect, on.access).checks
    found = {each.name: each for each in checks}
    assert found["registry"].outcome == "ok"
    certificate = found["registry's certificate"]
    assert certificate.outcome == "ok"
    assert certificate.message == f"it is trusted, and lasts until {shown.not_valid_after_utc:%F}"


def test_the_site_s_files_are_asked_for_before_an_install(on: Field, tmp_path: Path) -> None:
    site = f"  site: {{{{pullSecret: {{{{name: pull, namespaces: [{on.mark}]}}}}}}}}\n"
    release = replace(on.release(on.settings("one")), spec=SPEC + site)
    assert diagnosed(on, release, None)["site files"].outcome == "skipped"
    registry = on.site().registry
    found = diagnosed(on, release, registry)["site files"]
    assert found.outcome == "failed"
    assert "--registry-credentials: this bundle needs it" in found.message
    path = tmp_path / "config.json"
    path.write_text('{"auths": {}}')
    with release.opened(on.folder) as bundle:
        prospect = verb.Prospect(TARGET, {}, registry, registry_credentials=path)
        checks = verb.examine_bundle(bundle, prospect, on.access).checks
    assert [each.outcome for each in checks if each.name == "site files"] == ["ok"]
    assert "site files" not in diagnosed(on, on.release(on.settings("one")), registry)


# --- the command ------------------------------------------------------------------------------


@pytest.fixture(name="file")
def written(on: Field) -> Path:
    (on.folder / "release.pub").write_bytes(KEY.public.pem())
    return impossible(on).write(on.folder / "bundle.tar")


def command(on: Field, *arguments: str) -> int:
    access = ("--kubeconfig", str(on.kubeconfig), "--release-namespace", on.home)
    return run(["doctor", *arguments, *access])


def test_the_command_prints_aligned_lines_with_remedies(
    on: Field, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = str(on.folder / "release.pub")
    assert command(on, str(file), "--key", key, "--target", TARGET) == 8
    lines = capsys.readouterr().out.splitlines()
    [storage] = [
        number for number, line in enumerate(lines) if line.startswith("failed   storage ")
    ]
    column = lines[storage].index("PersistentVolumeClaim")
    assert lines[storage + 1][:column].strip() == ""
    assert lines[storage + 1][column:].startswith("-> set the bundle's parameter")
    assert lines[0].startswith("ok       Python")
    assert lines[-1].startswith("failed: ")
    assert ", 4 failed" in lines[-1]


def test_the_command_says_the_same_in_json(
    on: Field, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = str(on.folder / "release.pub")
    assert command(on, str(file), "--key", key, "--target", TARGET, "--json") == 8
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["failed"] is True
    found = {each["name"]: each for each in said["checks"]}
    assert found["storage"]["outcome"] == "failed"
    assert set(found["storage"]) == {"name", "outcome", "message", "remedy"}


def test_without_a_file_machine_and_cluster_are_examined(
    on: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(on) == 0
    out = capsys.readouterr().out
    names = [line[9:].split("  ")[0].strip() for line in out.splitlines() if line[:2] != "  "]
    assert {"Python", "cryptography", "API server", "clock", "nodes", "GPU"} <= set(names)
    assert "OpenSSL" in out
    assert out.splitlines()[-1].startswith("passed: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--target", "dev"), "go with a FILE alone"),
        (("--registry", "reg.site"), "go with a FILE alone"),
        (("--set", "a=b"), "go with a FILE alone"),
        (("--registry-credentials", __file__), "go with a FILE alone"),
    ],
)
def test_options_of_a_file_need_one(
    on: Field, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(on, *arguments) == 2
    assert words in capsys.readouterr().err


def test_a_file_needs_a_target_and_whom_to_trust(
    on: Field, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(on, str(file)) == 2
    assert "--target: is missing" in capsys.readouterr().err
    assert command(on, str(file), "--target", TARGET) == 4


# --- the machine ------------------------------------------------------------------------------


def test_a_machine_without_a_cluster_or_tools_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ToolError("tool: found neither", "put it on PATH")

    monkeypatch.setattr(verb, "find_kustomize", missing)
    monkeypatch.setattr(verb, "find_checkov", missing)
    monkeypatch.setattr(verb, "loaded_module", lambda: ("OpenSSL 3.5.0", True))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    found = verb.doctor(Access())
    outcomes = {each.name: each for each in found.checks}
    assert found.failed is False
    assert outcomes["cryptography"].message == (
        "OpenSSL 3.5.0, its FIPS provider in force, for signatures"
    )
    for name in ("kustomize", "checkov", "API server"):
        assert (outcomes[name].outcome, bool(outcomes[name].remedy)) == ("skipped", True)


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_cluster_that_was_named_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    found = verb.doctor(Access(tmp_path / "absent" if by == "option" else None))
    [last] = [each for each in found.checks if each.name == "API server"]
    assert (found.failed, last.outcome) == (True, "failed")
