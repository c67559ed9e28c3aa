"""Every way that we know to lie in a bundle, each signed so that only the lie is wrong.

A case is a function from the parts of a valid bundle to the bytes of a file; `expected` is the
verdict that every reader must give: "integrity" or "trust" (docs/format.md). The same table runs
through our reader and through the one in tests/reader.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bundler.archive import format as fmt
from bundler.archive.framing import BLOCK, END
from bundler.core import strictjson
from bundler.core.digest import Digest
from bundler.sign.envelope import PAYLOAD_TYPE, pae
from bundler.sign.keys import Algorithm, PrivateKey
from tests.hostile.forging import Json, Parts
from tests.making import KEY, signed

Make = Callable[[Parts], bytes]
OTHER = PrivateKey.generate(Algorithm.ED25519)
IMAGE = "registry.corp_5000/team/server"


@dataclass(frozen=True)
class Case:
    """A lie: what to call it, the verdict, how to tell it."""

    name: str
    expected: str
    make: Make


def cases() -> tuple[Case, ...]:
    """All of them."""
    return (*_valid(), *_statements(), *_slots(), *_json(), *_manifests(), *_entries(), *_locks())


def _valid() -> Iterator[Case]:
    """What must pass, or the refusals below prove nothing."""

    def plain(parts: Parts) -> bytes:
        return parts.file()

    def annotated(parts: Parts) -> bytes:
        parts.edit(IMAGE, lambda m: m.update(annotations={"a.B": "c"}, unknown=[1, {"x": None}]))
        return parts.file()

    def spaced(parts: Parts) -> bytes:
        digest = parts.entry(IMAGE)["digest"]
        parts.replace(
            digest, b" \t\r\n" + json.dumps(parts.manifest(IMAGE), indent=2).encode() + b"\n"
        )
        return parts.file()

    def deep_enough(parts: Parts) -> bytes:
        parts.edit(IMAGE, lambda m: m.update(deep=_nested(31)))
        return parts.file()

    def no_media_type(parts: Parts) -> bytes:
        parts.edit(IMAGE, lambda m: m.pop("mediaType"))
        return parts.file()

    def subject(parts: Parts) -> bytes:
        lost = {"mediaType": fmt.OCI_MANIFEST, "digest": str(Digest.of(b"x")), "size": 1}
        parts.edit(IMAGE, lambda m: m.update(subject=lost))
        return parts.file()

    for make in (plain, annotated, spaced, deep_enough, no_media_type, subject):
        yield Case(f"valid: {make.__name__}", "ok", make)


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def _statements() -> Iterator[Case]:
    def stated(edit: Callable[[Json], object]) -> Make:
        def make(parts: Parts) -> bytes:
            value = json.loads(parts.stated())
            edit(value)
            parts.statement = strictjson.canonical(value)
            return parts.file()

        return make

    def predicate(**members: object) -> Make:
        return stated(lambda s: s["predicate"].update(members))

    other = {"name": "index.json", "digest": {"sha256": 64 * "0"}}
    edits: dict[str, Make] = {
        "another predicate type": stated(lambda s: s.update(predicateType="https://x.dev/test/v1")),
        "another statement type": stated(
            lambda s: s.update(_type="https://in-toto.io/Statement/v0")
        ),
        "another subject": stated(lambda s: s["subject"][0].update(name="index")),
        "two subjects": stated(lambda s: s["subject"].append(other)),
        "no subject": stated(lambda s: s.update(subject=[])),
        "a second digest": stated(lambda s: s["subject"][0]["digest"].update(sha512="00")),
        "an unknown field": stated(lambda s: s.update(extra=1)),
        "an unknown field of the subject": stated(lambda s: s["subject"][0].update(uri="x")),
        "an unknown field of the predicate": predicate(extra=1),
        "a later format": predicate(formatVersion=2),
        "a format that is true": predicate(formatVersion=True),
        "no version": stated(lambda s: s["predicate"].pop("version")),
        "a version with build metadata": predicate(version="1.4.0+x"),
        "a version that is none": predicate(version="1.4"),
        "a name with capitals": predicate(name="Movie"),
        "a size of 0": predicate(indexSize=0),
        "a size beyond 16 MiB": predicate(indexSize=16 * 1024**2 + 1),
        "a size as a string": predicate(indexSize="100"),
    }
    for name, make in edits.items():
        yield Case(f"statement: {name}", "trust", make)
    yield Case("statement: another name", "integrity", predicate(name="other"))
    yield Case("statement: another version", "integrity", predicate(version="9.9.9"))
    yield Case("statement: a size too small", "integrity", predicate(indexSize=10))
    subject = stated(lambda s: s.update(subject=[other]))
    yield Case("statement: another index", "integrity", subject)
    yield Case("statement: with white space", "trust", _payload(lambda text: text + b" "))
    twice = _payload(lambda t: t.replace(b'{"_type"', b'{"_type":"x","_type"'))
    yield Case("statement: a key twice", "trust", twice)
    capital = _payload(lambda t: t.replace(b'"predicateType"', b'"PredicateType"'))
    yield Case("statement: a key in another case", "trust", capital)


def _payload(edit: Callable[[bytes], bytes]) -> Make:
    def make(parts: Parts) -> bytes:
        parts.statement = edit(parts.stated())
        return parts.file()

    return make


def _slots() -> Iterator[Case]:
    def slot(edit: Callable[[bytes], bytes]) -> Make:
        def make(parts: Parts) -> bytes:
            envelope = signed(parts.stated(), KEY).dump()
            parts.slot = edit(envelope).ljust(fmt.SLOT_SIZE)[: fmt.SLOT_SIZE]
            return parts.file()

        return make

    def edited(edit: Callable[[Json], object]) -> Make:
        def change(envelope: bytes) -> bytes:
            value = json.loads(envelope)
            edit(value)
            return strictjson.canonical(value)

        return slot(change)

    def spelled(envelope: bytes) -> bytes:
        """Another base64 for the same bytes: the unused bits of the last letter are set."""
        value = json.loads(envelope)
        sig = value["signatures"][0]["sig"]  # 64 bytes: ends in one letter and ==
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        letter = alphabet[alphabet.index(sig[-3]) | 1]
        value["signatures"][0]["sig"] = sig[:-3] + letter + "=="
        return strictjson.canonical(value)

    def by_another(parts: Parts) -> bytes:
        parts.slot = signed(parts.stated(), OTHER).slot()
        return parts.file()

    def over_other_bytes(parts: Parts) -> bytes:
        good = json.loads(signed(parts.stated(), KEY).dump())
        wrong = KEY.sign(pae(PAYLOAD_TYPE, parts.stated() + b" "))
        good["signatures"][0]["sig"] = base64.b64encode(wrong).decode()
        parts.slot = strictjson.canonical(good).ljust(fmt.SLOT_SIZE)
        return parts.file()

    def unsigned(parts: Parts) -> bytes:
        parts.slot = b" " * fmt.SLOT_SIZE
        return parts.file()

    def known_keyid_of_another(parts: Parts) -> bytes:
        value = json.loads(signed(parts.stated(), OTHER).dump())
        value["signatures"][0]["keyid"] = KEY.public.keyid
        parts.slot = strictjson.canonical(value).ljust(fmt.SLOT_SIZE)
        return parts.file()

    def double(value: Json) -> None:
        value["signatures"] *= 2

    makes: dict[str, Make] = {
        "a leading space": slot(lambda e: b" " + e),
        "a newline behind": slot(lambda e: e + b"\n"),
        "a tab for padding": slot(lambda e: e.ljust(fmt.SLOT_SIZE, b"\t")),
        "NULs for padding": slot(lambda e: e.ljust(fmt.SLOT_SIZE, b"\0")),
        "something in the padding": slot(lambda e: e + b"  x"),
        "two envelopes": slot(lambda e: e + e),
        "white space inside": slot(lambda e: e.replace(b",", b", ", 1)),
        "half of it": slot(lambda e: e[: len(e) // 2]),
        "no JSON": slot(lambda e: b"signature"),
        "another base64": slot(spelled),
        "base64 without padding": edited(lambda v: v.update(payload=v["payload"].rstrip("="))),
        "url-safe base64": edited(lambda v: v.update(payload="-_" + v["payload"][2:])),
        "an unknown member": edited(lambda v: v.update(x=1)),
        "another payload type": edited(lambda v: v.update(payloadType="text/plain")),
        "no signatures": edited(lambda v: v.update(signatures=[])),
        "the same signature twice": edited(double),
        "a keyid in capitals": edited(
            lambda v: v["signatures"][0].update(keyid=v["signatures"][0]["keyid"].upper())
        ),
        "an empty keyid": edited(lambda v: v["signatures"][0].update(keyid="")),
        "a certificate": edited(lambda v: v["signatures"][0].update(cert="x")),
        "an empty signature": edited(lambda v: v["signatures"][0].update(sig="")),
        "signed by another key": by_another,
        "the keyid of a key that did not sign": known_keyid_of_another,
        "a signature over other bytes": over_other_bytes,
        "not signed": unsigned,
    }
    for name, make in makes.items():
        yield Case(f"slot: {name}", "trust", make)


def _json() -> Iterator[Case]:
    def in_manifest(text: bytes) -> Make:
        def make(parts: Parts) -> bytes:
            digest = parts.entry(IMAGE)["digest"]
            data = parts.blob(digest)
            assert data.startswith(b"{")
            parts.replace(digest, b"{" + text + b"," + data[1:])
            return parts.file()

        return make

    def in_index(text: bytes) -> Make:
        def make(parts: Parts) -> bytes:
            parts.index = b"{" + text + b"," + parts.index[1:]
            return parts.file()

        return make

    texts = {
        "a key twice": b'"layers":[]',
        "a key twice, escaped": b'"l\\u0061yers":[]',
        "keys that differ in case": b'"Layers":[]',
        "a known key in another case alone": b'"Subject":{}',
        "a known key with a long s": '"\u017fubject":{}'.encode(),
        "unknown keys that differ in case": b'"x":1,"X":2',
        "unknown keys that differ by a Kelvin sign": '"k":1,"\u212a":2'.encode(),
        "a fraction": b'"x":1.0',
        "an exponent": b'"x":1e2',
        "a huge number": b'"x":' + 400 * b"9",
        "a number beyond 2^53": b'"x":9007199254740992',
        "a leading zero": b'"x":01',
        "NaN": b'"x":NaN',
        "half of a surrogate pair": b'"x":"\\ud800"',
        "the other half alone": b'"x":"\\udc00 "',
        "a control character": b'"x":"\x01"',
        "bytes that are no UTF-8": b'"x":"\xff"',
        "deep nesting": b'"x":' + 32 * b"[" + 32 * b"]",
        "very deep nesting": b'"x":' + 100_000 * b"[" + 100_000 * b"]",
        "manifests and layers": b'"manifests":[]',
        "a single quote": b"'x':1",
    }
    for name, text in texts.items():
        yield Case(f"manifest: {name}", "integrity", in_manifest(text))
    for name, text in {
        "a key twice": b'"schemaVersion":2',
        "a key in another case": b'"Manifests":[]',
        "layers": b'"layers":[]',
        "config": b'"config":{}',
        "deep nesting": b'"x":' + 40 * b"[" + 40 * b"]",
        "a huge number": b'"x":123456789012345678901234567890',
    }.items():
        yield Case(f"index: {name}", "integrity", in_index(text))

    def bom(parts: Parts) -> bytes:
        parts.index = b"\xef\xbb\xbf" + parts.index
        return parts.file()

    def trailing(parts: Parts) -> bytes:
        parts.index += b"{}"
        return parts.file()

    def no_object(parts: Parts) -> bytes:
        parts.index = b"[]"
        return parts.file()

    for make in (bom, trailing, no_object):
        yield Case(f"index: {make.__name__}", "integrity", make)


def _manifests() -> Iterator[Case]:
    def image(edit: Callable[[Json], object]) -> Make:
        def make(parts: Parts) -> bytes:
            parts.edit(IMAGE, edit)
            return parts.file()

        return make

    def layer(**members: object) -> Make:
        return image(lambda m: m["layers"][0].update(members))

    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    far = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    edits: dict[str, Make] = {
        "a lying media type": image(lambda m: m.update(mediaType=fmt.DOCKER_MANIFEST)),
        "a media type that is null": image(lambda m: m.update(mediaType=None)),
        "schema version 1": image(lambda m: m.update(schemaVersion=1)),
        "schema version as a string": image(lambda m: m.update(schemaVersion="2")),
        "no config": image(lambda m: m.pop("config")),
        "no layers": image(lambda m: m.pop("layers")),
        "layers that are null": image(lambda m: m.update(layers=None)),
        "a foreign layer": layer(mediaType=foreign),
        "a layer that is not distributed": layer(mediaType=far),
        "a layer that is a manifest": layer(mediaType=fmt.OCI_MANIFEST),
        "a config that is an index": image(lambda m: m["config"].update(mediaType=fmt.OCI_INDEX)),
        "urls": layer(urls=["https://example.com/x"]),
        "no urls": layer(urls=[]),
        "data": layer(data="eA=="),
        "a size that is negative": layer(size=-1),
        "a size that is true": layer(size=True),
        "a size that is too large": layer(size=2**53 - 1),
        "a digest in capitals": image(
            lambda m: m["layers"][0].update(digest=m["layers"][0]["digest"].upper())
        ),
        "a sha512": layer(digest="sha512:" + 128 * "0"),
        "a digest that leaves its folder": layer(digest="sha256:../../../../etc/passwd"),
        "annotations that are no strings": layer(annotations={"a": 1}),
        "a descriptor that is no object": image(lambda m: m["layers"].append("x")),
        "an artifact type that is no string": image(lambda m: m.update(artifactType=1)),
        "a platform that is no object": image(lambda m: m["config"].update(platform="linux")),
    }
    for name, make in edits.items():
        yield Case(f"manifest: {name}", "integrity", make)

    def two_sizes(parts: Parts) -> bytes:
        parts.edit(IMAGE, lambda m: m["layers"].append(m["layers"][0] | {"size": 1}))
        return parts.file()

    def manifest_as_layer(parts: Parts) -> bytes:
        top = parts.entry("models/")
        copy = {"mediaType": fmt.OCI_LAYER, "digest": top["digest"], "size": top["size"]}
        parts.edit(IMAGE, lambda m: m["layers"].append(copy))
        return parts.file()

    def nested_too_deep(parts: Parts) -> bytes:
        top = parts.entry(IMAGE)
        child = {key: top[key] for key in ("mediaType", "digest", "size")}
        at = next(
            n for n, (name, _) in enumerate(parts.blobs) if name.endswith(child["digest"][7:])
        )
        for _ in range(5):
            index = strictjson.canonical(
                {"schemaVersion": 2, "mediaType": fmt.OCI_INDEX, "manifests": [child]}
            )
            parts.blobs.insert(at, (f"blobs/sha256/{Digest.of(index).hex}", index))
            child = {
                "mediaType": fmt.OCI_INDEX,
                "digest": str(Digest.of(index)),
                "size": len(index),
            }
        name = f"{IMAGE}@{child['digest']}"

        def point(index: Json) -> None:
            entry = index["manifests"][1]
            entry.update(child)
            entry["annotations"][fmt.REF_NAME] = name

        parts.edit_index(point)
        return parts.file()

    for make in (two_sizes, manifest_as_layer, nested_too_deep):
        yield Case(f"manifest: {make.__name__}", "integrity", make)


def _entries() -> Iterator[Case]:
    def index(edit: Callable[[list[Json]], object]) -> Make:
        def make(parts: Parts) -> bytes:
            parts.edit_index(lambda value: edit(value["manifests"]))
            return parts.file()

        return make

    def named(position: int, name: str) -> Make:
        return index(lambda m: m[position]["annotations"].update({fmt.REF_NAME: name}))

    edits: dict[str, Make] = {
        "none": index(lambda m: m.clear()),
        "the bundle is missing": index(lambda m: m.pop(0)),
        "the bundle is not first": index(lambda m: m.insert(0, m.pop(1))),
        "an image twice": index(lambda m: m.insert(1, m[1])),
        "a model is missing": index(lambda m: m.pop(2)),
        "a ModelPack is missing": index(lambda m: m.pop(3)),
        "files are missing": index(lambda m: m.pop(4)),
        "models before images": index(lambda m: m.insert(1, m.pop(2))),
        "no name": index(lambda m: m[1].pop("annotations")),
        "an image with another digest": named(1, f"{IMAGE}@sha256:{64 * '0'}"),
        "an image without host": named(1, "server@sha256:" + 64 * "0"),
        "a model with another name": named(2, "models/other"),
        "a model that is no label": named(2, "models/../x"),
        "an artifact type too many": index(lambda m: m[1].update(artifactType="x/y")),
        "an artifact type too few": index(lambda m: m[3].pop("artifactType")),
        "another artifact type": index(lambda m: m[4].update(artifactType="x/y")),
        "a lying media type": index(lambda m: m[1].update(mediaType=fmt.OCI_INDEX)),
        "an unknown media type": index(lambda m: m[1].update(mediaType="text/plain")),
        "another size": index(lambda m: m[1].update(size=m[1]["size"] + 1)),
    }
    for name, make in edits.items():
        yield Case(f"entries: {name}", "integrity", make)

    def no_lock(parts: Parts) -> bytes:
        def rename(manifest: Json) -> None:
            manifest["layers"][0]["annotations"][fmt.TITLE] = "lock"

        parts.edit("bundle", rename)
        return parts.file()

    def title_twice(parts: Parts) -> bytes:
        parts.edit("bundle", lambda m: m["layers"].append(m["layers"][0]))
        return parts.file()

    def config(edit: Callable[[Json], object]) -> Make:
        def make(parts: Parts) -> bytes:
            digest = parts.manifest("bundle")["config"]["digest"]
            value = json.loads(parts.blob(digest))
            edit(value)
            parts.replace(digest, strictjson.canonical(value))
            return parts.file()

        return make

    more: dict[str, Make] = {
        "no lock": no_lock,
        "a title twice": title_twice,
        "config of another name": config(lambda c: c.update(name="other")),
        "config of another version": config(lambda c: c.update(version="2.0.0")),
        "config of a later format": config(lambda c: c.update(formatVersion=2)),
        "config with an unknown member": config(lambda c: c.update(x=1)),
        "config without targets": config(lambda c: c.pop("targets")),
        "config with targets that are no strings": config(lambda c: c.update(targets=[1])),
        "config with tools that are no strings": config(lambda c: c.update(tools={"a": 1})),
    }
    for name, make in more.items():
        yield Case(f"bundle: {name}", "integrity", make)


def _locks() -> Iterator[Case]:
    def lock(edit: Callable[[Json], object]) -> Make:
        def make(parts: Parts) -> bytes:
            digest = parts.manifest("bundle")["layers"][0]["digest"]
            value = json.loads(parts.blob(digest))
            edit(value)
            parts.replace(digest, strictjson.canonical(value))
            return parts.file()

        return make

    def path(text: str) -> Make:
        return lock(lambda k: k["models"][0]["files"][0].update(path=text))

    def twin(value: Json) -> None:
        value["models"].append(value["models"][0])

    def again(value: Json) -> None:
        value["models"][0]["files"].insert(1, value["models"][0]["files"][0])

    def folder(value: Json) -> None:
        file = value["models"][0]["files"][0]
        value["models"][0]["files"].insert(1, file | {"path": file["path"] + "/x"})

    makes: dict[str, Make] = {
        "a model is missing": lock(lambda k: k["models"].clear()),
        "a model twice": lock(twin),
        "an image is missing": lock(lambda k: k["images"].clear()),
        "an image with another size": lock(lambda k: k["images"][0].update(size=1)),
        "an image with another digest": lock(
            lambda k: k["images"][0].update(digest="sha256:" + 64 * "0")
        ),
        "a file set is missing": lock(lambda k: k["files"].clear()),
        "a file with another digest": lock(
            lambda k: k["files"][0]["files"][0].update(digest="sha256:" + 64 * "0")
        ),
        "a file with another path": lock(lambda k: k["files"][0]["files"][0].update(path="x")),
        "a model's file of another size": lock(lambda k: k["models"][0]["files"][0].update(size=4)),
        "a model's file with another name": path("config.jsom"),
        "a model without files": lock(lambda k: k["models"][0].update(files=[])),
        "a model's file twice": lock(again),
        "a file for a folder": lock(folder),
        "files out of order": lock(lambda k: k["models"][0]["files"].reverse()),
        "no models": lock(lambda k: k.pop("models")),
        "models that are no array": lock(lambda k: k.update(models={})),
    }
    bad = ("/etc/x", "../x", "a/../x", "./x", "a//b", "", ".wh.x", "a/.wh..wh..opq", "a\\b", "a:b")
    makes |= {f"path {text!r}": path(text) for text in (*bad, "a\nb", "a\x7f", 1025 * "n")}
    for name, make in makes.items():
        yield Case(f"lock: {name}", "integrity", make)


def rearranged(good: bytes, members: list[tuple[str, int, int]]) -> Iterator[tuple[str, bytes]]:
    """Every member removed, doubled, renamed, moved, with the framing left as it was.

    `members` are name, first and last byte (framing and padding included) in the order of `good`.
    """
    for number, (name, start, end) in enumerate(members):
        piece = good[start:end]
        yield f"removed: {name}", good[:start] + good[end:]
        yield f"doubled: {name}", good[:end] + piece + good[end:]
        if number + 1 < len(members):
            yield f"moved to the end: {name}", good[:start] + good[end : -len(END)] + piece + END
        renamed = bytearray(good)
        at = good.index(name.encode(), start)
        renamed[at + len(name) - 1] ^= 1
        yield f"renamed: {name}", bytes(renamed)
        if number + 1 < len(members):
            _, after, last = members[number + 1]
            yield f"swapped: {name}", good[:start] + good[after:last] + piece + good[last:]
    extra = bytes(BLOCK)
    yield "an empty block in between", good[: members[2][2]] + extra + good[members[2][2] :]
