"""What a user sees: damaged bundles through the real command line, which leave no trace."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.archive import format as fmt
from bundler.archive.layout import LayoutDestination
from bundler.core import strictjson
from bundler.core.digest import Digest
from bundler.sign.envelope import Envelope, Signature
from bundler.sign.keys import Algorithm, PrivateKey
from bundler.sign.open import open_bundle
from tests.hostile.desk import COMMANDS, NAME, OBJECTS, Desk, Said, arguments, damage
from tests.hostile.forging import Parts
from tests.making import KEY, signed
from tests.releases import LAYERS, Release

ROOT = Path(__file__).parents[2]
OTHER = PrivateKey.generate(Algorithm.P256)
# Every place of a bundle that a message can name.
NAMED = re.compile(
    r"error: .*(airbundle\.sig\.json|signature|slot|oci-layout|index\.json"
    r"|blobs/sha256/[0-9a-f]{64}|the end of the file|is no airbundle bundle)"
)


# --- a flipped bit ----------------------------------------------------------------------------


def flipped(good: bytes, number: int, of: int) -> bytes:
    """One bit of one of `of` bytes that are spread evenly."""
    data = bytearray(good)
    data[len(good) * number // of + number % 61] ^= 1 << (number % 8)
    return bytes(data)


def judge(said: Said, as_json: bool) -> str | None:
    """What is wrong with an answer to a damaged bundle."""
    if said.code not in (3, 4):
        return f"exit code {said.code}"
    if not NAMED.search(said.err):
        return f"nothing named: {said.err}"
    if not as_json:
        return f"printed {said.out!r}" if said.out else None
    error = json.loads(said.out)["error"]
    return None if error["exitCode"] == said.code and error["message"] in said.err else said.out


def test_200_flipped_bits(desk: Desk, good: bytes) -> None:
    wrong = {}
    trust = desk.key(KEY)
    for number in range(200):
        desk.file.write_bytes(flipped(good, number, 200))
        as_json = number % 2 == 1
        said = desk.verify(*trust, *(["--json"] if as_json else []))
        if problem := judge(said, as_json):
            wrong[number] = problem
    assert wrong == {}


def test_24_flipped_bits_in_a_process_of_its_own(desk: Desk, good: bytes) -> None:
    wrong = {}
    trust = desk.key(KEY)
    for number in range(24):
        desk.file.write_bytes(flipped(good, number, 24))
        as_json = number % 2 == 1
        done = subprocess.run(
            [
                *(sys.executable, "-m", "bundler", "verify", str(desk.file), *trust),
                *(["--json"] if as_json else []),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        if problem := judge(Said(done.returncode, done.stdout, done.stderr), as_json):
            wrong[number] = problem
    assert wrong == {}


def test_without_damage_the_same_command_passes(desk: Desk) -> None:
    said = desk.verify()
    assert said.code == 0
    assert "verified  movie-search 1.4.0: TRUSTED" in said.out
    answer = json.loads(desk.verify(*desk.key(KEY), "--json").out)
    assert (answer["status"], answer["signers"]) == ("TRUSTED", [KEY.public.fingerprint])


# --- behaviours 1 to 3: altered, damaged, too much, too little ----------------------------------


def test_an_altered_index_is_refused_before_anything_is_read_from_it(desk: Desk) -> None:
    data = desk.file.read_bytes()
    desk.file.write_bytes(data.replace(b'{"manifests":[', b'{"manifests":{', 1))
    desk.verify().refuses(3, r"error: index\.json: its digest is sha256:.*, signed is sha256:")


def test_a_wrong_signature_is_refused_before_the_index_is_read(desk: Desk) -> None:
    parts = desk.parts
    parts.index = b"this would be no index"
    [good] = signed(parts.stated(), KEY).signatures
    wrong = Signature(good.keyid, bytes(64))
    parts.slot = Envelope(parts.stated(), (wrong,)).slot()
    desk.file.write_bytes(parts.file())
    desk.verify().refuses(4, "slot: the signature by .* is wrong")


def test_a_changed_byte_names_the_blob_and_its_owner(desk: Desk) -> None:
    damage(desk.file, LAYERS[1])
    blob = f"blobs/sha256/{Digest.of(LAYERS[1]).hex}"
    desk.verify().refuses(3, f"{blob} .*registry.corp_5000/team/server@sha256:.*: layer 1")


def extra(parts: Parts) -> bytes:
    parts.add(b"more")
    return parts.file()


def missing(parts: Parts) -> bytes:
    parts.blobs.pop()
    return parts.file()


def twice(parts: Parts) -> bytes:
    parts.blobs.append(parts.blobs[-1])
    return parts.file()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (extra, "the end of the file"),
        (missing, r"blobs/sha256/.* \(files/data: layer train\.jsonl\)|too early"),
        (twice, "the end of the file"),
        (lambda parts: parts.file() + b"\0", r"b\.tar: expected \d+ bytes, found \d+"),
        (
            lambda parts: parts.file()[:-1],
            r"b\.tar: ends too early: has \d+ bytes, expected at least \d+",
        ),
    ],
    ids=["extra", "missing", "twice", "trailing", "cut off"],
)
def test_too_much_and_too_little(make: Callable[[Parts], bytes], message: str, desk: Desk) -> None:
    desk.file.write_bytes(make(desk.parts))
    desk.verify().refuses(3, message)


# --- what is signed, and makes no sense ---------------------------------------------------------


@pytest.mark.parametrize(
    "report",
    [
        b"",
        b"[]",
        b"{}",
        b'{"findings":[]}',
        b'{"findings":{"dev":[1]}}',
        b'{"findings":{"dev":[{"waiver":{}}]}}',
    ],
)
def test_a_report_that_is_none_is_refused(report: bytes, desk: Desk) -> None:
    Release(NAME, OBJECTS, report=report).write(desk.file)
    assert desk.verify().code == 0
    desk.run("inspect", str(desk.file), *desk.key(KEY)).refuses(3, r"report\.json")


# --- no trace ---------------------------------------------------------------------------------


def bad_signature(desk: Desk) -> None:
    parts = desk.parts
    parts.slot = signed(parts.stated(), OTHER).slot()
    desk.file.write_bytes(parts.file())


def bad_index(desk: Desk) -> None:
    parts = desk.parts
    parts.edit_index(lambda index: index["manifests"].pop())
    desk.file.write_bytes(parts.file())


def bad_lock(desk: Desk) -> None:
    damage(desk.file, b'"license"')


def bad_end(desk: Desk) -> None:
    desk.file.write_bytes(desk.file.read_bytes() + b"x")


@pytest.mark.parametrize("damaged", [bad_signature, bad_index, bad_lock, bad_end])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_invalid_bundle_leaves_no_trace(
    command: str, damaged: Callable[[Desk], None], desk: Desk
) -> None:
    damaged(desk)
    trust = desk.key(KEY)
    before = desk.listing()
    said = desk.run(*arguments(command, desk, *trust))
    said.refuses(4 if damaged is bad_signature else 3, "^error: ")
    assert desk.listing() == before
    assert not (desk.folder / "layout").exists()
    assert not (desk.folder / "export").exists()


@pytest.mark.parametrize("command", ["push", "install --export"])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_damaged_layer_reaches_no_layout(layer: bytes, command: str, desk: Desk) -> None:
    """Nothing that failed is kept, and nothing that names it."""
    with open_bundle(desk.file, KEY.public) as bundle:
        [image] = [entry for entry in bundle.entries if entry.kind == "image"]
        manifests = bundle.tree(image).manifests
    damage(desk.file, layer)
    said = desk.run(*arguments(command, desk, *desk.key(KEY)))
    said.refuses(3, f"blobs/sha256/{Digest.of(layer).hex} .*another digest")
    blobs = desk.folder / "layout" / "blobs" / "sha256"
    kept = {path.name for path in blobs.iterdir()}
    assert not kept & {Digest.of(layer).hex, *(each.digest.hex for each in manifests)}
    assert all(Digest.of(path.read_bytes()).hex == path.name for path in blobs.iterdir())
    layout = LayoutDestination(desk.folder / "layout")
    assert layout.tagged(f"bundles/{NAME}", "1.4.0") is None
    assert not (desk.folder / "export").exists()


def test_a_damaged_layer_is_pushed_once_it_was_mended(desk: Desk, good: bytes) -> None:
    damage(desk.file, LAYERS[0])
    push = arguments("push", desk, *desk.key(KEY))
    assert desk.run(*push).code == 3
    desk.file.write_bytes(good)
    assert desk.run(*push).code == 0
    index = strictjson.parse((desk.folder / "layout" / "index.json").read_bytes(), "index.json")
    names = {each["annotations"][fmt.REF_NAME] for each in index["manifests"]}
    assert f"bundles/{NAME}:1.4.0" in names
