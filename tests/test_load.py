"""`airbundle load` out of a real registry: what is there afterwards, and what never is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bundler.archive import format as fmt
from bundler.archive.framing import END, Member, place
from bundler.core import strictjson
from bundler.core.digest import Descriptor, Digest
from bundler.core.errors import IntegrityError, SourceError, UsageError
from bundler.core.progress import SILENT
from bundler.load import Loaded, load
from bundler.push import push
from bundler.sign.open import open_bundle
from bundler.tools.registry import RegistryDestination
from tests.fakes.registry.front import Front, front_of
from tests.fakes.registry.serving import Reply
from tests.making import Contents, make_bundle
from tests.parts.registry import Registry

pytestmark = pytest.mark.needs("docker-registry")

# Two layers: one of small files, one of a file of 16 MiB.
LARGE = bytes(range(256)) * (64 * 1024)
FILES = {"config.json": b"{}\n", "vocab/words.txt": b"one\n" * 300, "model.safetensors": LARGE}


@pytest.fixture(scope="module")
def reference(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model in the registry, pushed as bundles are; for two platforms, and so an index."""
    file = tmp_path_factory.mktemp("bundle") / "a.tar"
    make_bundle(file, Contents(models={"mini": FILES}, platforms=("linux/amd64", "linux/arm64")))
    with open_bundle(file, None) as bundle:
        pushed = push(bundle, f"{registry.host}/load", SILENT)
    return next(each.reference for each in pushed.references if each.kind == "model")


@pytest.fixture
def front(registry: Registry) -> Iterator[Front]:
    with front_of(registry.host) as running:
        yield running


def through(front: Front, reference: str) -> str:
    return f"{front.host}/{reference.partition('/')[2]}"


def assert_whole(folder: Path) -> None:
    found = {
        path.relative_to(folder / "models").as_posix(): path
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert {name: path.read_bytes() for name, path in found.items()} == FILES
    assert {path.stat().st_mode & 0o777 for path in found.values()} == {0o444}
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_model_arrives_and_is_verified_when_asked_again(reference: str, tmp_path: Path) -> None:
    folder = tmp_path / "mini"
    size = sum(map(len, FILES.values()))
    assert load(reference, folder, SILENT) == Loaded(reference, folder, 3, size, fresh=True)
    assert_whole(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert load(reference, folder, SILENT) == Loaded(reference, folder, 3, size, fresh=False)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def damage_content(path: Path) -> None:
    (path / "models/config.json").chmod(0o644)
    (path / "models/config.json").write_bytes(b"[]\n")


def damage_size(path: Path) -> None:
    (path / "models/config.json").chmod(0o644)
    (path / "models/config.json").write_bytes(b"{}")


DAMAGES = {
    "content": damage_content,
    "size": damage_size,
    "a file too many": lambda path: (path / "models/more").touch(),
    "a file that is gone": lambda path: (path / "models/model.safetensors").unlink(),
    "a file outside": lambda path: (path / "more").touch(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_folder_that_holds_something_else_is_refused(
    reference: str, tmp_path: Path, damage: object
) -> None:
    folder = tmp_path / "mini"
    load(reference, folder, SILENT)
    assert callable(damage)
    damage(folder)
    with pytest.raises(IntegrityError, match="holds other files") as caught:
        load(reference, folder, SILENT)
    assert "remove the folder" in str(caught.value.hint)


def wrong(reply: Reply) -> None:
    """One bit of what came, in the middle."""
    if reply.body:
        at = len(reply.body) // 2
        reply.body = reply.body[:at] + bytes([reply.body[at] ^ 1]) + reply.body[at + 1 :]


@pytest.mark.parametrize("where", ["/blobs/", "/manifests/"])
def test_a_registry_that_serves_wrong_bytes_is_refused(
    front: Front, reference: str, tmp_path: Path, where: str
) -> None:
    front.where = where
    front.faults = [wrong] * 5
    with pytest.raises(IntegrityError):
        load(through(front, reference), tmp_path / "mini", SILENT)
    assert not (tmp_path / "mini").exists()
    front.faults = []
    load(through(front, reference), tmp_path / "mini", SILENT)
    assert_whole(tmp_path / "mini")


class StoppedError(Exception):
    """In place of a signal that ends the process."""


class Stopping:
    """Fails after so many bytes, as a process that is killed then."""

    def __init__(self, after: int) -> None:
        self._left = after

    def phase(self, label: str, total: int | None) -> None:
        pass

    def advance(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise StoppedError


def test_a_load_that_was_cut_off_goes_on_with_what_is_whole(
    front: Front, reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layers come one after the other here: the large one first, and then it is over."""
    monkeypatch.setattr("bundler.sources.modelimage.THREADS", 1)
    with pytest.raises(StoppedError):
        load(reference, tmp_path / "mini", Stopping(len(LARGE) + 6_000))
    assert not (tmp_path / "mini").exists()
    front.where = "/blobs/"
    load(through(front, reference), tmp_path / "mini", SILENT)
    assert len(front.asked) == 1, "the large layer was not asked for again"
    assert_whole(tmp_path / "mini")


def test_what_was_left_is_not_believed(
    front: Front, reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bundler.sources.modelimage.THREADS", 1)
    with pytest.raises(StoppedError):
        load(reference, tmp_path / "mini", Stopping(len(LARGE) + 6_000))
    left = tmp_path / ".mini.partial/tree/models"
    (left / "model.safetensors").chmod(0o644)
    (left / "model.safetensors").write_bytes(LARGE[:-1] + b"!")
    (left / "more").touch()
    front.where = "/blobs/"
    load(through(front, reference), tmp_path / "mini", SILENT)
    assert len(front.asked) == 2
    assert_whole(tmp_path / "mini")


def test_a_disk_without_room_is_said_before_anything_is_written(
    front: Front, reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": len(LARGE)})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    front.where = "/blobs/"
    with pytest.raises(UsageError, match=r"needs 16.*MiB free"):
        load(through(front, reference), tmp_path / "mini", SILENT)
    assert front.asked == []
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("registry.site/models/mini:1", "expected a digest"),
        ("registry.site/Models/mini", "expected"),
        ("registry.airbundle.invalid/models/mini@sha256:" + 64 * "a", "expected HOST"),
    ],
)
def test_a_reference_that_can_not_be_meant(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load(text, tmp_path / "mini", SILENT)


def test_a_folder_in_nowhere(reference: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a folder to write to"):
        load(reference, tmp_path / "no" / "mini", SILENT)


def test_a_model_that_is_not_there(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected an image"):
        load(f"{registry.host}/load/models/no@sha256:{64 * 'a'}", tmp_path / "mini", SILENT)


def put_model(host: str, *layers: bytes, media_type: str = fmt.OCI_LAYER) -> str:
    """An image of these layers, whatever they are: the reference that a hostile manifest has."""
    config = b"{}"
    manifest = strictjson.canonical(
        {
            "schemaVersion": 2,
            "mediaType": fmt.OCI_MANIFEST,
            "config": Descriptor.of(fmt.OCI_CONFIG, config).to_json(),
            "layers": [Descriptor.of(media_type, layer).to_json() for layer in layers],
        }
    )
    with closing(RegistryDestination(host)) as destination:
        for kind, data in ((fmt.OCI_CONFIG, config), *((media_type, each) for each in layers)):
            destination.put_blob("evil", Descriptor.of(kind, data), [data])
        top = Descriptor.of(fmt.OCI_MANIFEST, manifest)
        destination.put_manifest("evil", None, top, manifest)
    return f"{host}/evil@{Digest.of(manifest)}"


def layer_of(*names: str) -> bytes:
    placed = framing = b""
    for name in names:
        found = place(Member(name, 1), len(framing))
        framing += found.framing + b"x" + found.filler
    return placed + framing + END


HOSTILE = {
    "a path that leads out": ([layer_of("models/../../../out")], "segment"),
    "a file outside of models": ([layer_of("etc/passwd")], "not framed"),
    "no tar at all": ([b"MZ" * 4096], "not framed"),
    "one name in two layers": ([layer_of("models/a"), layer_of("models/a", "models/b")], "twice"),
    "a layer too many": ([layer_of("models/a"), layer_of("models/b")], "not those that follow"),
    "files out of order": ([layer_of("models/b", "models/a")], "not those that follow"),
    "no layer": ([], "expected the image of a model"),
    "an empty layer": ([END], "at least one file"),
    "one layer twice": ([layer_of("models/a")] * 2, "names a layer twice"),
}


@pytest.mark.parametrize(("layers", "says"), HOSTILE.values(), ids=list(HOSTILE))
def test_an_image_that_is_no_model_s_is_refused(
    registry: Registry, tmp_path: Path, layers: list[bytes], says: str
) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    with pytest.raises(IntegrityError, match=says):
        load(put_model(registry.host, *layers), inside / "mini", SILENT)
    assert not (inside / "mini").exists()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(".mini.partial" in path.parts for path in files)


def test_layers_of_another_type_are_not_unpacked(registry: Registry, tmp_path: Path) -> None:
    reference = put_model(registry.host, layer_of("models/a"), media_type=f"{fmt.OCI_LAYER}+gzip")
    with pytest.raises(IntegrityError, match="expected the image of a model"):
        load(reference, tmp_path / "mini", SILENT)


def test_the_command_says_what_it_did(
    reference: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bundler.cli import main

    arguments = ["load", reference, "--into", str(tmp_path / "mini")]
    assert main.run(arguments) == 0
    assert capsys.readouterr().out.startswith(f"loaded       {reference}\n")
    assert main.run([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["files"], said["fresh"]) == (3, False)


def test_an_authority_that_a_site_does_not_have_is_no_error(
    reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bundler.cli import main

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.crt"))
    assert main.run(["load", reference, "--into", str(tmp_path / "mini")]) == 0
    assert "SSL_CERT_FILE" not in os.environ
