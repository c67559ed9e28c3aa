"""The bundle's config: written, read back, and refused when anything is off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bundler.core import strictjson
from bundler.core.config import BundleConfig
from bundler.core.documents.bundle import parse_bundle
from bundler.core.errors import IntegrityError
from bundler.core.objects.images import ImagePlace
from bundler.core.objects.manifests import ObjectId
from tests.core.documents.examples import BUNDLE

WEB = ObjectId("apps/v1", "Deployment", "serving", "web")
ROLE = ObjectId("v1", "Namespace", None, "serving")
CONFIG = BundleConfig(
    name="movie-search",
    version="1.4.0",
    targets=("airgapped", "dev"),
    parameters=parse_bundle(BUNDLE, "bundle.yaml").parameters,
    image_map=(
        ImagePlace("dev", WEB, "/spec/template/spec/containers/0/image", 0),
        ImagePlace("dev", ROLE, "/metadata/annotations/a~1b", 1),
    ),
    tools={"kustomize": "v5.8.1"},
)


def test_writing_and_reading_are_inverse() -> None:
    data = strictjson.canonical(CONFIG.to_json())
    assert BundleConfig.parse(strictjson.parse(data, "config")) == CONFIG


def test_the_keys_are_those_of_the_format() -> None:
    value = CONFIG.to_json()
    assert sorted(value) == [
        "formatVersion", "imageMap", "name", "parameters", "targets", "tools", "version",
    ]  # fmt: skip
    assert value["formatVersion"] == 1
    assert value["imageMap"][1] == {
        "target": "dev",
        "object": {"apiVersion": "v1", "kind": "Namespace", "namespace": "", "name": "serving"},
        "pointer": "/metadata/annotations/a~1b",
        "occurrence": 1,
    }


def _set(value: dict[str, Any], key: str, item: Any) -> None:
    value[key] = item


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "unknown key": (lambda v: _set(v, "extra", 1), "extra: unknown field"),
    "missing key": (lambda v: v.pop("tools"), "tools: is missing"),
    "another format": (lambda v: _set(v, "formatVersion", 2), "formatVersion 2 is not known"),
    "format true": (lambda v: _set(v, "formatVersion", True), "formatVersion: is True"),
    "version": (lambda v: _set(v, "version", "1.4"), "SemVer"),
    "target twice": (lambda v: _set(v, "targets", ["dev", "dev"]), "targets[1]"),
    "parameter": (lambda v: _set(v["parameters"][1], "default", "x"), "parameters[1].default"),
    "place twice": (lambda v: v["imageMap"].append(v["imageMap"][0]), "imageMap[2]"),
    "occurrence": (lambda v: _set(v["imageMap"][0], "occurrence", -1), "imageMap[0].occurrence"),
    "pointer": (lambda v: _set(v["imageMap"][0], "pointer", "spec"), "imageMap[0].pointer"),
    "unknown in an object": (
        lambda v: _set(v["imageMap"][0]["object"], "uid", "x"), "imageMap[0].object.uid",
    ),
    "tool": (lambda v: _set(v["tools"], "kustomize", 5), "tools.kustomize"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "says"), REFUSED.values(), ids=list(REFUSED))
def test_refused(edit: Callable[[dict[str, Any]], Any], says: str) -> None:
    value = CONFIG.to_json()
    edit(value)
    with pytest.raises(IntegrityError, match="bundle config") as caught:
        BundleConfig.parse(value)
    assert says in caught.value.message
