"""The statement of OpenSSF model signing: which files, with which digests, make up a model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from bundler.core import strictjson
from bundler.core.lock import LockedFile

PREDICATE_TYPE = "https://model_signing/signature/v1.0"


def model_statement(name: str, files: Sequence[LockedFile]) -> bytes:
    """An in-toto Statement v1 over `files`, as the PyPI package `model-signing` makes it.

    The subject's digest is the sha256 of the files' raw digests, in the order of their names:
    folder by folder, as pathlib has it, so that `a/b` comes before `a-b`. Nothing is ignored, and
    then the library leaves `ignore_paths` out.
    Source: https://github.com/sigstore/model-transparency, `signing.py` and `manifest.py`.
    """
    ordered = sorted(files, key=lambda file: file.path.split("/"))
    whole = hashlib.sha256(b"".join(bytes.fromhex(file.digest.hex) for file in ordered))
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": whole.hexdigest()}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
            },
            "resources": [
                {"name": file.path, "algorithm": "sha256", "digest": file.digest.hex}
                for file in ordered
            ],
        },
    }
    return strictjson.canonical(statement)
