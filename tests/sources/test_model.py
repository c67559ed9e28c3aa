"""Models from a folder: complete, and licensed as they say."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from bundler.archive.store import Store
from bundler.core.documents.bundle import Model
from bundler.core.errors import DocumentError, PolicyError, SourceError
from bundler.sources.model import ResolvedModel
from bundler.sources.model import resolve as resolve_from
from bundler.sources.remote import Reach

CARD = "---\nlicense: {}\n---\n# A model\n"


def _model(
    source: str = "weights",
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


def resolve(model: Model, root: Path) -> ResolvedModel:
    return resolve_from(model, Reach(root, Store(root / "store")))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "README.md").write_text(CARD.format("apache-2.0"))
    (folder / "model.safetensors").write_bytes(b"x")
    return tmp_path


def test_a_folder_becomes_a_model(root: Path) -> None:
    found = resolve(_model(), root)
    assert [file.path for file in found.files] == ["README.md", "model.safetensors"]
    assert (found.name, found.revision, found.findings) == ("tiny", None, ())
    assert found.card.licenses == ("apache-2.0",)
    assert resolve(_model(source=str(root / "weights")), root / "else").files == found.files


@pytest.mark.parametrize(
    "source", ["hf:org/model", "oci://host/model:1", "s3://bucket/x", "dvc:data", "HTTPS://x/y"]
)
def test_another_scheme_is_refused_by_name(source: str, root: Path) -> None:
    scheme = source.partition(":")[0]
    with pytest.raises(SourceError, match=f"the scheme {scheme}: is not read by this version"):
        resolve(_model(source=source), root)


def test_a_folder_has_no_revisions(root: Path) -> None:
    with pytest.raises(SourceError, match="revision is 'main', but a folder has no revisions"):
        resolve(_model(revision="main"), root)


def test_another_licence_than_the_cards_shuts_the_gate(root: Path) -> None:
    with pytest.raises(PolicyError, match=r"^is 'MIT', the card states 'apache-2\.0'"):
        resolve(_model(license="MIT"), root)


def test_the_card_is_compared_even_if_it_does_not_travel(root: Path) -> None:
    with pytest.raises(PolicyError, match=r"^is 'MIT'"):
        resolve(_model(license="MIT", include=("*.safetensors",)), root)


def test_a_spec_that_asserts_no_license_is_a_warning(root: Path) -> None:
    found = resolve(_model(license="NOASSERTION"), root).findings
    assert [(each.rule, each.severity) for each in found] == [("license", "warning")]
    assert "apache-2.0" in found[0].message


@pytest.mark.parametrize("card", [None, "# A model\n", "---\nlanguage: en\n---\n"])
def test_a_card_that_states_nothing_is_a_warning(card: str | None, root: Path) -> None:
    location = root / "weights" / "README.md"
    location.unlink() if card is None else location.write_text(card)
    (finding,) = resolve(_model(), root).findings
    assert (finding.rule, finding.severity, finding.subject) == (
        "license",
        "warning",
        "models/tiny",
    )


@pytest.mark.parametrize(
    "data", [b"---\nlicense: [\n---\n", b"---\nlicense: mit\nlicense: mit\n---\n"]
)
def test_a_card_that_is_no_yaml_is_refused(data: bytes, root: Path) -> None:
    (root / "weights" / "README.md").write_bytes(data)
    with pytest.raises(DocumentError, match=r"README\.md:"):
        resolve(_model(), root)


def test_a_card_that_is_no_text_or_too_long_is_refused(root: Path) -> None:
    location = root / "weights" / "README.md"
    location.write_bytes(b"---\nlicense: \xff\n---\n")
    with pytest.raises(SourceError, match="is not UTF-8"):
        resolve(_model(), root)
    location.write_bytes(b"x" * (4 * 1024**2 + 1))
    with pytest.raises(SourceError, match="expected at most 4194304 bytes"):
        resolve(_model(), root)


def _index(root: Path, data: bytes, folder: str = "") -> None:
    location = root / "weights" / folder / "model.safetensors.index.json"
    location.parent.mkdir(exist_ok=True)
    location.write_bytes(data)


def _map(**shards: str) -> bytes:
    return json.dumps({"metadata": {"total_size": 1.5e3}, "weight_map": shards}).encode()


def test_a_weight_index_names_what_is_there(root: Path) -> None:
    _index(root, _map(a="model.safetensors", b="model.safetensors"))
    (root / "weights" / "text_encoder").mkdir()
    (root / "weights" / "text_encoder" / "m-1.safetensors").write_bytes(b"x")
    _index(root, _map(a="m-1.safetensors"), "text_encoder")
    assert len(resolve(_model(), root).files) == 5


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (_map(a="m-1.safetensors", b="m-2.safetensors"), "names 2 files .*'m-1.safetensors'"),
        (_map(a="../../etc/passwd"), "names 1 files"),
        (b'{"weight_map": {"a": 1}}', "expected weight_map"),
        (b'{"weight_map": []}', "expected weight_map"),
        (b'{"weight_map": {}, "weight_map": {}}', "expected weight_map"),
        (b'{"weight_map": {"a": "\\ud800"}}', "half of a surrogate pair"),
        (b"[]", "is not a JSON object"),
        (b"{", "is not a JSON object"),
        (b"\xff", "is not a JSON object"),
        pytest.param(b"[" * 100_000, "is not a JSON object", id="deep"),
        pytest.param(b'{"a":' + b"[" * 100_000, "nested deeper than 64", id="deep within"),
        pytest.param(_map(a="m" * 16_000_000), "expected at most 16000000 bytes", id="long"),
    ],
)
def test_a_bad_weight_index_is_refused(data: bytes, problem: str, root: Path) -> None:
    _index(root, data)
    with pytest.raises(SourceError, match=problem):
        resolve(_model(), root)


def test_a_shard_that_include_leaves_out_is_missing(root: Path) -> None:
    _index(root, _map(a="m-1.safetensors"))
    (root / "weights" / "m-1.safetensors").write_bytes(b"x")
    assert resolve(_model(), root).files
    with pytest.raises(SourceError, match="names 1 files"):
        resolve(_model(include=("*.json", "model.safetensors")), root)


def test_what_exclude_names_stays_behind(root: Path) -> None:
    (root / "weights" / "onnx").mkdir()
    (root / "weights" / "onnx" / "model.onnx").write_bytes(b"x")
    found = resolve(_model(include=("*.onnx", "*.safetensors"), exclude=("onnx/",)), root)
    assert [file.path for file in found.files] == ["model.safetensors"]


def test_the_real_model_resolves(minilm: Path) -> None:
    found = resolve(_model(source=str(minilm)), Path("/"))
    assert {"model.safetensors", "tokenizer.json", "1_Pooling/config.json"} <= {
        file.path for file in found.files
    }
    assert found.findings == ()
    with pytest.raises(PolicyError, match=r"the card states 'apache-2\.0'"):
        resolve(_model(source=str(minilm), license="MIT"), Path("/"))


def test_a_hostile_weight_index_takes_no_memory(root: Path) -> None:
    _index(root, b'{"weight_map":[' + b"[]," * 200_000 + b"[]]}")
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match="expected weight_map"):
            resolve(_model(), root)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 1024**2


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("a" * 900, "file name too long"),
        ("/".join(["ab"] * 2000), "file name too long"),
        ("a\0b", "is no path"),
        ("a\ud800b", "is no path"),
    ],
    ids=["name", "path", "NUL", "half of a pair"],
)
def test_a_source_that_is_no_path_is_refused(source: str, problem: str, root: Path) -> None:
    with pytest.raises(SourceError, match=problem):
        resolve(_model(source=source), root)


def test_a_card_that_the_system_can_not_look_for_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder whose own path just fits."""

    def refuse(location: Path) -> os.stat_result:
        if location.name == "README.md":
            raise OSError(36, "File name too long")
        return real(location)

    real = os.lstat
    monkeypatch.setattr("bundler.sources.model.os.lstat", refuse)
    with pytest.raises(SourceError, match=r"README\.md: file name too long"):
        resolve(_model(), root)
