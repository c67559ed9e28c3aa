"""`lock`: every input by digest, the same bytes each time, nothing when an input is refused."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler import lock as locking
from bundler.core import lock as locks
from bundler.core.digest import Digest
from bundler.core.errors import (
    BundlerError,
    DocumentError,
    PolicyError,
    SourceError,
    ToolError,
    UsageError,
)
from bundler.core.progress import SILENT
from bundler.inputs.resolve import resolve
from bundler.sources import files as source_files
from tests.project import IMAGE, MODEL, Project, listing, write_layout

Edit = Callable[[Project], object]


def lock(project: Project) -> locking.Locked:
    return locking.lock(project.spec, project.store, SILENT)


def read(project: Project) -> locks.Lock:
    return locks.parse(project.lock.read_bytes(), "bundle.lock")


# --- what is locked ---------------------------------------------------------------------------


def test_every_input_is_there_by_digest(project: Project) -> None:
    locked = lock(project)
    assert (locked.path, locked.name, locked.version) == (project.lock, "movie-search", "1.4.0")
    assert (locked.models, locked.images, locked.files) == (1, 1, 1)
    assert locked.targets == ("dev", "site")
    found = read(project)

    def digest(name: str) -> Digest:
        return Digest.of((project.folder / name).read_bytes())

    assert found.spec == digest("bundle.yaml")
    tree = [name for name in listing(project.folder) if name.startswith(("base/", "overlays/"))]
    assert found.sources == {name: digest(name) for name in tree}
    assert found.policies == {"policies/default.yaml": digest("policies/default.yaml")}
    [model] = found.models
    assert (model.name, model.source, model.license) == ("mini", "weights", "MIT")
    assert [file.path for file in model.files] == ["README.md", "config.json", "model.safetensors"]
    assert all(file.digest == digest(f"weights/{file.path}") for file in model.files)
    [data] = found.files
    assert [(each.path, each.digest) for each in data.files] == [
        ("train.jsonl", digest("data/train.jsonl"))
    ]
    [image] = found.images
    assert image.entry == f"registry.corp_5000/team/server@{image.digest}"
    assert image.platforms == {"linux/amd64": image.digest}
    assert found.tools.keys() >= {"core-rules", "format", "kustomize", "pickle", "safetensors"}


def test_targets_that_render_differently_have_different_digests(project: Project) -> None:
    lock(project)
    before = dict(read(project).targets)
    assert before["dev"] != before["site"]
    project.edit("overlays/site/kustomization.yaml", '"value": 2', '"value": 3')
    lock(project)
    after = dict(read(project).targets)
    assert after["dev"] == before["dev"]
    assert after["site"] != before["site"]


def test_a_policy_and_files_may_be_left_out(project: Project) -> None:
    project.edit("bundle.yaml", "  policy: policies/default.yaml\n", "")
    project.edit("bundle.yaml", "  files:\n    - {name: data, source: data, kind: dataset}\n", "")
    lock(project)
    assert (read(project).policies, read(project).files) == ({}, ())


def test_a_digest_in_a_reference_may_be_the_image_s_own(project: Project) -> None:
    digest = write_layout(project.folder / "image", b"layer")
    project.edit("base/server.yaml", f"image: {IMAGE}", f"image: {IMAGE}@{digest}")
    assert lock(project).images == 1


# --- again ------------------------------------------------------------------------------------


def test_twice_gives_the_same_bytes(project: Project) -> None:
    assert lock(project).changes == ()
    first = project.lock.read_bytes()
    for path in project.folder.rglob("*"):
        os.utime(path, (1, 1))
    assert lock(project).changes == ()
    assert project.lock.read_bytes() == first


def test_what_changed_is_told(project: Project) -> None:
    lock(project)
    project.write("weights/extra.txt", "more")
    project.edit("bundle.yaml", '"1.4.0"', '"1.5.0"')
    changes = lock(project).changes
    assert "version: changed from 1.4.0 to 1.5.0" in changes
    assert "model mini extra.txt: new" in changes
    assert [change.partition(":")[0] for change in changes] == [
        "model mini extra.txt", "spec", "version",
    ]  # fmt: skip
    assert lock(project).changes == ()


def test_lock_hashes_what_is_there_and_believes_no_earlier_lock(project: Project) -> None:
    lock(project)
    project.write("weights/config.json", '{"hidden_size": 5}\n')
    assert [change.partition(":")[0] for change in lock(project).changes] == [
        "model mini config.json"
    ]


def test_with_a_lock_files_of_the_same_size_are_not_hashed_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(project)
    known = read(project)
    project.write("weights/config.json", '{"hidden_size": 51}\n')
    hashed: list[str] = []
    hash_one = source_files._hash

    def watched(location: Path, *others: object) -> Digest:
        hashed.append(location.name)
        return hash_one(location, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(source_files, "_hash", watched)
    resolve(project.spec, project.store, SILENT, known, packs=True)
    assert hashed == ["config.json"]


def test_who_does_not_pack_hashes_all_of_them(project: Project) -> None:
    lock(project)
    project.edit("weights/config.json", "4", "5")
    with pytest.raises(UsageError, match=r"model mini config\.json: locked 19 bytes"):
        locking.check(project.spec, project.store, SILENT)


# --- what is refused --------------------------------------------------------------------------


def link(name: str) -> Edit:
    """The file, with a symbolic link in its place."""

    def put(project: Project) -> None:
        path = project.folder / name
        path.rename(project.folder / "elsewhere")
        path.symlink_to(project.folder / "elsewhere")

    return put


def pipe(name: str) -> Edit:
    return lambda project: os.mkfifo(project.folder / name)


def unix_socket(name: str) -> Edit:
    def put(project: Project) -> None:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(project.folder / name))

    return put


def edit(name: str, old: str, new: str) -> Edit:
    return lambda project: project.edit(name, old, new)


# Nothing listens there.
UNREACHABLE = "127.0.0.1:1/redis:7"


def no_image_named_so(project: Project) -> None:
    project.edit("base/server.yaml", f"image: {IMAGE}", f"image: {UNREACHABLE}")


def other_digest(project: Project) -> None:
    digest = Digest.of(b"another image")
    project.edit("base/server.yaml", f"image: {IMAGE}", f"image: {IMAGE}@{digest}")


def bad_bytes_for_a_name(project: Project) -> None:
    Path(os.fsdecode(os.fsencode(project.folder / "base") + b"/\xff.yaml")).write_text("x")


WEIGHTS = "weights/model.safetensors"
REFUSED: dict[str, tuple[Edit, type[BundlerError], str]] = {
    "an image that no source has": (
        no_image_named_so, SourceError, rf"\({UNREACHABLE}\): registry 127\.0\.0\.1:1: ",
    ),
    "an image of another digest": (
        other_digest, SourceError, f"image {IMAGE}@.*: expected the digest that it names",
    ),
    "a model that the spec lacks": (
        edit("base/server.yaml", MODEL, "airbundle.invalid/models/large"),
        PolicyError, "model 'large': overlays/dev names it, the spec has mini",
    ),
    "a folder of weights that is not there": (
        lambda project: shutil.rmtree(project.folder / "weights"),
        SourceError, "weights: expected a folder, found none",
    ),
    "another licence than the card's": (
        edit("bundle.yaml", "license: MIT", "license: Apache-2.0"),
        PolicyError, r"\]\.license \(mini\): is 'Apache-2.0', the card states 'mit'",
    ),
    "a link among the weights": (
        link(WEIGHTS), SourceError, "model.safetensors: expected a file or a folder, found a symb",
    ),
    "a link for the weights": (
        link("weights"), SourceError, "weights: expected a folder, found a symbolic link",
    ),
    "a link among the data": (
        link("data/train.jsonl"), SourceError, "train.jsonl: expected a file or a folder, found a",
    ),
    "a link in the base": (link("base/server.yaml"), SourceError, "base/server.yaml: .*a symbolic"),
    "a link for the policy": (
        link("policies/default.yaml"), SourceError, "default.yaml: expected a regular file, found",
    ),
    "a link for the spec": (
        link("bundle.yaml"), SourceError, "bundle.yaml: expected a regular file, found a symbolic",
    ),
    "a pipe among the weights": (pipe("weights/p"), SourceError, "weights/p: .*found a named pipe"),
    "a pipe in the base": (pipe("base/p"), SourceError, "base/p: .*found a pipe"),
    "a socket among the data": (unix_socket("data/s"), SourceError, "data/s: .*found a socket"),
    "a bad name in the base": (bad_bytes_for_a_name, SourceError, "udcff.yaml' is not UTF-8"),
    "a backslash in the base": (
        lambda project: project.write("base/a\\b", "x"), SourceError, "has a backslash",
    ),
    "an overlay that is not there": (
        lambda project: shutil.rmtree(project.folder / "overlays" / "dev"),
        DocumentError, r"yaml:12:38: spec.manifests.overlays\[0\]: overlays/dev: expected a folder",
    ),
    "a resource outside": (
        edit("overlays/dev/kustomization.yaml", "../../base", "../../../elsewhere"),
        PolicyError, "overlays/dev/kustomization.yaml:1:13: resources: .*elsewhere",
    ),
    "a remote resource": (
        edit("overlays/dev/kustomization.yaml", "../../base", "https://example.com/base"),
        PolicyError, "overlays/dev/kustomization.yaml:1:13: resources: .*example.com",
    ),
    "a plugin": (
        lambda project: project.write("overlays/dev/kustomization.yaml", "generators: [g.yaml]\n"),
        PolicyError, "generators: runs plugins",
    ),
    "a spec that is not text": (
        lambda project: project.write("bundle.yaml", b"\xff"), DocumentError, "not UTF-8 at byte 0",
    ),
    "a policy that is not text": (
        lambda project: project.write("policies/default.yaml", b"kind: \xff"),
        DocumentError, "default.yaml: is not UTF-8 at byte 6",
    ),
    "a spec without end": (
        lambda project: project.write("bundle.yaml", b"#" * (1024**2 + 1)),
        SourceError, "bundle.yaml: expected at most 1048576 bytes, found 1048577",
    ),
    "a base of weights": (
        lambda project: os.truncate(project.write("base/big", ""), 33 * 1024**2),
        SourceError, "base/big: base and overlays hold more than 33554432 bytes",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "kind", "problem"), REFUSED.values(), ids=list(REFUSED))
def test_a_bad_input_is_refused_and_nothing_written(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    change: Edit,
    kind: type[BundlerError],
    problem: str,
) -> None:
    monkeypatch.chdir(project.folder)  # a socket's address is short
    change(project)
    before = listing(project.folder)
    with pytest.raises(kind, match=problem) as refused:
        lock(project)
    assert type(refused.value) is kind
    assert listing(project.folder) == before


@pytest.mark.needs("root")
def test_a_device_among_the_inputs_is_refused(project: Project) -> None:
    os.mknod(project.folder / "weights" / "null", 0o20666, os.makedev(1, 3))
    with pytest.raises(SourceError, match=r"weights/null: .* found a device"):
        lock(project)


def test_a_refusal_leaves_the_earlier_lock(project: Project) -> None:
    lock(project)
    before = project.lock.read_bytes()
    (project.folder / WEIGHTS).unlink()
    shutil.rmtree(project.folder / "image")
    with pytest.raises(SourceError):
        lock(project)
    assert project.lock.read_bytes() == before


def test_without_kustomize_nothing_is_locked(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(project.folder))
    with pytest.raises(ToolError, match="found neither kustomize nor kubectl on PATH"):
        lock(project)
    assert not project.lock.exists()


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"formatVersion": 2}'])
def test_a_lock_that_is_none_is_replaced(project: Project, data: bytes) -> None:
    project.lock.write_bytes(data)
    assert lock(project).changes == ("the lock before was no lock",)
    assert read(project).name == "movie-search"


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (
            "source: weights",
            "source: none",
            r"bundle.yaml:7:28: spec.models\[0\].source \(mini\): ",
        ),
        ("source: data", "source: none", r"bundle.yaml:9:28: spec.files\[0\].source \(data\): "),
        (
            "oci:image",
            "oci:none",
            r"spec.images\[0\].source \(registry.corp:5000/team/server:1.0\): ",
        ),
        ("base: base", "base: none", r"bundle.yaml:12:21: spec.manifests.base: "),
    ],
)
def test_an_input_that_is_not_there_is_named_by_its_place(
    project: Project, old: str, new: str, place: str
) -> None:
    project.edit("bundle.yaml", old, new)
    with pytest.raises(SourceError, match=place):
        lock(project)


def test_a_policy_that_is_not_there_is_an_error_of_the_spec(project: Project) -> None:
    project.edit("bundle.yaml", "default.yaml", "defualt.yaml")
    problem = r"bundle.yaml:20:11: spec.policy: policies/defualt.yaml: expected a file, found none"
    with pytest.raises(DocumentError, match=problem) as caught:
        lock(project)
    assert caught.value.hint == "did you mean default.yaml?"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("oci:image", "podman:x", r"spec.images\[0\].source .*: podman: is not read"),
        ("oci:image", "image", r"spec.images\[0\].source .*: a bare path is not read"),
        (
            "source: weights",
            "source: 'hf:a/b'",
            r"spec.models\[0\].source .*: the scheme hf: is not",
        ),
    ],
)
def test_what_is_wrong_as_it_is_written_is_said_before_anything_is_looked_up(
    project: Project, old: str, new: str, problem: str
) -> None:
    project.edit("bundle.yaml", old, new)
    shutil.rmtree(project.folder / "base")
    with pytest.raises(SourceError, match=problem):
        lock(project)


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_for_the_lock_is_refused(project: Project, dangling: bool) -> None:
    lock(project)
    link("bundle.lock")(project)
    if dangling:
        (project.folder / "elsewhere").unlink()
    with pytest.raises(SourceError, match=r"bundle\.lock: .* found a symbolic link"):
        lock(project)


def test_a_lock_that_can_t_be_written_leaves_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    before = listing(project.folder)
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(UsageError, match="can't be written: No space left on device"):
        lock(project)
    assert listing(project.folder) == before


@pytest.mark.parametrize("name", ["weights", "data", "policies", "image", "image/blobs"])
def test_a_folder_of_inputs_that_is_a_link_is_refused(name: str, project: Project) -> None:
    folder = project.folder / name
    folder.rename(project.folder / "elsewhere")
    folder.symlink_to(project.folder / "elsewhere", target_is_directory=True)
    with pytest.raises(SourceError, match=f"{name}: .*link"):
        locking.lock(project.spec, project.store, SILENT)
    assert not project.lock.exists()
