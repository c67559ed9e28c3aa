"""Images and models: found wherever they stand, replaced and relocated exactly there."""

from __future__ import annotations

import base64
import copy
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError, PolicyError, UsageError
from bundler.core.objects import jsonpointer
from bundler.core.objects.images import ImagePlace, references, relocate, rewrite
from bundler.core.objects.manifests import ObjectId
from bundler.core.reference import PLACEHOLDER_HOST, ImageReference

DIGEST = Digest("ab" * 32)
MODEL = "airbundle.invalid/models/zero-shot"


def obj(kind: str = "Deployment", api: str = "apps/v1", **body: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "x", "namespace": "s"}, **body}


def pod(**spec: Any) -> dict[str, Any]:
    return obj(spec={"template": {"spec": spec}})


def config_map(**data: str) -> dict[str, Any]:
    return obj("ConfigMap", "v1", data=data)


def placeholders(*names: str) -> dict[str, str]:
    return {name: ImageReference.parse(name).placeholder(DIGEST) for name in names}


KSERVE = json.dumps({"image": "kserve/agent:v0.1", "args": ["a\n", "quay.io/b/c:2"]})
KNOWN = ("quay.io/b/c:2", "redis", "app:1")


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (pod(containers=[{"image": "redis"}]), ["redis"]),
        (pod(initContainers=[{"image": "a.b/c"}]), ["a.b/c"]),
        (pod(ephemeralContainers=[{"image": "x/y:1"}]), ["x/y:1"]),
        (pod(volumes=[{"name": "w", "image": {"reference": "x/y:1"}}]), ["x/y:1"]),
        (pod(volumes=[{"name": "w", "image": {"reference": MODEL}}]), [MODEL]),
        (pod(containers=[{"image": MODEL}]), [MODEL]),
        # custom resources: a pod template deep inside, a field of their own
        (
            obj("ClusterTrainingRuntime", "trainer.kubeflow.org/v1alpha1")
            | {"spec": {"jobs": [{"t": {"spec": {"containers": [{"image": "t/r:1"}]}}}]}},
            ["t/r:1"],
        ),
        (obj("TrainJob", "t.k.org/v1", spec={"trainer": {"image": "t/r:1"}}), ["t/r:1"]),
        (obj("X", "a/v1", spec={"uris": [f"oci://{MODEL}"]}), [MODEL]),
        # known names in arguments, variables and ConfigMaps' JSON and YAML
        (pod(containers=[{"args": ["--sidecar=app:1", "run app:1:ro"]}]), ["app:1"]),
        (pod(containers=[{"env": [{"name": "A", "value": "docker://app:1"}]}]), ["app:1"]),
        (config_map(config=KSERVE), ["kserve/agent:v0.1", "quay.io/b/c:2"]),
        (config_map(config=json.dumps(KSERVE)), ["kserve/agent:v0.1", "quay.io/b/c:2"]),
        (config_map(config="a:\n  - image: t/u:1\n  - x: app:1\n"), ["app:1", "t/u:1"]),
        (
            config_map(config=json.dumps({"text": "\napp:1\tredis:latest"})),
            ["app:1", "redis:latest"],
        ),
        (config_map(config=f'{{"m": ["{MODEL}", "{MODEL}"]}}'), [MODEL]),
        # what says of itself that it is an image, known or not
        (pod(containers=[{"args": ["--agent-image=ghcr.io/a/b:3"]}]), ["ghcr.io/a/b:3"]),
        (pod(containers=[{"command": ["x", "image: g/b:3"]}]), ["g/b:3"]),
        (pod(containers=[{"env": [{"name": "RELATED_IMAGE_A", "value": "g/b:3"}]}]), ["g/b:3"]),
        (config_map(SIDECAR_IMAGE="g/b:3"), ["g/b:3"]),
        (obj("Secret", "v1", stringData={"image": "g/b:3"}), ["g/b:3"]),
        (pod(containers=[{"args": ["--agent-image", "g/b:3"]}]), ["g/b:3"]),
        (pod(containers=[{"args": ["--image-pull-policy", "x/y:3"]}]), []),
        (pod(containers=[{"command": ["sh", "-c", "kubectl run x --image g/b:3"]}]), ["g/b:3"]),
        (config_map(a='{"imageName": "g/b:3"}'), ["g/b:3"]),
        (config_map(a='{"images": ["g/b:3", "g/c:4"], "x": ["g/d:5"]}'), ["g/b:3", "g/c:4"]),
        (config_map(a="images: [g/b:3, g/c:4]"), ["g/b:3", "g/c:4"]),
        (config_map(a="images:\n  - g/b:3\n  - g/c:4\nx:\n  - g/d:5\n"), ["g/b:3", "g/c:4"]),
        (config_map(a="image: >-\n  g/b:3\n"), ["g/b:3"]),
        (config_map(a="image: !!str g/b:3\n"), ["g/b:3"]),
        (obj("X", "a/v1", spec={"runtimeImage": "g/b:3", "baseImage": "b"}), ["b", "g/b:3"]),
        (obj("X", "a/v1", spec={"image": ["g/b:3", "b"]}), ["b", "g/b:3"]),
        (obj("X", "a/v1", spec={"images": ["g/b:3"], "sideImages": ["c:1"]}), ["c:1", "g/b:3"]),
        (obj("X", "a/v1", spec={"extraVolumes": [{"image": {"reference": "b:1"}}]}), ["b:1"]),
        (obj("X", "a/v1", spec={"selector": {"pod": {"image": "b:1"}}}), ["b:1"]),
        (
            obj("X", "a/v1", metadata={"name": "x", "annotations": {"a.io/proxyImage": "g/b:3"}}),
            ["g/b:3"],
        ),
        # other spellings of what is known
        (
            config_map(a="docker.io/library/app:1 docker.io/app:1 library/app:1"),
            ["docker.io/app:1", "docker.io/library/app:1", "library/app:1"],
        ),
        # a name that is the beginning or the end of another
        (config_map(a="app:1.5 app:1-x xapp:1 x/app:1 app:1/x app app/x"), []),
        (config_map(a="app:1@sha256:" + "0" * 64), []),
        (config_map(a="quay.io/b/c quay.io/b/c:21 uay.io/b/c:2 v.quay.io/b/c:2"), []),
        (config_map(a="see app:1. Or (app:1), 'app:1'"), ["app:1"]),
        # what is no image
        (config_map(a="redis", image="logo.png", b="https://app:1"), []),
        (obj("Service", "v1", spec={"selector": {"image": "redis"}}), []),
        (obj("A", "v1", metadata={"name": "x", "labels": {"image": "no:1"}}), []),
        (pod(containers=[{"name": "redis", "imagePullPolicy": "Always"}]), []),
        (
            obj("CustomResourceDefinition", "apiextensions.k8s.io/v1")
            | {"spec": {"image": {"type": "string"}, "default": {"image": "not an image"}}},
            [],
        ),
        (pod(containers=[{"image": ""}]), []),
    ],
)
def test_every_reference_is_found(manifest: dict[str, Any], expected: list[str]) -> None:
    before = copy.deepcopy(manifest)
    assert references([manifest], KNOWN) == tuple(expected)
    rewritten, places = rewrite("dev", [manifest], placeholders(*expected))
    assert manifest == before
    assert json.dumps(rewritten).count(PLACEHOLDER_HOST) == len(places)
    assert bool(places) == bool(expected)
    text = json.dumps(rewritten)
    assert "airbundle.invalid/models" not in text.replace(PLACEHOLDER_HOST, "")


def test_long_texts_take_no_long_time() -> None:
    started = time.process_time()
    texts = ("image:" + "\n" * 50_000, "a.-" * 50_000, "--image" * 20_000, "image: [" * 20_000)
    for text in (*texts, "image:\n - a\n" * 10_000, ("image" + " " * 200) * 500):
        assert references([config_map(a=text)], ()) == ()
    manifest = config_map(a="app:1 " * 4000, **{f"k{number}": "app:1" for number in range(2000)})
    rewritten, places = rewrite("dev", [manifest], placeholders("app:1"))
    relocate("dev", rewritten, places, "a.b")
    assert time.process_time() - started < 20


def test_an_image_in_a_field_is_known_everywhere() -> None:
    objects = [config_map(a="run t/r:1 now"), pod(containers=[{"image": "t/r:1"}])]
    objects[0]["metadata"]["name"] = "y"
    rewritten, places = rewrite("dev", objects, placeholders(*references(objects, ())))
    expected = f"{PLACEHOLDER_HOST}/docker.io/t/r@{DIGEST}"
    assert rewritten[0]["data"]["a"] == f"run {expected} now"
    assert [place.pointer for place in places] == [
        "/data/a",
        "/spec/template/spec/containers/0/image",
    ]


NAMES = ("app", "app:1", "app:1.5", "app/x", "a.b/app", "a.b/app:1")


def test_names_that_begin_alike_are_told_apart() -> None:
    text = "app:1 app:1.5 a.b/app a.b/app:1 app app/x app:1,app:1.5"
    objects = [config_map(a=text), pod(containers=[{"image": name} for name in NAMES])]
    objects[0]["metadata"]["name"] = "y"
    table = {name: f"{PLACEHOLDER_HOST}/{number}" for number, name in enumerate(NAMES)}
    rewritten, places = rewrite("dev", objects, table)
    h = PLACEHOLDER_HOST
    # A plain word may mean anything, and stays.
    assert rewritten[0]["data"]["a"] == f"{h}/1 {h}/2 {h}/4 {h}/5 app app/x {h}/1,{h}/2"
    assert [c["image"] for c in rewritten[1]["spec"]["template"]["spec"]["containers"]] == [
        f"{h}/{number}" for number in range(len(NAMES))
    ]
    assert [place.occurrence for place in places[:6]] == list(range(6))


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (config_map(**{MODEL: "x"}), ["/data/airbundle.invalid~1models~1zero-shot", "key"]),
        (config_map(**{f"{PLACEHOLDER_HOST}/a": "x"}), ["/data/registry", "key"]),
        (obj("X", "a/v1", spec={"by": {"app:1": 1}}), ["/spec/by/app:1", "key"]),
        (config_map(a=f"x {PLACEHOLDER_HOST} y"), ["/data/a", PLACEHOLDER_HOST]),
        (config_map(a=PLACEHOLDER_HOST.upper()), ["/data/a", PLACEHOLDER_HOST]),
        (pod(containers=[{"image": f"{PLACEHOLDER_HOST}/a@{DIGEST}"}]), [PLACEHOLDER_HOST]),
        (config_map(a=f"{MODEL}:1"), ["/data/a", "expected airbundle.invalid/models/<name>"]),
        (config_map(a=f"{MODEL}@sha256:00"), ["/data/a"]),
        (config_map(a=f"{MODEL}/config.json"), ["/data/a"]),
        (config_map(a=f"x.{MODEL}"), ["/data/a"]),
        (config_map(a=f"https://{MODEL}"), ["/data/a"]),
        (config_map(a="airbundle.invalid/models/Zero"), ["/data/a"]),
        (config_map(a="Airbundle.Invalid/models/zero"), ["/data/a"]),
        (config_map(a="airbundle.invalid/other"), ["/data/a"]),
        (config_map(a="airbundle.invalid\\/models\\/zero"), ["/data/a"]),
        (pod(containers=[{"image": "not an image"}]), ["/containers/0/image", "reference"]),
        (pod(containers=[{"image": "{{ image }}"}]), ["/containers/0/image", "reference"]),
        (pod(volumes=[{"image": {"reference": "UP"}}]), ["/volumes/0/image/reference"]),
        (obj("Secret", "v1", data={"a": base64.b64encode(MODEL.encode()).decode()}), ["base64"]),
        (
            obj("ConfigMap", "v1", binaryData={"a": base64.b64encode(b"\xff app:1").decode()}),
            ["/binaryData/a", "base64"],
        ),
        (obj("X", "a/v1", spec={"image": {"repository": "a/b", "tag": "1"}}), ["/spec/image"]),
        (obj("X", "a/v1", spec={"image": {"name": "b", "tag": "1"}}), ["/spec/image/name"]),
        (obj("X", "a/v1", spec={"sideImage": {"tag": "1"}}), ["/spec/sideImage/tag", "pieces"]),
        (config_map(a="image:\n  repository: b\n"), ["/data/a", "pieces"]),
        (config_map(a='{"image": {"repository": "b"}}'), ["/data/a", "pieces"]),
        (
            obj("Secret", "v1", data={"a": base64.b64encode(b"image: g/b:3").decode()}),
            ["/data/a", "base64"],
        ),
        (pod(containers=[{"env": [{"name": "HELPER_IMAGE", "value": "b"}]}]), ["env/0/value"]),
        (pod(containers=[{"args": ["--image=b"]}]), ["args/0", "could be anything"]),
        (pod(containers=[{"args": ["--side-image", "b"]}]), ["args/1", "could be anything"]),
    ],
)
def test_what_cannot_be_replaced_is_refused(manifest: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(PolicyError) as raised:
        references([manifest], KNOWN)
    for word in (f"{manifest['kind']} s/x", *words):
        assert word in raised.value.message
    with pytest.raises(PolicyError):
        rewrite("dev", [manifest], placeholders(*KNOWN))


@pytest.mark.parametrize(
    "manifest",
    [
        pod(containers=[{"image": "redis"}]),
        pod(volumes=[{"image": {"reference": MODEL}}]),
        pod(containers=[{"args": [f"--model={MODEL}"]}]),
        config_map(config=KSERVE),
    ],
)
def test_what_the_bundle_lacks_is_refused(manifest: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match="isn't in the bundle") as raised:
        rewrite("dev", [manifest], placeholders("app:1"))
    assert raised.value.hint


def test_an_unknown_reference_among_the_known_is_refused() -> None:
    with pytest.raises(UsageError, match="image reference"):
        references([], ["Not an image"])


def test_two_objects_with_one_id_are_refused() -> None:
    with pytest.raises(PolicyError, match=r"target dev: object 1 .* and object 2"):
        rewrite("dev", [config_map(a="1"), config_map(a="2")], {})


TWICE = config_map(a=f"{MODEL} and app:1 and {MODEL}")
REWRITTEN, PLACES = rewrite("dev", [TWICE], placeholders(MODEL, "app:1"))


def test_relocating_puts_the_registry_at_each_place() -> None:
    (moved,) = relocate("dev", REWRITTEN, PLACES, "mirror.corp:5000/team")
    m, a = f"models/zero-shot@{DIGEST}", f"docker.io/library/app@{DIGEST}"
    host = "mirror.corp:5000/team"
    assert moved["data"]["a"] == f"{host}/{m} and {host}/{a} and {host}/{m}"
    assert jsonpointer.get(REWRITTEN[0], "/data/a").count(PLACEHOLDER_HOST) == 3


def test_the_places_order_does_not_matter() -> None:
    assert relocate("dev", REWRITTEN, PLACES[::-1], "a.b") == relocate(
        "dev", REWRITTEN, PLACES, "a.b"
    )


def test_places_of_other_targets_are_passed_over() -> None:
    others = [replace(place, target="prod") for place in PLACES]
    assert relocate("dev", REWRITTEN, [*PLACES, *others], "a.b")
    with pytest.raises(IntegrityError, match="not in the image map"):
        relocate("dev", REWRITTEN, others, "a.b")


@pytest.mark.parametrize(
    "change",
    [
        {"occurrence": 3},
        {"occurrence": -1},
        {"pointer": "/data/b"},
        {"pointer": "/data"},
        {"pointer": "data"},
        {"pointer": "/metadata/name"},
        {"object": ObjectId("v1", "ConfigMap", "s", "y")},
        {"object": ObjectId("v1", "ConfigMap", None, "x")},
    ],
)
def test_a_place_that_is_not_there_is_refused(change: dict[str, Any]) -> None:
    places = [*PLACES, replace(PLACES[0], **change)]
    with pytest.raises(IntegrityError, match="doesn't stand there"):
        relocate("dev", REWRITTEN, places, "a.b")


def test_a_place_that_stands_twice_is_refused() -> None:
    with pytest.raises(IntegrityError, match="stands twice"):
        relocate("dev", REWRITTEN, [*PLACES, PLACES[0]], "a.b")


@pytest.mark.parametrize("missing", range(3))
def test_a_placeholder_that_no_place_names_is_refused(missing: int) -> None:
    places = [place for place in PLACES if place.occurrence != missing]
    with pytest.raises(IntegrityError, match="not in the image map"):
        relocate("dev", REWRITTEN, places, "a.b")


@pytest.mark.parametrize("registry", ["https://a.b", "a", "", PLACEHOLDER_HOST])
def test_a_registry_that_is_none_is_refused(registry: str) -> None:
    with pytest.raises(UsageError, match="registry"):
        relocate("dev", REWRITTEN, PLACES, registry)


def test_a_place_reads_as_a_sentence() -> None:
    place = ImagePlace("dev", ObjectId("v1", "ConfigMap", "s", "x"), "/data/a", 1)
    assert str(place) == "dev: ConfigMap s/x: /data/a, occurrence 1"
