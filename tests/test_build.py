"""`build`: what goes into a bundle, and that it is whole, unchanged and alone, or not there."""

from __future__ import annotations

import fcntl
import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from bundler import build as building
from bundler.archive.assembly import Draft
from bundler.core import strictjson
from bundler.core.errors import BundlerError, IntegrityError, SourceError, UsageError
from bundler.core.objects import manifests
from bundler.sign.open import open_bundle
from bundler.sources.files import SourceFile
from tests.making import KEY
from tests.parts.components import ROOT
from tests.project import IMAGE, Project, listing, safetensors

# --- what is built ----------------------------------------------------------------------------


def test_it_is_signed_and_holds_what_was_locked(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar"
    built = project.build(path, KEY)
    assert (built.path, built.name, built.version) == (path, "movie-search", "1.4.0")
    assert (built.signer, built.size) == (KEY.public.fingerprint, path.stat().st_size)
    assert (built.lock_written, built.waived, built.warnings) == (True, (), ())
    with open_bundle(path, KEY.public) as bundle:
        bundle.verify_blobs()
        assert (bundle.status, bundle.release.index) == ("TRUSTED", built.index)
        assert bundle.layer("lock.json") == project.lock.read_bytes()
        assert [entry.kind for entry in bundle.entries] == [
            "bundle", "image", "model", "modelpack", "files",
        ]  # fmt: skip
        assert bundle.config.targets == ("dev", "site")


def test_its_sources_are_the_project_s_byte_for_byte(project: Project, tmp_path: Path) -> None:
    project.build(tmp_path / "bundle.tar")
    with open_bundle(tmp_path / "bundle.tar", None) as bundle:
        sources = bundle.layer("sources.tar")
    with tarfile.open(fileobj=io.BytesIO(sources)) as archive:
        found = {member.name: archive.extractfile(member) for member in archive}
        read = {name: stream.read() for name, stream in found.items() if stream}
    folders = ("base/", "overlays/", "policies/")
    names = [name for name in listing(project.folder) if name.startswith(folders)]
    expected = [*names, "bundle.yaml"]
    assert read == {name: (project.folder / name).read_bytes() for name in expected}


def test_its_manifests_name_what_it_carries(project: Project, tmp_path: Path) -> None:
    project.build(tmp_path / "bundle.tar")
    with open_bundle(tmp_path / "bundle.tar", None) as bundle:
        names = {entry.kind: entry for entry in bundle.entries}
        image, model = names["image"], names["model"]
        [places] = [
            [(place.object.kind, place.pointer) for place in bundle.config.image_map
             if place.target == target]
            for target in ("dev",)
        ]  # fmt: skip
        objects = manifests.load(bundle.layer("targets/dev.json"), "targets/dev.json")
    [pod] = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment"]
    host = "registry.airbundle.invalid"
    assert pod["containers"][0]["image"] == f"{host}/{image.name}"
    assert pod["volumes"][0]["image"]["reference"] == (
        f"{host}/models/mini@{model.descriptor.digest}"
    )
    spec = "/spec/template/spec"
    assert sorted(places) == [
        ("Deployment", f"{spec}/containers/0/image"),
        ("Deployment", f"{spec}/volumes/0/image/reference"),
    ]


def test_its_report_says_what_was_checked(project: Project, tmp_path: Path) -> None:
    project.build(tmp_path / "bundle.tar")
    with open_bundle(tmp_path / "bundle.tar", None) as bundle:
        report = strictjson.parse(bundle.layer("report.json"), "report.json")
    assert report["objects"] == {"dev": 3, "site": 3}
    assert report["scanned"] == {
        "checkov/dev": {"objects": 3},
        "checkov/site": {"objects": 3},
        f"images/{IMAGE}": {"packages": 1},
        "models/mini": {"pickle": 3, "safetensors": 1},
    }
    assert set(report["findings"]) == {*report["scanned"], "parameters"} | {
        "targets/dev", "targets/site",
    }  # fmt: skip


def test_a_lock_that_is_there_stays_as_it_is(project: Project, tmp_path: Path) -> None:
    project.build(tmp_path / "one.tar")
    before = project.lock.read_bytes()
    built = project.build(tmp_path / "two.tar", locked=True)
    assert not built.lock_written
    assert project.lock.read_bytes() == before
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_a_lock_by_another_kustomize_is_carried_as_it_is(project: Project, tmp_path: Path) -> None:
    project.build(tmp_path / "one.tar")
    text = project.lock.read_text()
    version = next(line for line in text.splitlines() if '"kustomize"' in line)
    project.lock.write_text(text.replace(version, '  "kustomize": "kubectl 5.0.1",'))
    project.build(tmp_path / "two.tar", locked=True)
    with open_bundle(tmp_path / "two.tar", None) as bundle:
        assert bundle.layer("lock.json") == project.lock.read_bytes()
        assert bundle.config.tools["kustomize"] == "kubectl 5.0.1"


# --- inputs that change while they are packed ---------------------------------------------------

WEIGHTS = "weights/model.safetensors"
PICKLE = b"\x80\x04N."


def refused(project: Project, kind: type[BundlerError], problem: str) -> None:
    """The build is refused, and nothing is left of it."""
    output = project.folder.parent / "bundle.tar"
    before = listing(project.folder.parent, ["project/bundle.lock"])
    with pytest.raises(kind, match=problem):
        project.build(output)
    assert listing(project.folder.parent, ["project/bundle.lock"]) == before


def at_packing(monkeypatch: pytest.MonkeyPatch, deed: Callable[[], object]) -> None:
    """Does `deed` when everything was locked and scanned, before files are opened for packing."""
    draft = building._draft

    def first_the_deed(*arguments: Any) -> Draft:
        deed()
        return draft(*arguments)

    monkeypatch.setattr(building, "_draft", first_the_deed)


def give(monkeypatch: pytest.MonkeyPatch, name: str, data: bytes) -> None:
    """From now on the source file `name` opens with other bytes."""
    real = SourceFile.open

    def opened(file: SourceFile) -> BinaryIO:
        return io.BytesIO(data) if file.path == name else real(file)

    monkeypatch.setattr(SourceFile, "open", opened)


def test_a_file_that_changed_since_it_was_locked_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = (project.folder / WEIGHTS).read_bytes()
    at_packing(monkeypatch, lambda: project.write(WEIGHTS, data[:-1] + b"x"))
    refused(project, SourceError, "model.safetensors: changed while it was being read")


def test_a_file_that_changes_while_it_is_read_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SourceFile.open

    def opened(file: SourceFile) -> BinaryIO:
        stream = real(file)
        if file.path == "train.jsonl":
            os.utime(file.location, (1, 1))
        return stream

    monkeypatch.setattr(SourceFile, "open", opened)
    refused(project, SourceError, "train.jsonl: changed while it was being read")


@pytest.mark.parametrize("change", [lambda data: data[:-1] + b"x", lambda data: data[:-1],
                                    lambda data: data + b"x", lambda data: b""])  # fmt: skip
@pytest.mark.parametrize("name", [WEIGHTS, "data/train.jsonl"])
def test_other_bytes_than_locked_are_refused(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    change: Callable[[bytes], bytes],
) -> None:
    data = change((project.folder / name).read_bytes())
    file = name.partition("/")[2]
    at_packing(monkeypatch, partial(give, monkeypatch, file, data))
    refused(project, IntegrityError, "changed since it was locked: expected .* bytes of sha256:")


def test_an_empty_file_that_grew_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("weights/empty.txt", "")
    at_packing(monkeypatch, partial(give, monkeypatch, "empty.txt", b"x"))
    refused(project, IntegrityError, "empty.txt: changed since it was locked: expected 0 bytes")


def test_what_was_scanned_must_be_what_is_packed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("weights/model.txt", PICKLE)
    real = SourceFile.open
    with monkeypatch.context() as scanning:
        give(scanning, "model.txt", b"text")
        at_packing(monkeypatch, lambda: monkeypatch.setattr(SourceFile, "open", real))
        refused(project, IntegrityError, "models/mini: changed between the scan and the packing")


# --- alone, and whole or not at all -----------------------------------------------------------


def test_a_second_build_of_the_same_file_is_refused(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals: list[str] = []
    rescan = building._rescan

    def meanwhile(*arguments: object) -> None:
        monkeypatch.setattr(building, "_rescan", rescan)
        with pytest.raises(UsageError) as second:
            project.build(tmp_path / "bundle.tar")
        refusals.append(second.value.message)

    monkeypatch.setattr(building, "_rescan", meanwhile)
    project.build(tmp_path / "bundle.tar", KEY)
    assert refusals == [f"{tmp_path}/bundle.tar.partial: another build is writing the same file"]
    with open_bundle(tmp_path / "bundle.tar", KEY.public) as bundle:
        bundle.verify_blobs()


def test_a_file_that_another_process_writes_is_left_alone(project: Project, tmp_path: Path) -> None:
    partial_file = tmp_path / "bundle.tar.partial"
    with partial_file.open("w") as theirs:
        theirs.write("theirs")
        theirs.flush()
        fcntl.flock(theirs, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another build is writing the same file"):
            project.build(tmp_path / "bundle.tar")
    assert partial_file.read_text() == "theirs"
    assert not (tmp_path / "bundle.tar").exists()


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), RuntimeError("a bug")])
def test_whatever_stops_it_nothing_is_left(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    (tmp_path / "bundle.tar").write_text("an earlier one")
    before = listing(tmp_path, ["project/bundle.lock"])

    def fail(*arguments: object) -> None:
        raise failure

    monkeypatch.setattr(building, "_rescan", fail)
    with pytest.raises(type(failure)):
        project.build(tmp_path / "bundle.tar")
    assert listing(tmp_path, ["project/bundle.lock"]) == before
    assert (tmp_path / "bundle.tar").read_text() == "an earlier one"


KILLED = """
import os, signal, sys
from bundler import build
from bundler.cli import main

build._rescan = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
main.run(["build", sys.argv[1], "-o", sys.argv[2], "--unsigned"])
"""


def test_killed_it_can_be_run_again_and_ends_the_same(project: Project, tmp_path: Path) -> None:
    project.build(tmp_path / "one.tar")
    output = tmp_path / "two.tar"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, project.spec, output],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert not output.exists()
    project.build(output)
    assert output.read_bytes() == (tmp_path / "one.tar").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.tar", "project", "two.tar"]


def test_a_folder_that_is_not_there_is_named_first(project: Project, tmp_path: Path) -> None:
    output = tmp_path / "nowhere" / "bundle.tar"
    with pytest.raises(UsageError, match=r"nowhere/bundle\.tar: expected a folder to write to"):
        project.build(output)
    assert not project.lock.exists()


def test_an_earlier_bundle_is_replaced(project: Project, tmp_path: Path) -> None:
    output = tmp_path / "bundle.tar"
    project.build(output)
    project.write(WEIGHTS, safetensors(b"other weights"))
    project.lock.unlink()
    built = project.build(output)
    with open_bundle(output, None) as bundle:
        assert bundle.release.index == built.index
