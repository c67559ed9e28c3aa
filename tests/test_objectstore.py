"""Weights by way of a real S3 server: brought there out of a bundle, and fetched as a pod does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.archive.bundle import AuthenticatedBundle
from bundler.cluster.client import Cluster
from bundler.cluster.objectstore import Uploaded, upload
from bundler.core.digest import Digest
from bundler.core.documents.weights import ObjectStore, Weights
from bundler.core.errors import IntegrityError, SourceError, UsageError
from bundler.core.objects.loaderpods import Access, fetched
from bundler.core.objects.manifests import JsonObject
from bundler.core.objects.weights import Loading, arrange
from bundler.core.progress import SILENT
from bundler.load import load
from bundler.sign.open import open_bundle
from tests.fakes.registry.front import Front, front_of
from tests.making import Contents, locked, make_bundle
from tests.parts.needs import require
from tests.parts.objectstore import BUCKET, KEYS, ObjectServer, running_objects
from tests.parts.registry import Registry
from tests.parts.service import free_ports
from tests.releases import IMAGE, deployment, namespace
from tests.site import Field, field_of_work
from tests.test_load import StoppedError, Stopping

LARGE = bytes(range(256)) * (72 * 1024)  # 18 MiB: in parts
FILES = {
    "config.json": b"{}\n",
    "empty": b"",
    "größe/a b": b"one\n" * 9,
    "model.safetensors": LARGE,
}
SIZE = sum(map(len, FILES.values()))
DIGESTS = locked(FILES)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    require("versitygw")
    folder = tmp_path_factory.mktemp("s3")
    with running_objects(folder, f"127.0.0.1:{free_ports(1)[0]}") as running:
        yield running


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthenticatedBundle]:
    file = tmp_path_factory.mktemp("bundle") / "a.tar"
    make_bundle(file, Contents(models={"mini": FILES}))
    with open_bundle(file, None) as opened:
        yield opened


@pytest.fixture(autouse=True)
def environment(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def front(server: ObjectServer) -> Iterator[Front]:
    with front_of(server.endpoint.removeprefix("http://")) as running:
        running.where = f"/{BUCKET}/"
        yield running


def objects(endpoint: str, prefix: str, files: object = DIGESTS) -> tuple[JsonObject, ...]:
    """A pod that fetches the model, as it is rendered."""
    pod = {
        "containers": [{"name": "a", "volumeMounts": [{"name": "w", "mountPath": "/mnt"}]}],
        "volumes": [{"name": "w", "image": {"reference": "airbundle.invalid/models/mini"}}],
    }
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": pod}
    store = ObjectStore(endpoint="https://s3.site", bucket=BUCKET, prefix=prefix, secret_name="k")
    assert isinstance(files, tuple)
    loading = Loading("a.b/c:1", Digest.of(b""), {"mini": files}, (), Access())
    (found,) = arrange("site", (obj,), Weights(s3=store), loading)
    for variable in found["spec"]["initContainers"][0]["env"]:
        if variable["name"] == "AWS_ENDPOINT_URL":
            variable["value"] = endpoint  # as a parameter sets it
    return (found,)


def place(made: tuple[JsonObject, ...]) -> str:
    return str(fetched(made)[0].place)


def test_a_model_goes_there_once_and_comes_back(
    server: ObjectServer, bundle: AuthenticatedBundle, tmp_path: Path
) -> None:
    made = objects(server.endpoint, "once")
    assert upload(bundle, made, SILENT) == (Uploaded(place(made), 4, SIZE),)
    assert upload(bundle, made, SILENT) == (Uploaded(place(made), 0, 0),)
    done = load(place(made), tmp_path / "mini", SILENT)
    assert (done.files, done.size, done.fresh) == (4, SIZE, True)
    found = {path: path.read_bytes() for path in (tmp_path / "mini").rglob("*") if path.is_file()}
    assert found == {tmp_path / "mini/models" / name: data for name, data in FILES.items()}
    assert not load(place(made), tmp_path / "mini", SILENT).fresh


@pytest.mark.needs("apiserver", "docker-registry")
def test_an_install_fills_the_bucket_before_any_pod_is_there(
    server: ObjectServer, kubeconfig: Path, registry: Registry, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    there: list[set[str]] = []
    real = Cluster.apply

    def watched(self: Cluster, obj: JsonObject, **more: bool) -> JsonObject:
        if obj["kind"] == "Deployment" and not more.get("dry_run"):
            found = (server.bucket / "installed").rglob("*")
            there.append({path.name for path in found if path.is_file()})
        return real(self, obj, **more)

    monkeypatch.setattr(Cluster, "apply", watched)
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        secret = {"apiVersion": "v1", "kind": "Secret", "stringData": KEYS}
        on.write("site", namespace(on.mark))
        on.write("site", secret | {"metadata": {"name": "k", "namespace": on.mark}})
        allowed = f"allowHosts: [127.0.0.1, {BUCKET}]\n"
        on.install(replace(on.release(*fetching(on, server)), policy=allowed))
    assert there == [{"config.json", "files.json", "words.txt"}]


def fetching(on: Field, server: ObjectServer) -> tuple[JsonObject, ...]:
    """A Deployment whose pods fetch the model of the bundle before they start."""
    web = deployment(on.mark, "web")
    pod = web["spec"]["template"]["spec"]
    pod["containers"][0]["volumeMounts"] = [{"name": "w", "mountPath": "/mnt"}]
    pod["volumes"] = [{"name": "w", "image": {"reference": "airbundle.invalid/models/mini"}}]
    store = ObjectStore(
        endpoint=server.endpoint, bucket=BUCKET, prefix="installed", secret_name="k"
    )
    models = {"mini": locked(Contents().models["mini"])}
    loading = Loading(IMAGE, Digest.of(b""), models, (), Access())
    return arrange("site", (web,), Weights(s3=store), loading)


def test_what_was_cut_off_goes_on(
    server: ObjectServer, bundle: AuthenticatedBundle, tmp_path: Path, front: Front,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("bundler.sources.modelbucket.THREADS", 1)
    made = objects(server.endpoint, "cut")
    upload(bundle, made, SILENT)
    with pytest.raises(StoppedError):
        load(place(made), tmp_path / "mini", Stopping(len(LARGE)))
    assert not (tmp_path / "mini").exists()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{front.host}")
    load(place(made), tmp_path / "mini", SILENT)
    assert not [each for each in front.asked if "safetensors" in each.path]
    assert (tmp_path / "mini/models/model.safetensors").read_bytes() == LARGE


def test_an_upload_that_was_cut_off_goes_on(
    server: ObjectServer, bundle: AuthenticatedBundle
) -> None:
    made = objects(server.endpoint, "halfway")
    with pytest.raises(StoppedError):
        upload(bundle, made, Stopping(20))
    assert not list((server.bucket / "halfway").rglob("files.json"))
    (done,) = upload(bundle, made, SILENT)
    assert 0 < done.objects <= 4
    assert list((server.bucket / "halfway").rglob("files.json"))


@pytest.mark.parametrize("name", ["config.json", "files.json", "model.safetensors"])
def test_what_somebody_changed_in_the_bucket_is_refused(
    server: ObjectServer, bundle: AuthenticatedBundle, tmp_path: Path, name: str
) -> None:
    made = objects(server.endpoint, f"changed-{name.partition('.')[0]}")
    upload(bundle, made, SILENT)
    (there,) = (server.bucket / f"changed-{name.partition('.')[0]}").rglob(name)
    data = there.read_bytes()
    with there.open("r+b") as file:
        file.write(bytes([data[0] ^ 1]))
    with pytest.raises(IntegrityError, match=r"expected sha256:") as caught:
        load(place(made), tmp_path / "mini", SILENT)
    assert "remove it from the bucket" in str(caught.value.hint)
    assert not (tmp_path / "mini").exists()


@pytest.mark.parametrize("damage", ["content", "more", "less"])
def test_a_folder_that_holds_something_else_is_refused(
    server: ObjectServer, bundle: AuthenticatedBundle, tmp_path: Path, damage: str
) -> None:
    made = objects(server.endpoint, "folder")
    upload(bundle, made, SILENT)
    load(place(made), tmp_path / "mini", SILENT)
    folder = tmp_path / "mini/models"
    if damage == "content":
        (folder / "config.json").chmod(0o644)
        (folder / "config.json").write_bytes(b"[]\n")
    elif damage == "more":
        (folder / "more").touch()
    else:
        (folder / "empty").unlink()
    with pytest.raises(IntegrityError, match="holds other files"):
        load(place(made), tmp_path / "mini", SILENT)


def test_a_disk_without_room_is_said_before_anything_is_fetched(
    server: ObjectServer, bundle: AuthenticatedBundle, tmp_path: Path, front: Front,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made = objects(server.endpoint, "room")
    upload(bundle, made, SILENT)
    usage = type("Usage", (), {"free": SIZE - 1})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{front.host}")
    with pytest.raises(UsageError, match=r"needs 18.*MiB free"):
        load(place(made), tmp_path / "mini", SILENT)
    assert [each.path.rpartition("/")[2] for each in front.asked] == ["files.json"]


def test_a_model_that_nobody_uploaded_is_said(server: ObjectServer, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="answered 404") as caught:
        load(place(objects(server.endpoint, "nobody")), tmp_path / "mini", SILENT)
    assert "was the bundle installed from here" in str(caught.value.hint)


def test_pods_that_fetch_another_model_than_the_bundle_has_are_refused(
    server: ObjectServer, bundle: AuthenticatedBundle
) -> None:
    made = objects(server.endpoint, "another", locked({"config.json": b"another"}))
    with pytest.raises(IntegrityError, match="another model than the bundle has"):
        upload(bundle, made, SILENT)
    assert not (server.bucket / "another").exists()


def test_a_file_that_is_not_what_was_locked_is_never_an_object(
    server: ObjectServer, bundle: AuthenticatedBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size is right, and that is all that framing says."""
    whole = AuthenticatedBundle.open

    def other(self: AuthenticatedBundle, blob: object) -> Iterator[bytes]:
        for chunk in whole(self, blob):  # type: ignore[arg-type]
            yield chunk.replace(b"one\n", b"two\n")

    monkeypatch.setattr(AuthenticatedBundle, "open", other)
    with pytest.raises(IntegrityError, match=r"größe/a b: expected sha256:"):
        upload(bundle, objects(server.endpoint, "false"), SILENT)
    assert not list((server.bucket / "false").rglob("a b"))
    assert not list((server.bucket / "false").rglob("files.json"))


def test_nothing_is_asked_where_no_pod_fetches(
    bundle: AuthenticatedBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert upload(bundle, (), SILENT) == ()


def test_a_load_without_an_address_says_what_to_set(
    server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with pytest.raises(UsageError, match="AWS_ENDPOINT_URL, found none"):
        load(place(objects(server.endpoint, "x")), tmp_path / "mini", SILENT)
