"""Lies in the entries of the index, in the bundle's own manifest, in models and file sets."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bundler.archive import format as fmt
from bundler.core import strictjson
from tests.hostile.case import IMAGE, Case, Edit, Make, change_blob, change_lock, entries, manifest
from tests.hostile.forging import Json, Parts
from tests.hostile.manifest_cases import change_type

NOWHERE = f"sha256:{64 * '0'}"
PLATFORM = {"platform": {"os": "linux", "architecture": "amd64"}}


def index_entries() -> Iterator[Case]:
    """What entries there are, in which order, and how each is called."""

    def named(position: int, name: str) -> Make:
        return entries(lambda m: m[position]["annotations"].update({fmt.REF_NAME: name}))

    edits: dict[str, Make] = {
        "none": entries(lambda m: m.clear()),
        "the bundle is missing": entries(lambda m: m.pop(0)),
        "the bundle is not first": entries(lambda m: m.insert(0, m.pop(1))),
        "an image twice": entries(lambda m: m.insert(1, m[1])),
        "a model is missing": entries(lambda m: m.pop(2)),
        "a ModelPack is missing": entries(lambda m: m.pop(3)),
        "files are missing": entries(lambda m: m.pop(4)),
        "models before images": entries(lambda m: m.insert(1, m.pop(2))),
        "no name": entries(lambda m: m[1].pop("annotations")),
        "a model with another name": named(2, "models/other"),
        "a model that is no label": named(2, "models/../x"),
        "a model below a folder": named(2, "models/x/mini"),
        "an artifact type too many": entries(lambda m: m[1].update(artifactType="x/y")),
        "an artifact type too few": entries(lambda m: m[3].pop("artifactType")),
        "another artifact type": entries(lambda m: m[4].update(artifactType="x/y")),
        "a lying media type": entries(lambda m: m[1].update(mediaType=fmt.OCI_INDEX)),
        "an unknown media type": entries(lambda m: m[1].update(mediaType="text/plain")),
        "another size": entries(lambda m: m[1].update(size=m[1]["size"] + 1)),
        "a ModelPack that is a docker manifest": _docker_modelpack,
        "an empty name": named(1, ""),
        "a model that only the index has": _unlocked(3),
        "a ModelPack that only the index has": _unlocked(2),
    }
    for name, make in edits.items():
        yield Case(f"entries: {name}", "integrity", make)
    for name, form in {
        "another digest": f"{IMAGE}@{NOWHERE}",
        "no digest": IMAGE,
        "no host": "server@{digest}",
        "an empty host": "/server@{digest}",
        "no repository": "registry.corp/@{digest}",
        "a port": "registry.corp:5000/team/server@{digest}",
        "the host `models`": "models/server@{digest}",
        "a space": "registry.corp/team x@{digest}",
        "a newline": "registry.corp/x\nverified@{digest}",
        "another letter": "registry.corp/ü@{digest}",
        "513 characters": "registry.corp/" + 428 * "x" + "@{digest}",
    }.items():
        yield Case(f"entries: an image with {name}", "integrity", _image_named(form))


def _image_named(form: str) -> Make:
    """The image under another name, which the lock says as well."""

    def make(parts: Parts) -> bytes:
        name = form.format(digest=parts.entry(IMAGE)["digest"])
        change_lock(parts, lambda lock: lock["images"][0].update(entry=name))
        return entries(lambda m: m[1]["annotations"].update({fmt.REF_NAME: name}))(parts)

    return make


def _docker_modelpack(parts: Parts) -> bytes:
    change_type(parts, "modelpacks/", fmt.DOCKER_MANIFEST)
    return parts.file()


def _unlocked(twin: int) -> Make:
    """A model that the lock does not know, without the entry at `twin` that would give it away."""

    def make(parts: Parts) -> bytes:
        change_lock(parts, lambda lock: lock.update(models=[]))
        return entries(lambda m: m.pop(twin))(parts)

    return make


def bundles() -> Iterator[Case]:
    """The bundle's own manifest, its config and layers."""

    def bundle(edit: Edit) -> Make:
        return manifest("bundle", edit)

    def title(text: str | None) -> Make:
        def rename(value: Json) -> None:
            value["layers"][0]["annotations"] = {fmt.TITLE: text} if text else {}

        return bundle(rename)

    def config(edit: Edit) -> Make:
        def make(parts: Parts) -> bytes:
            change_blob(parts, parts.manifest("bundle")["config"]["digest"], edit)
            return parts.file()

        return make

    def config_no_object(parts: Parts) -> bytes:
        parts.replace(parts.manifest("bundle")["config"]["digest"], b"[0]")
        return parts.file()

    makes: dict[str, Make] = {
        "no lock": title("lock"),
        "a layer without a title": bundle(lambda m: m["layers"][-1].pop("annotations")),
        "a title twice": bundle(lambda m: m["layers"].append(m["layers"][0])),
        **{
            f"{what} of another media type": bundle(_retype(number))
            for number, what in enumerate(
                ("lock", "sources", "target", "report", "bill of materials", "statement")
            )
        },
        "no artifact type in its manifest": bundle(lambda m: m.pop("artifactType")),
        "another artifact type in its manifest": bundle(lambda m: m.update(artifactType="x/y")),
        "a config of another media type": bundle(
            lambda m: m["config"].update(mediaType=fmt.OCI_CONFIG)
        ),
        "config that is no object": config_no_object,
        "config of more than 4 MiB": config(lambda c: c["tools"].update(x=4 * 1024**2 * "x")),
        "config of another name": config(lambda c: c.update(name="other")),
        "config of another version": config(lambda c: c.update(version="2.0.0")),
        "config of a later format": config(lambda c: c.update(formatVersion=2)),
        "config of a format that is true": config(lambda c: c.update(formatVersion=True)),
        "config with an unknown member": config(lambda c: c.update(x=1)),
        "config without targets": config(lambda c: c.pop("targets")),
        "config with targets that are an object": config(lambda c: c.update(targets={})),
        "config with targets that are no strings": config(lambda c: c.update(targets=[1])),
        "config with parameters that are no objects": config(lambda c: c.update(parameters=[1])),
        "config with places that are no objects": config(lambda c: c.update(imageMap=["x"])),
        "config with tools that are no strings": config(lambda c: c.update(tools={"a": 1})),
    }
    for name, make in makes.items():
        yield Case(f"bundle: {name}", "integrity", make)


def _retype(number: int) -> Edit:
    return lambda manifest: manifest["layers"][number].update(mediaType="text/plain")


def models_and_files() -> Iterator[Case]:
    """The manifests of models, ModelPacks and file sets."""

    def layer(name: str, **members: object) -> Make:
        return manifest(name, lambda m: m["layers"][0].update(members))

    def config(name: str, media_type: str) -> Make:
        return manifest(name, lambda m: m["config"].update(mediaType=media_type))

    docker = "application/vnd.docker.container.image.v1+json"
    makes: dict[str, Make] = {
        "model: a config of another media type": config("models/", docker),
        "model: a layer of another media type": layer("models/", mediaType=f"{fmt.OCI_LAYER}+gzip"),
        "model: a layer twice": manifest("models/", lambda m: m["layers"].append(m["layers"][0])),
        "model: an index of nothing": model_index,
        "model: an index without a platform": lambda parts: model_index(parts, _top(parts)),
        "model: an index of docker manifests": _model_of_docker,
        "model: an index in an index": _model_in_two_indexes,
        **{
            f"model: {what} inside of its layer": _layer_with(place, byte)
            for what, (place, byte) in {
                "a link": (156, b"2"),
                "a folder": (156, b"5"),
                "a whiteout": (len("models/"), b".wh.x"),
                "an absolute name": (0, b"/odels"),
                "another mode": (104, b"7"),
                "another owner": (114, b"1"),
                "something in the padding": (-1030, b"x"),
                "something in the end": (-1, b"x"),
            }.items()
        },
        "ModelPack: another artifact type": manifest(
            "modelpacks/", lambda m: m.update(artifactType="x/y")
        ),
        "ModelPack: a config of another media type": config("modelpacks/", fmt.OCI_CONFIG),
        "ModelPack: a layer of another media type": layer(
            "modelpacks/", mediaType=fmt.MODELPACK_WEIGHT
        ),
        "ModelPack: other bytes than the model": _modelpack_of_other_bytes,
        "files: another artifact type": manifest("files/", lambda m: m.pop("artifactType")),
        "files: a config of another media type": config("files/", fmt.OCI_CONFIG),
        "files: a config that is not empty": _config_not_empty,
        "files: a layer of another media type": layer("files/", mediaType="text/plain"),
        "files: a layer without a title": layer("files/", annotations={}),
        "files: a layer too many": manifest("files/", lambda m: m["layers"].append(m["layers"][0])),
    }
    for name, make in makes.items():
        yield Case(name, "integrity", make)


def model_index(parts: Parts, *children: Json) -> bytes:
    """The bundle with an index of `children` for a model."""
    top = _index_of(parts, *children)
    return entries(lambda m: m[2].update(top))(parts)


def model_on_a_platform(parts: Parts) -> bytes:
    """The bundle with the model's manifest in an index, as several platforms have it."""
    return model_index(parts, _top(parts) | PLATFORM)


def _index_of(parts: Parts, *children: Json) -> Json:
    index = {"schemaVersion": 2, "mediaType": fmt.OCI_INDEX, "manifests": list(children)}
    return parts.add(strictjson.canonical(index)) | {"mediaType": fmt.OCI_INDEX}


def _top(parts: Parts) -> Json:
    top = parts.entry("models/")
    return {key: top[key] for key in ("mediaType", "digest", "size")}


def _model_of_docker(parts: Parts) -> bytes:
    node = parts.manifest("models/") | {"mediaType": fmt.DOCKER_MANIFEST}
    child = parts.add(strictjson.canonical(node)) | {"mediaType": fmt.DOCKER_MANIFEST}
    return model_index(parts, child | PLATFORM)


def _model_in_two_indexes(parts: Parts) -> bytes:
    return model_index(parts, _index_of(parts, _top(parts) | PLATFORM) | PLATFORM)


def _layer_with(place: int, text: bytes) -> Make:
    """The model's layer with `text` at a place counted from the first file's own header."""

    def make(parts: Parts) -> bytes:
        digest = parts.manifest("models/")["layers"][0]["digest"]
        data = bytearray(parts.blob(digest))
        at = data.index(b"models/config.json") + place if place >= 0 else place % len(data)
        data[at : at + len(text)] = text
        parts.replace(digest, bytes(data))
        return parts.file()

    return make


def _modelpack_of_other_bytes(parts: Parts) -> bytes:
    """A layer of the same framing, with a word changed inside of a file."""
    good = parts.blob(parts.manifest("models/")["layers"][0]["digest"])
    other = parts.add(good.replace(b"one", b"six", 1))
    parts.edit("modelpacks/", lambda m: m["layers"][0].update(other))
    return parts.arrange().file()


def _config_not_empty(parts: Parts) -> bytes:
    parts.replace(parts.manifest("files/")["config"]["digest"], json.dumps({"a": 1}).encode())
    return parts.file()
