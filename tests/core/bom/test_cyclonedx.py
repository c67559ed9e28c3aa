"""The bill of materials: valid CycloneDX 1.7, whole, and a function of the lock alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from packageurl import PackageURL
from referencing import Registry
from referencing.jsonschema import DRAFT7

from bundler.core.bom.cyclonedx import bill_of_materials
from bundler.core.bom.modelfacts import ModelFacts
from bundler.core.bom.packages import ImagePackages, Package, Unread
from bundler.core.digest import Digest
from bundler.core.lock import Lock, LockedFile, LockedFileSet, LockedImage, LockedModel
from bundler.core.modelcard import Metric, ModelCard
from bundler.scan.modelfacts import read_facts
from bundler.scan.scanner import ScanSubject
from tests.parts import cyclonedx
from tests.parts.needs import require

Json = dict[str, Any]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def digest(text: str) -> Digest:
    return Digest.of(text.encode())


def image(name: str, *platforms: str) -> LockedImage:
    return LockedImage(
        name=name,
        source=f"docker://{name}",
        entry=f"{name.rpartition(':')[0].replace(':', '_')}@{digest(name)}",
        media_type="application/vnd.oci.image.manifest.v1+json",
        digest=digest(name),
        size=700,
        platforms={platform: digest(name + platform) for platform in platforms},
        resolved=digest(name),
    )


ONE = image("registry.corp:5000/team/server:1.2", "linux/amd64")
TWO = image("docker.io/library/redis:7", "linux/amd64", "linux/arm64/v8")
LOCK = Lock(
    "movie-search",
    "1.4.0",
    digest("spec"),
    ("linux/amd64",),
    models=(
        LockedModel(
            "zero-shot", "hf://facebook/bart-large-mnli", COMMIT, "MIT",
            (LockedFile("config.json", 3, digest("c")),
             LockedFile("x/y.safetensors", 9, digest("y"))),
        ),
        LockedModel("local", "weights", None, "NOASSERTION", (LockedFile("a", 1, digest("a")),)),
    ),
    files=(LockedFileSet("data", "data", "dataset", (LockedFile("t.jsonl", 1, digest("t")),)),),
    images=(ONE, TWO),
)  # fmt: skip
FACTS = {
    "zero-shot": ModelFacts(
        ModelCard(
            ("mit",),
            task="zero-shot-classification",
            library="transformers",
            base_models=("facebook/bart-large", "bert", "bert"),
            datasets=("multi_nli",),
            languages=("en", "de"),
            metrics=(Metric("accuracy", "0.90", "MNLI / matched"), Metric("f1", "1e-1", "")),
        ),
        "bart",
        ("BartForSequenceClassification",),
        {"F32": 400, "I64": 7},
    ),
    "local": ModelFacts(ModelCard(("other", "apache-2.0"), "My Licence")),
}
LIBC = Package("deb", "libc6", "2.36-9", "amd64", "glibc")
FLASK = Package("pypi", "Flask", "3.0", license="BSD-3-Clause")
PACKAGES = {
    ONE.platforms["linux/amd64"]: ImagePackages(
        ("debian", "12"),
        (FLASK, LIBC, replace(FLASK, name="flask"), Package("pypi", "x", "1", license="MIT OR ISC"),
         Package("pypi", "y", "1", license="Do what you like")),
    ),
    TWO.platforms["linux/amd64"]: ImagePackages(None, (LIBC,), (Unread("a", "b"),)),
}  # fmt: skip


def document(lock: Lock = LOCK) -> Json:
    return json.loads(bill_of_materials(lock, FACTS, PACKAGES))  # type: ignore[no-any-return]


def component(ref: str, lock: Lock = LOCK) -> Json:
    (found,) = (each for each in every(document(lock)) if each.get("bom-ref") == ref)
    return found


def every(value: object) -> Iterator[Json]:
    """Each object of a document."""
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value:  # type: ignore[attr-defined]
        if isinstance(child, dict | list):
            yield from every(child)


@pytest.fixture(scope="module")
def check() -> Callable[[bytes], None]:
    """The official schema; ValidationError for what it refuses."""
    require("cyclonedx")
    registry: Registry[Any] = Registry().with_resources(
        # They refer to each other by these names, below the first one's $id.
        (
            f"http://cyclonedx.org/schema/{path.name}",
            DRAFT7.create_resource(json.loads(path.read_text())),
        )
        for path in cyclonedx.fetch().glob("*.json")
    )
    schema = json.loads((cyclonedx.fetch() / cyclonedx.BOM).read_text())
    validator = jsonschema.Draft7Validator(
        schema, registry=registry, format_checker=jsonschema.FormatChecker()
    )

    def validate(data: bytes) -> None:
        validator.validate(json.loads(data))

    return validate


EMPTY = Lock("m", "1.0.0", digest("spec"), ("linux/amd64",))


@pytest.mark.parametrize("lock", [LOCK, EMPTY, replace(LOCK, images=(TWO,))])
def test_the_official_schema_accepts_it(lock: Lock, check: Callable[[bytes], None]) -> None:
    check(bill_of_materials(lock, FACTS, PACKAGES))
    check(bill_of_materials(lock, {}, {}))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: value.update(specVersion=1),
        lambda value: value["components"][0].update(kind="model"),
        lambda value: value["components"][1]["modelCard"].update(task="x"),
        lambda value: value["components"][0].update(licenses=[{"license": {"id": "mit"}}]),
        lambda value: value["components"][0]["components"][0]["hashes"][0].update(content="x"),
    ],
)
def test_the_schema_looks_into_all_of_it(
    spoil: Callable[[Json], object], check: Callable[[bytes], None]
) -> None:
    value = document()
    spoil(value)
    with pytest.raises(jsonschema.ValidationError):
        check(json.dumps(value).encode())


@pytest.mark.needs("cyclonedx")
def test_the_real_model(minilm: Path, check: Callable[[bytes], None]) -> None:
    files = sorted(path for path in minilm.rglob("*") if path.is_file())
    subjects = [
        ScanSubject(str(path.relative_to(minilm)), path.stat().st_size, lambda p=path: p.open("rb"))  # type: ignore[misc]
        for path in files
    ]
    facts = read_facts("models/minilm", subjects)
    locked = tuple(LockedFile(each.name, each.size, digest(each.name)) for each in subjects)
    lock = replace(EMPTY, models=(LockedModel("minilm", "weights", None, "Apache-2.0", locked),))
    data = bill_of_materials(lock, {"minilm": facts}, {})
    check(data)
    (model,) = json.loads(data)["components"]
    parameters = model["modelCard"]["modelParameters"]
    assert parameters["task"] == "sentence-similarity"
    assert parameters["architectureFamily"] == "bert"
    assert parameters["modelArchitecture"] == "BertModel"
    assert {"type": "dataset", "name": "snli"} in parameters["datasets"]
    properties = {each["name"]: each["value"] for each in model["modelCard"]["properties"]}
    assert properties == {
        "airbundle:model:elements:F32": "22713216",
        "airbundle:model:elements:I64": "512",
        "airbundle:model:language": "en",
        "airbundle:model:library": "sentence-transformers",
        "airbundle:model:parameters": "22713728",
    }


def test_it_is_a_function_of_the_lock_in_one_spelling() -> None:
    data = bill_of_materials(LOCK, FACTS, PACKAGES)
    turned = replace(LOCK, models=LOCK.models[::-1], images=LOCK.images[::-1])
    again = bill_of_materials(turned, dict(reversed(FACTS.items())), dict(PACKAGES))
    assert data == again
    assert b"serialNumber" not in data
    assert b"timestamp" not in data
    assert b'"weights"' not in data
    assert not data.startswith(b"{ ")


def test_every_reference_is_unique_and_every_dependency_is_there() -> None:
    value = document()
    refs = [each["bom-ref"] for each in every(value) if "bom-ref" in each]
    assert len(refs) == len(set(refs)) > 15
    top = [each["bom-ref"] for each in value["components"]]
    assert value["dependencies"] == [
        {"ref": "bundle", "dependsOn": top},
        *({"ref": ref} for ref in top),
    ]
    assert value["metadata"]["component"]["bom-ref"] == "bundle"
    for each in value.get("compositions", []):
        assert set(each["assemblies"]) <= set(refs)


def test_every_package_url_is_one() -> None:
    urls = [each["purl"] for each in every(document()) if "purl" in each]
    assert [PackageURL.from_string(url).to_string() for url in urls] == urls
    assert len(urls) > 8


def test_a_model_of_a_hub() -> None:
    model = component("models/zero-shot")
    assert model["version"] == COMMIT
    assert model["purl"] == f"pkg:huggingface/facebook/bart-large-mnli@{COMMIT}"
    assert model["externalReferences"] == [
        {"type": "distribution", "url": f"hf://facebook/bart-large-mnli@{COMMIT}"}
    ]
    assert model["licenses"] == [{"license": {"id": "MIT", "acknowledgement": "concluded"}}]
    assert [each["name"] for each in model["components"]] == ["config.json", "x/y.safetensors"]
    assert model["components"][0]["hashes"] == [{"alg": "SHA-256", "content": digest("c").hex}]
    ancestors = model["pedigree"]["ancestors"]
    assert [each["name"] for each in ancestors] == ["facebook/bart-large", "bert"]
    assert ancestors[0]["purl"] == "pkg:huggingface/facebook/bart-large"
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert metrics[0] == {"type": "accuracy", "value": "0.90", "slice": "MNLI / matched"}


def test_a_model_of_a_folder_has_the_licence_of_its_card_when_nobody_asserts_one() -> None:
    model = component("models/local")
    assert model["licenses"] == [
        {"license": {"name": "My Licence", "acknowledgement": "declared"}},
        {"license": {"id": "Apache-2.0", "acknowledgement": "declared"}},
    ]
    assert not {"version", "purl", "externalReferences", "pedigree"} & model.keys()


@pytest.mark.parametrize(
    ("text", "licenses"),
    [
        ("apache-2.0", {"license": {"id": "Apache-2.0", "acknowledgement": "concluded"}}),
        ("MIT OR isc", {"expression": "MIT OR ISC", "acknowledgement": "concluded"}),
        ("llama 3", {"license": {"name": "llama 3", "acknowledgement": "concluded"}}),
    ],
)
def test_a_licence_is_an_identifier_an_expression_or_a_name(text: str, licenses: Json) -> None:
    model = replace(LOCK.models[0], license=text)
    assert component("models/zero-shot", replace(LOCK, models=(model,)))["licenses"] == [licenses]


def test_an_image_of_one_platform_holds_its_packages() -> None:
    found = component(ONE.entry)
    assert found["version"] == str(ONE.digest)
    assert found["hashes"] == [{"alg": "SHA-256", "content": ONE.digest.hex}]
    assert found["purl"] == (
        f"pkg:oci/server@{ONE.digest}"
        "?arch=amd64&repository_url=registry.corp:5000/team/server&tag=1.2"
    )
    system, *packages = found["components"]
    assert (system["type"], system["name"], system["version"]) == (
        "operating-system",
        "debian",
        "12",
    )
    assert [each["purl"] for each in packages] == [
        "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12&upstream=glibc",
        "pkg:pypi/flask@3.0",
        "pkg:pypi/x@1",
        "pkg:pypi/y@1",
    ]
    assert packages[1]["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert packages[2]["licenses"] == [{"expression": "MIT OR ISC"}]
    assert packages[3]["licenses"] == [{"license": {"name": "Do what you like"}}]


def test_an_image_of_two_platforms_holds_two() -> None:
    found = component(TWO.entry)["components"]
    assert [each["bom-ref"] for each in found] == [
        f"{TWO.entry}#linux/amd64",
        f"{TWO.entry}#linux/arm64/v8",
    ]
    assert "?arch=arm64&" in found[1]["purl"]
    assert found[0]["components"][0]["purl"] == (
        "pkg:deb/debian/libc6@2.36-9?arch=amd64&upstream=glibc"
    )
    assert "components" not in found[1]


def test_two_names_of_one_image_are_one_component() -> None:
    other = replace(ONE, name="registry.corp:5000/team/server:other")
    assert component(ONE.entry, replace(LOCK, images=(ONE, other)))["type"] == "container"


def test_a_list_that_is_not_whole_is_said_to_be_so() -> None:
    assert document()["compositions"] == [
        {"aggregate": "incomplete", "assemblies": [f"{TWO.entry}#linux/amd64"]},
        {"aggregate": "unknown", "assemblies": [f"{TWO.entry}#linux/arm64/v8"]},
    ]
    assert "compositions" not in document(replace(LOCK, images=(ONE,)))


def test_files_that_travel_beside() -> None:
    found = component("files/data")
    assert (found["type"], found["components"][0]["name"]) == ("data", "t.jsonl")
