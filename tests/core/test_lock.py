"""The lock: read as it is written, refused as soon as anything in it is not understood."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError
from bundler.core.lock import (
    Lock,
    LockedFile,
    LockedFileSet,
    LockedImage,
    LockedModel,
    check_files,
    parse,
    parse_contents,
)

Json = dict[str, Any]


def digest(text: str) -> Digest:
    return Digest.of(text.encode())


def file(path: str, size: int = 3) -> LockedFile:
    return LockedFile(path, size, digest(path))


def image(name: str) -> LockedImage:
    return LockedImage(
        name=f"{name}:1",
        source="oci:image",
        resolved=digest("index"),
        entry=f"{name}@{digest(name)}",
        media_type="application/vnd.oci.image.manifest.v1+json",
        digest=digest(name),
        size=700,
        platforms={"linux/amd64": digest("amd64"), "linux/arm64": digest("arm64")},
    )


SMALL = Lock("movie-search", "1.4.0", digest("spec"), ("linux/amd64",))
FULL = Lock(
    name="movie-search",
    version="1.4.0-rc.1",
    spec=digest("spec"),
    platforms=("linux/amd64", "linux/arm64"),
    sources={"base/b.yaml": digest("b"), "base/a.yaml": digest("a")},
    policies={"policies/default.yaml": digest("policy")},
    models=(
        LockedModel("a-model", "weights/a", None, "MIT", (file("config.json"), file("x/y", 0))),
        LockedModel("b-model", "weights/b", "main", "Apache-2.0", (file("größe.bin", 2**53 - 1),)),
    ),
    files=(LockedFileSet("data", "data", "dataset", (file("train.jsonl"),)),),
    images=(image("docker.io/library/redis"), image("registry.corp_5000/team/server")),
    targets={"dev": digest("dev"), "airgapped": digest("airgapped")},
    tools={"format": "1", "kustomize": "kustomize 5.8.1"},
)


@pytest.mark.parametrize("lock", [SMALL, FULL])
def test_it_is_read_as_it_is_written(lock: Lock) -> None:
    assert parse(lock.dump(), "bundle.lock") == lock
    assert parse(lock.dump(), "bundle.lock").dump() == lock.dump()


def test_it_is_sorted_with_one_entry_a_line() -> None:
    lines = FULL.dump().decode().splitlines()
    for entry in (
        f'"base/a.yaml": "{digest("a")}",',
        f'{{"digest": "{digest("config.json")}", "path": "config.json", "size": 3}},',
        f'{{"digest": "{digest("größe.bin")}", "path": "größe.bin", "size": 9007199254740991}}',
        f'"linux/arm64": "{digest("arm64")}"',
        '"version": "1.4.0-rc.1"',
    ):
        assert entry in [line.strip() for line in lines]
    read = json.loads(FULL.dump(), object_pairs_hook=list)
    assert_sorted(read)
    assert FULL.dump().endswith(b"}\n")


def assert_sorted(value: object) -> None:
    """The keys of every object are; `value` has objects as lists of pairs."""
    if isinstance(value, list) and value and all(isinstance(item, tuple) for item in value):
        assert [key for key, _ in value] == sorted(key for key, _ in value)
        value = [item for _, item in value]
    for item in value if isinstance(value, list) else ():
        assert_sorted(item)


def member(path: str) -> Callable[[Json], Json]:
    """The object at `path` ("models/0/files/0") of a lock as JSON."""

    def find(value: Any) -> Json:
        for step in path.split("/") if path else ():
            value = value[int(step)] if step.isdigit() else value[step]
        found: Json = value
        return found

    return find


def changed(path: str, change: Callable[[Json], object]) -> bytes:
    value = copy.deepcopy(json.loads(FULL.dump()))
    change(member(path)(value))
    return json.dumps(value).encode()


OBJECTS = ("", "bundle", "models/0", "models/0/files/0", "files/0", "files/0/files/0", "images/0")


@pytest.mark.parametrize("path", OBJECTS)
def test_an_unknown_member_is_refused(path: str) -> None:
    data = changed(path, lambda found: found.update(surprise=1))
    with pytest.raises(IntegrityError, match=r"bundle\.lock.*unknown member 'surprise'"):
        parse(data, "bundle.lock")


MEMBERS = [
    (path, key) for path in OBJECTS for key in member(path)(json.loads(FULL.dump()))
    if (path, key) != ("models/0", "revision")
]  # fmt: skip


@pytest.mark.parametrize(("path", "key"), MEMBERS, ids=lambda text: text or "top")
def test_a_missing_member_is_refused(path: str, key: str) -> None:
    data = changed(path, lambda found: found.pop(key))
    with pytest.raises(IntegrityError, match=rf"bundle\.lock.*{key}: expected \w+, found nothing"):
        parse(data, "bundle.lock")


@pytest.mark.parametrize(("path", "key"), [*MEMBERS, ("models/1", "revision")])
def test_a_member_of_another_type_is_refused(path: str, key: str) -> None:
    data = changed(path, lambda found: found.update({key: True}))
    with pytest.raises(IntegrityError, match=rf"bundle\.lock.*{key}: expected \w+, found bool"):
        parse(data, "bundle.lock")


WRONG: dict[str, tuple[str, Json, str]] = {
    "a later format": ("", {"formatVersion": 2}, "expected formatVersion 1, found 2"),
    "a platform that is no text": ("bundle", {"platforms": [1]}, "platforms: expected only str"),
    "a tool that is no text": ("tools", {"format": 1}, "tools: format: expected str, found int"),
    "a short digest": ("bundle", {"spec": "sha256:ab"}, "bundle: spec: digest 'sha256:ab'"),
    "a source without digest": ("sources", {"base/a.yaml": ""}, "sources: base/a.yaml: digest ''"),
    "a negative size": ("models/0/files/0", {"size": -1}, r"size: expected 0 to 2\^53-1, found -1"),
    "a size beyond": ("images/0", {"size": 2**53}, r"is beyond 2\^53-1"),
    "a model that is no label": ("models/0", {"name": "A/b"}, "expected a DNS label, found 'A/b'"),
    "a set that is no label": ("files/0", {"name": "-x"}, "expected a DNS label, found '-x'"),
    "a model without files": ("models/0", {"files": []}, "expected at least one file"),
    "a model that is no object": ("", {"models": [1]}, r"models\[0\]: expected an object"),
    "a path that leaves": ("models/0/files/0", {"path": "../x"}, "empty, `.` or `..` segment"),
    "files out of order": ("models/0/files/0", {"path": "z"}, "files are not sorted by path"),
}


@pytest.mark.parametrize(("path", "change", "problem"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_value_is_refused(path: str, change: Json, problem: str) -> None:
    data = changed(path, lambda found: found.update(change))
    with pytest.raises(IntegrityError, match=problem) as refused:
        parse(data, "bundle.lock")
    assert refused.value.message.startswith("bundle.lock: ")


@pytest.mark.parametrize("data", [b"", b"[]", b"{} {}", b'{"a": 1, "a": 2}', b"\xff"])
def test_what_is_no_object_of_json_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"^bundle\.lock: "):
        parse(data, "bundle.lock")


# --- paths and files --------------------------------------------------------------------------

GOOD = ("a", "a/b", "a.txt", ".hidden", "a b", "größe", "x" * 1024, "..a", "a..", "wh.x", "a.wh.x")
BAD = {
    "": "empty, `.` or `..` segment",
    "/a": "empty, `.` or `..` segment",
    "a/": "empty, `.` or `..` segment",
    "a//b": "empty, `.` or `..` segment",
    ".": "empty, `.` or `..` segment",
    "a/./b": "empty, `.` or `..` segment",
    "a/../b": "empty, `.` or `..` segment",
    "a\\b": "backslash, colon or control",
    "c:x": "backslash, colon or control",
    "a\nb": "backslash, colon or control",
    "a\x00": "backslash, colon or control",
    "a\x7f": "backslash, colon or control",
    ".wh.a": "whiteout",
    "a/.wh..wh..opq": "whiteout",
    "ä" * 513: "longer than 1024 bytes",
}


@pytest.mark.parametrize("path", GOOD)
def test_a_path_that_may_stand_in_a_bundle_passes(path: str) -> None:
    check_files([file(path)], "mini")


@pytest.mark.parametrize(("path", "problem"), BAD.items())
def test_any_other_path_is_refused(path: str, problem: str) -> None:
    with pytest.raises(IntegrityError, match="mini: path .*" + problem):
        check_files([file(path)], "mini")


@pytest.mark.parametrize(
    ("paths", "problem"),
    [
        ((), "expected at least one file, found none"),
        (("b", "a"), "not sorted by path, or one stands twice"),
        (("a", "a"), "not sorted by path, or one stands twice"),
        # By bytes: U+FFEE before the pair of halves that UTF-16 would put first.
        (("\U0001f600", "\uffee"), "not sorted by path, or one stands twice"),
        (("a", "a/b"), "path 'a/b' has a file for a folder"),
        (("a", "a-b", "a/b/c"), "path 'a/b/c' has a file for a folder"),
        (("a/b", "a/b/c/d"), "path 'a/b/c/d' has a file for a folder"),
    ],
)
def test_files_that_are_no_tree_are_refused(paths: tuple[str, ...], problem: str) -> None:
    with pytest.raises(IntegrityError, match=problem):
        check_files([file(path) for path in paths], "mini")


# --- what a reader of the format takes from it ------------------------------------------------


def test_a_reader_takes_files_and_images() -> None:
    contents = parse_contents(FULL.dump(), "lock.json")
    assert contents.models == {model.name: model.files for model in FULL.models}
    assert contents.files == {"data": FULL.files[0].files}
    assert contents.images == {each.entry: (each.digest, 700) for each in FULL.images}


@pytest.mark.parametrize("path", OBJECTS)
def test_a_reader_does_not_look_at_other_members(path: str) -> None:
    data = changed(path, lambda found: found.update(surprise=1))
    assert parse_contents(data, "lock.json") == parse_contents(FULL.dump(), "lock.json")


@pytest.mark.parametrize(
    ("path", "change", "problem"),
    [
        ("models/1", {"name": "a-model"}, "models: a name stands twice"),
        ("images/1", {"entry": FULL.images[0].entry}, "has two digests or sizes"),
    ],
)
def test_a_reader_refuses_a_name_for_two_things(path: str, change: Json, problem: str) -> None:
    data = changed(path, lambda found: found.update(change))
    with pytest.raises(IntegrityError, match=problem):
        parse_contents(data, "lock.json")


def test_a_reader_refuses_a_file_set_that_stands_twice() -> None:
    data = changed("", lambda found: found["files"].append(found["files"][0]))
    with pytest.raises(IntegrityError, match="files: a name stands twice"):
        parse_contents(data, "lock.json")
