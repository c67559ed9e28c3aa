"""Models of the hub: locked by what they hash to, fetched once, resumed, compared."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.archive.store import Store
from bundler.core.documents.bundle import Model
from bundler.core.errors import IntegrityError, PolicyError, SourceError
from bundler.core.lock import LockedFile, LockedModel
from bundler.core.progress import SILENT
from bundler.sources.files import list_files
from bundler.sources.model import check_scheme, resolve
from bundler.sources.remote import Reach, fetch_all
from bundler.sources.resolved import ResolvedModel
from tests.parts.hub import Hub
from tests.parts.hubrepos import files_below

CARD = b"---\nlicense: apache-2.0\n---\n# A model\n"
WEIGHTS = hashlib.shake_256(b"weights").digest(300_000)
TINY = {"README.md": CARD, "config.json": b"{}", "model.safetensors": WEIGHTS}
SOURCE = "hf://org/tiny"


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def model(
    source: str = SOURCE,
    license: str = "Apache-2.0",
    include: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    revision: str | None = None,
) -> Model:
    return Model(
        name="tiny",
        source=source,
        license=license,
        include=include,
        exclude=exclude,
        revision=revision,
    )


def lock(
    store: Store, known: LockedModel | None = None, wanted: Model | None = None
) -> ResolvedModel:
    return resolve(wanted or model(), Reach(Path("/"), store), locked=known)


def fetch(found: ResolvedModel, store: Store) -> dict[str, bytes]:
    """Every byte of the model, with the network if need be."""
    fetch_all(found.remotes, store, SILENT)
    data = {}
    for file in found.files:
        with file.open() as stream:
            data[file.path] = stream.read()
    return data


def locked(found: ResolvedModel) -> LockedModel:
    files = tuple(LockedFile(file.path, file.size, file.digest) for file in found.files)
    return LockedModel(found.name, found.source, found.revision, found.license, files)


@pytest.mark.needs("minilm")
def test_the_real_model_is_the_folder_it_came_from(hub: Hub, minilm: Path, store: Store) -> None:
    repo = hub.add("sentence-transformers/all-MiniLM-L6-v2", files_below(minilm))
    found = lock(store, wanted=model("hf://sentence-transformers/all-MiniLM-L6-v2"))
    expected = list_files(minilm)
    assert [(f.path, f.size, f.digest) for f in found.files] == [
        (f.path, f.size, f.digest) for f in expected
    ]
    assert (found.revision, found.findings) == (repo.refs["main"], ())
    assert found.card.licenses == ("apache-2.0",)
    assert not hub.asked(cdn=True)
    assert fetch(found, store) == {file.path: file.location.read_bytes() for file in expected}


def test_only_files_of_git_are_fetched_to_lock(hub: Hub, store: Store) -> None:
    hub.add("org/tiny", TINY)
    found = lock(store)
    assert [remote.what for remote in found.remotes] == ["hf://org/tiny: model.safetensors"]
    assert not hub.asked(cdn=True)
    with pytest.raises(SourceError, match="expected a blob of 300000 bytes, found none"):
        found.files[2].open()
    assert fetch(found, store) == TINY


def test_a_name_alone_is_a_model_too(hub: Hub, store: Store) -> None:
    hub.add("tiny", TINY)
    assert fetch(lock(store, wanted=model("hf://tiny")), store) == TINY


@pytest.mark.parametrize("revision", ["main", "v1.0", "commit"])
def test_a_revision_is_locked_as_a_commit(revision: str, hub: Hub, store: Store) -> None:
    repo = hub.add("org/tiny", {"README.md": CARD, "old.json": b"{}"})
    first = repo.refs["v1.0"] = repo.refs["main"]
    second = repo.commit(TINY)
    found = lock(store, wanted=model(revision=first if revision == "commit" else revision))
    assert found.revision == (second if revision == "main" else first)
    assert [f.path for f in found.files][-1] == {
        "main": "model.safetensors"
    }.get(revision, "old.json")  # fmt: skip


def test_include_and_exclude_choose_as_in_a_folder(hub: Hub, store: Store) -> None:
    files = ("a.json", "onnx/b.json", "onnx/m.onnx", "pytorch_model.bin", ".gitattributes")
    hub.add("org/tiny", dict.fromkeys(files, b"1"))

    def paths(include: tuple[str, ...], exclude: tuple[str, ...]) -> list[str]:
        found = lock(store, wanted=model(include=include, exclude=exclude))
        return [file.path for file in found.files]

    assert paths((), ()) == sorted(files)
    assert paths(("*.json",), ()) == ["a.json", "onnx/b.json"]
    assert paths((), ("onnx/", "*.bin")) == [".gitattributes", "a.json"]
    assert paths(("*.json", "*.bin"), ("onnx/",)) == ["a.json", "pytorch_model.bin"]
    with pytest.raises(SourceError, match=r"hf://org/tiny: expected .* and not 'a', found none"):
        paths(("*.txt",), ("a",))


def test_what_is_not_chosen_may_have_any_name(hub: Hub, store: Store) -> None:
    hub.add("org/tiny", TINY | {"a:b": b"1", "A": b"1", "a": b"1"})
    found = lock(store, wanted=model(include=("*.json",)))
    assert [file.path for file in found.files] == ["config.json"]


@pytest.mark.parametrize(
    ("paths", "problem"),
    [
        (("a:b",), "has a backslash, colon"),
        (("../a",), "segment"),
        (("a//b",), "segment"),
        (("/etc/passwd",), "segment"),
        ((".wh.a",), "whiteout"),
        (("a\x01b",), "control character"),
        (("a\ud800",), "not UTF-8"),
        (("e\u0301",), "NFC"),
        (("A.json", "a.json"), "differ only in case"),
        (("a", "a/b"), "is a file and a folder"),
        (("/".join("a" * 70),), "nested deeper than 64"),
    ],
)
def test_names_that_a_bundle_can_not_have_are_refused(
    paths: tuple[str, ...], problem: str, hub: Hub, store: Store
) -> None:
    hub.add("org/tiny", TINY | dict.fromkeys(paths, b"1"))
    with pytest.raises(SourceError, match=rf"hf://org/tiny: .*{problem}"):
        lock(store)


def test_a_file_that_is_listed_twice_is_refused(hub: Hub, store: Store) -> None:
    repo = hub.add("org/tiny", TINY)
    entry = repo.commits[repo.refs["main"]]["config.json"].entry()
    hub.fault("/tree/", status=200, body=json.dumps([entry, entry]).encode())
    with pytest.raises(SourceError, match="lists a file twice"):
        lock(store)


@pytest.mark.parametrize(
    "source", ["hf://", "hf://a/b/c", "hf://a//b", "hf://org/tiny@main", "hf://org/t ny", "hf:///a"]
)
def test_a_source_that_names_no_model_is_refused(source: str) -> None:
    with pytest.raises(SourceError, match="expected hf://ORG/NAME") as caught:
        check_scheme(model(source))
    assert ("`revision` names" in str(caught.value.hint)) == ("@" in source)


def test_the_card_is_compared_even_if_it_does_not_travel(hub: Hub, store: Store) -> None:
    hub.add("org/tiny", TINY)
    with pytest.raises(PolicyError, match=r"states 'apache-2\.0' \(README.md of hf://org/tiny\)"):
        lock(store, wanted=model(license="MIT", include=("*.json",)))


def test_a_card_that_is_too_long_is_refused(hub: Hub, store: Store) -> None:
    hub.add("org/tiny", TINY | {"README.md": CARD + b"x" * 4 * 1024**2})
    with pytest.raises(SourceError, match=r"README\.md: expected at most 4194304 bytes"):
        lock(store)


def test_a_card_that_is_damaged_in_the_store_is_not_believed(hub: Hub, store: Store) -> None:
    hub.add("org/tiny", TINY)
    found = lock(store)
    store.location(found.files[0].digest).write_bytes(CARD.replace(b"apache", b"agpl-3"))
    with pytest.raises(IntegrityError, match="is damaged"):
        lock(store)


def test_a_model_without_a_card_is_a_warning(hub: Hub, store: Store) -> None:
    hub.add("org/tiny", {"config.json": b"{}"})
    found = lock(store)
    assert [each.rule for each in found.findings] == ["license"]
    hub.forget()
    assert lock(store, locked(found)).findings == found.findings
    assert not hub.asked()


@pytest.mark.parametrize("large", [False, True])
def test_a_weight_index_names_what_is_there(large: bool, hub: Hub, store: Store) -> None:
    """A large one is under LFS, and fetched for that."""
    name = "model.safetensors.index.json"
    about = {"weight_map": {"a": "m-1.safetensors"}, "pad": "x" * (11 * 1024**2 if large else 1)}
    index = json.dumps(about).encode()
    repo = hub.add("org/tiny", TINY | {name: index, "m-1.safetensors": b"x"})
    assert lock(store).files
    assert len(hub.asked(cdn=True)) == large
    repo.commit(TINY | {name: index})
    with pytest.raises(SourceError, match=f"{name}: names 1 files that are not among"):
        lock(store)


def test_a_locked_model_that_is_here_asks_nobody(hub: Hub, store: Store) -> None:
    repo = hub.add("org/tiny", TINY)
    first = lock(store, wanted=model(include=("*.json", "*.safetensors")))
    data = fetch(first, store)
    repo.commit({"README.md": CARD.replace(b"apache-2.0", b"mit"), "config.json": b"other"})
    hub.forget()
    again = lock(store, locked(first))
    assert (again.files, again.revision, again.remotes) == (first.files, first.revision, ())
    assert fetch(again, store) == data
    assert not hub.asked()


def test_without_the_lock_a_branch_that_moved_is_another_commit(hub: Hub, store: Store) -> None:
    repo = hub.add("org/tiny", TINY)
    first = lock(store)
    second = repo.commit(TINY | {"config.json": b"other"})
    hub.forget()
    again = lock(store)
    assert (again.revision, again.files[0]) == (second, first.files[0])
    assert len(hub.asked("/resolve/")) == 1  # what is as before is not fetched again


def test_a_lock_of_another_source_or_without_a_commit_is_not_believed(
    hub: Hub, store: Store
) -> None:
    repo = hub.add("org/tiny", TINY)
    before = locked(lock(store))
    other = replace(before.files[0], size=1)
    forged = (
        replace(before, source="hf://org/other", files=(other,)),
        replace(before, revision=None, files=(other,)),
        replace(before, revision="main", files=(other,)),
    )
    for each in forged:
        assert locked(lock(store, each)) == before
    assert lock(store, replace(before, revision="main")).revision == repo.refs["main"]


@pytest.mark.parametrize("case", ["commit", "COMMIT", "more", "excluded", "nothing"])
def test_a_lock_that_contradicts_the_spec_is_not_believed(
    case: str, hub: Hub, store: Store
) -> None:
    """Whoever edits a lock can't bring in what the spec does not want."""
    repo = hub.add("org/tiny", TINY)
    pinned = repo.refs["main"]
    other = repo.commit(TINY | {"evil.py": b"import os"})
    wanted = model(include=("*.json", "*.py"), revision=pinned)
    before = locked(lock(store, wanted=wanted))
    evil = locked(lock(store, wanted=replace(wanted, revision=other)))
    forged = {
        "commit": evil,
        "COMMIT": evil,
        "more": replace(before, files=locked(lock(store)).files),
        "excluded": replace(evil, revision=pinned),
        "nothing": replace(before, files=locked(lock(store)).files[:1]),
    }[case]
    if case == "COMMIT":
        repo.refs[pinned.upper()] = pinned
        wanted = replace(wanted, revision=pinned.upper())
    if case == "excluded":
        wanted = replace(wanted, exclude=("*.py",))
    assert locked(lock(store, forged, wanted)) == before


def test_a_lock_of_a_branch_or_a_tag_holds_its_commit(hub: Hub, store: Store) -> None:
    repo = hub.add("org/tiny", TINY)
    wanted = model(revision="v1.0", include=("*.json", "*.safetensors"), exclude=("onnx/",))
    repo.refs["v1.0"] = repo.refs["main"]
    before = locked(lock(store, wanted=wanted))
    repo.commit({"config.json": b"moved"}, "v1.0")
    assert locked(lock(store, before, wanted)) == before
    pinned = replace(wanted, revision=before.revision)
    assert locked(lock(store, before, pinned)) == before


def test_a_locked_model_is_fetched_on_another_machine(
    hub: Hub, store: Store, tmp_path: Path
) -> None:
    repo = hub.add("org/tiny", TINY)
    before = locked(lock(store))
    repo.commit({"config.json": b"moved"})
    hub.forget()
    elsewhere = Store(tmp_path / "elsewhere")
    assert fetch(lock(elsewhere, before), elsewhere) == TINY
    assert not hub.asked("/api/models/org")


def test_a_locked_file_with_other_bytes_is_refused(hub: Hub, store: Store, tmp_path: Path) -> None:
    hub.add("org/tiny", TINY)
    before = locked(lock(store))
    elsewhere = Store(tmp_path / "elsewhere")
    hub.fault("/config.json", corrupt=True)
    hub.fault("/resolve-cache/models/org/tiny", corrupt=True)
    with pytest.raises(IntegrityError, match=r"hf://org/tiny: .*: expected sha256:.*, found"):
        fetch(lock(elsewhere, before), elsewhere)


def test_thousands_of_small_files(hub: Hub, store: Store) -> None:
    files = {f"d{n % 7}/{n}.json": str(n % 1900).encode() for n in range(2000)}
    hub.add("org/tiny", TINY | files)
    found = lock(store)
    assert fetch(found, store) == TINY | files
    assert len(hub.asked("/api/models/")) == 4  # a commit, and three pages of its tree
    assert len(hub.asked("/org/tiny/resolve/")) == 1903  # equal ones once
    hub.forget()
    assert lock(store, locked(found)).files == found.files
    assert not hub.asked()
    assert lock(store).files == found.files
    assert not hub.asked("/resolve/")
