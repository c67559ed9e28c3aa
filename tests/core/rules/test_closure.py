"""No image and no model is needed that the bundle lacks."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from bundler.core.objects.manifests import JsonObject
from tests.core.rules.objects import (
    DIGEST,
    IMAGE,
    MODEL,
    annotated,
    args,
    config_map,
    container,
    custom,
    deployment,
    env,
    found,
    messages,
    pod_spec,
)

RULE = "closure"
OTHER = f"registry.airbundle.invalid/docker.io/library/redis@{DIGEST}"
TAGGED = IMAGE.replace("@", ":3.12@")


def image(reference: Any) -> JsonObject:
    return deployment(pod_spec(containers=[container(image=reference)]))


def model_volume(reference: str) -> JsonObject:
    return deployment(pod_spec(volumes=[{"name": "m", "image": {"reference": reference}}]))


def secret(text: str) -> JsonObject:
    data = {"config": base64.b64encode(text.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data}


CLOSED: dict[str, JsonObject] = {
    "an image": image(IMAGE),
    "a model": model_volume(MODEL),
    "a name in an argument": args(f"--sidecar-image={IMAGE}", f"oci://{MODEL}"),
    "a name in JSON": config_map(settings=json.dumps({"image": IMAGE})),
    "a name in text": config_map(settings=f"one {IMAGE}, two {MODEL}."),
    "an image that its runtime fills in": deployment(pod_spec(containers=[{"name": "c"}])),
}

OPEN: dict[str, tuple[JsonObject, str]] = {
    "an image by tag": (image("docker.io/library/python:3.12"), "python:3.12"),
    "an image by digest that is elsewhere": (image(f"python@{DIGEST}"), f"python@{DIGEST}"),
    "an image that is not in the bundle": (image(OTHER), OTHER),
    "a tag beside the digest": (image(TAGGED), TAGGED),
    "another spelling of a digest": (image(IMAGE + "00"), IMAGE + "00"),
    "a longer host": (image(f"evil-{IMAGE}"), f"evil-{IMAGE}"),
    "an init container": (
        deployment(pod_spec(initContainers=[container(image="busybox:1")])),
        "busybox:1",
    ),
    "an ephemeral container": (
        deployment(pod_spec(ephemeralContainers=[container(image="busybox:1")])),
        "busybox:1",
    ),
    "an image volume": (model_volume(f"registry.airbundle.invalid/models/other@{DIGEST}"), "other"),
    "a model that was not replaced": (
        model_volume("airbundle.invalid/models/zero-shot"),
        "airbundle.invalid/models/zero-shot",
    ),
    "a custom resource": (
        custom("trainer.kubeflow.org/v1alpha1", "TrainJob", trainer={"image": "train:1"}),
        "train:1",
    ),
    "a placeholder in an argument": (args(f"--image={OTHER}"), OTHER),
    "an image in an argument": (args("--sidecar-image=reg.corp.lan/sidecar:1"), "sidecar:1"),
    "a placeholder in a variable": (env("IMAGE", OTHER), OTHER),
    "a placeholder in an annotation": (annotated("image", OTHER), OTHER),
    "a placeholder in JSON": (config_map(settings=json.dumps({"a": OTHER})), OTHER),
    "a model left in a text": (config_map(run="pull airbundle.invalid/models/a"), "models/a"),
    "a placeholder in capitals": (args("Registry.AirBundle.Invalid/x"), "Registry.AirBundle"),
    "the placeholder host alone": (env("REGISTRY", "registry.airbundle.invalid"), "registry."),
    "a name in base64": (secret(f"image: {IMAGE}"), IMAGE),
    "a name in a key": (annotated(f"{IMAGE}", "x"), "registry.airbundle.invalid"),
}  # fmt: skip


@pytest.mark.parametrize("obj", CLOSED.values(), ids=CLOSED.keys())
def test_what_is_in_the_bundle_is_let_be(obj: JsonObject) -> None:
    assert messages(RULE, obj) == []


@pytest.mark.parametrize(("obj", "name"), OPEN.values(), ids=OPEN.keys())
def test_what_the_bundle_lacks_is_found(obj: JsonObject, name: str) -> None:
    said = messages(RULE, obj)
    assert said
    assert all(name in message for message in said)


def test_a_finding_names_object_and_place() -> None:
    [finding] = found(RULE, image("docker.io/library/python:3.12"))
    assert finding.subject == "Deployment serving/web"
    assert finding.message.startswith("/spec/template/spec/containers/0/image: ")
    assert finding.severity == "error"
