"""OpenSSF's own library for signing models, the PyPI package `model-signing`, as a judge."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from model_signing import hashing, signing


def signed_by_the_library(folder: Path, scratch: Path) -> Any:
    """What a signature of the library over `folder` says, nothing in it ignored."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (scratch / "library.key").write_bytes(pem)
    everything = hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False)  # type: ignore[no-untyped-call]
    signer = signing.Config().use_elliptic_key_signer(private_key=scratch / "library.key")  # type: ignore[no-untyped-call]
    signer.set_hashing_config(everything).sign(folder, scratch / "library.sig")
    bundle = json.loads((scratch / "library.sig").read_text())
    return json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
