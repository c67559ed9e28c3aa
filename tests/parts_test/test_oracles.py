"""The judges from outside say yes to what is right, and no to what isn't."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

Tool = Callable[[str], Path]
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

TYPE = "application/vnd.in-toto+json"
PAYLOAD = b'{"hello": "world"}'


def make_key(name: str) -> Key:
    if name == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1() if name == "p256" else ec.SECP384R1())


def sign(key: Key, payload: bytes) -> bytes:
    # https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
    message = b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    wide = key.curve.key_size > 256
    return key.sign(message, ec.ECDSA(hashes.SHA384() if wide else hashes.SHA256()))


def spki(key: Key, encoding: serialization.Encoding) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, form)


def key_id(key: Key) -> str:
    return hashlib.sha256(spki(key, serialization.Encoding.DER)).hexdigest()


def write_keys(folder: Path, keys: list[Key]) -> list[Path]:
    paths = [folder / f"{number}.pub" for number in range(len(keys))]
    for path, key in zip(paths, keys, strict=True):
        path.write_bytes(spki(key, serialization.Encoding.PEM))
    return paths


def write_envelope(folder: Path, keys: list[Key], signed: bytes = PAYLOAD) -> Path:
    signatures = [
        {"keyid": key_id(key), "sig": base64.b64encode(sign(key, signed)).decode()} for key in keys
    ]
    path = folder / "envelope.json"
    payload = base64.b64encode(PAYLOAD).decode()
    content = {"payloadType": TYPE, "payload": payload, "signatures": signatures}
    path.write_text(json.dumps(content))
    return path


def dsse_check(tool: Tool, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool("dsse-check"), *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.needs("dsse-check")
@pytest.mark.parametrize("algorithm", ["p256", "p384", "ed25519"])
def test_dsse_check_knows_the_algorithm(tool: Tool, tmp_path: Path, algorithm: str) -> None:
    key = make_key(algorithm)
    paths = write_keys(tmp_path, [key])
    good = dsse_check(tool, write_envelope(tmp_path, [key]), *paths)
    assert (good.returncode, good.stdout) == (0, f"{key_id(key)}\n")
    bad = dsse_check(tool, write_envelope(tmp_path, [key], b"other"), *paths)
    assert (bad.returncode, bad.stdout) == (1, "")


@pytest.mark.needs("dsse-check")
def test_dsse_check_counts_keys(tool: Tool, tmp_path: Path) -> None:
    keys = [make_key(name) for name in ("p256", "p384", "ed25519")]
    paths = write_keys(tmp_path, keys)
    envelope = write_envelope(tmp_path, keys[:2])
    two = dsse_check(tool, "-threshold", "2", envelope, *paths)
    assert two.returncode == 0
    assert sorted(two.stdout.split()) == sorted(key_id(key) for key in keys[:2])
    assert dsse_check(tool, "-threshold", "3", envelope, *paths).returncode == 1


@pytest.mark.needs("dsse-check")
def test_dsse_check_counts_one_key_once(tool: Tool, tmp_path: Path) -> None:
    key = make_key("p256")
    path = write_keys(tmp_path, [key])[0]
    envelope = write_envelope(tmp_path, [key, key])
    assert dsse_check(tool, "-threshold", "2", envelope, path, path).returncode == 1


@pytest.mark.needs("kustomize", "crane", "cosign")
@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["kustomize", "version"], r"v5\.\d+\.\d+"),
        (["crane", "validate", "--help"], r"--remote"),
        (["cosign", "verify-blob-attestation", "--help"], r"--key"),
    ],
)
def test_the_tools_are_the_right_ones(tool: Tool, argv: list[str], says: str) -> None:
    done = subprocess.run([tool(argv[0]), *argv[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert re.search(says, done.stdout)


@pytest.mark.needs("kustomize")
def test_kustomize_renders(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [a.yaml]\nnamePrefix: p-\n")
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n")
    done = subprocess.run(
        [tool("kustomize"), "build", tmp_path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "name: p-one" in done.stdout) == (0, True)
