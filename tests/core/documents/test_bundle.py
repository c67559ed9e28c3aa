"""The Bundle as values."""

from __future__ import annotations

from bundler.core.documents.bundle import (
    FileSet,
    Image,
    Manifests,
    Mirror,
    Model,
    Parameter,
    ParameterTarget,
    parse_bundle,
)
from tests.core.documents.examples import BUNDLE, SMALLEST_BUNDLE


def test_every_field_arrives() -> None:
    bundle = parse_bundle(BUNDLE, "bundle.yaml")
    assert (bundle.name, bundle.version) == ("movie-search", "1.4.0")
    assert bundle.platforms == ("linux/amd64", "linux/arm64/v8")
    assert bundle.models[0] == Model(
        name="zero-shot",
        source="hf://facebook/bart-large-mnli",
        revision="main",
        include=("*.safetensors", "*.json", "onnx/"),
        license="MIT",
    )
    assert bundle.files == (FileSet("nli", "data/nli", "dataset"),)
    assert bundle.images[0] == Image("web:1.0", "oci:image")
    assert bundle.registries == {"docker.io": Mirror("mirror.corp:5000/hub")}
    assert bundle.manifests == Manifests("base", ("airgapped", "aws-govcloud"))
    assert bundle.policy == "policies/default.yaml"


def test_an_image_without_a_source_comes_from_its_registry() -> None:
    text = BUNDLE.replace(', source: "oci:image"', "")
    assert text != BUNDLE
    assert parse_bundle(text, "bundle.yaml").images[0] == Image("web:1.0")


def test_what_a_model_leaves_out_arrives() -> None:
    text = BUNDLE.replace("      license: MIT", '      exclude: ["*.bin"]\n      license: MIT')
    assert [model.exclude for model in parse_bundle(text, "bundle.yaml").models] == [("*.bin",), ()]


def test_parameters_keep_the_type_of_their_default() -> None:
    parameters = parse_bundle(BUNDLE, "bundle.yaml").parameters
    assert [(each.type, each.default) for each in parameters] == [
        ("string", "standard"),
        ("integer", 2),
        ("boolean", False),
        ("enum", "info"),
    ]
    assert parameters[3] == Parameter(
        name="level",
        type="enum",
        default="info",
        description="What is logged",
        values=("info", "debug"),
        targets=(ParameterTarget("ConfigMap", "web", "/data/log~1level"),),
    )


def test_what_is_left_out_has_its_default() -> None:
    bundle = parse_bundle(SMALLEST_BUNDLE, "bundle.yaml")
    assert bundle.platforms == ("linux/amd64",)
    assert (bundle.models, bundle.files, bundle.images, bundle.parameters) == ((), (), (), ())
    assert (bundle.registries, bundle.policy) == ({}, None)
