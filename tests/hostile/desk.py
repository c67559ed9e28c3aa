"""A folder with a bundle in it, and somebody who types commands there."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bundler.archive import format as fmt
from bundler.cli import main
from bundler.sign.envelope import Envelope
from bundler.sign.keys import PrivateKey
from bundler.sign.slot import sidecar_path
from tests.hostile.forging import Parts, take_apart
from tests.making import KEY
from tests.releases import TARGET, config_map, deployment, namespace

NAME = "movie-search"
OBJECTS = [namespace("serving"), config_map("serving", "one"), deployment("serving", "web")]


@dataclass(frozen=True)
class Desk:
    """A folder with a bundle and public keys, and somebody who types commands there."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def file(self) -> Path:
        return self.folder / "b.tar"

    @property
    def parts(self) -> Parts:
        return take_apart(self.file)

    def run(self, *arguments: str) -> Said:
        code = main.run(arguments)
        captured = self.capsys.readouterr()
        return Said(code, captured.out, captured.err)

    def verify(self, *trust: str) -> Said:
        return self.run("verify", str(self.file), *(trust or self.key(KEY)))

    def key(self, key: PrivateKey) -> tuple[str, str]:
        """The options to trust `key` alone."""
        path = self.folder / f"{key.public.keyid[:8]}.pub"
        path.write_bytes(key.public.pem())
        return "--key", str(path)

    def policy(self, threshold: int, *keys: PrivateKey, **members: object) -> tuple[str, str]:
        """The options to trust a policy of one rule; `members` go into that, or are `revoked`."""
        rule = {
            "names": ["movie-*"],
            "threshold": threshold,
            "keys": [
                {"id": f"key-{number}", "pem": key.public.pem().decode()}
                for number, key in enumerate(keys)
            ],
        }
        revoked = members.pop("revoked", [])
        document = {
            "apiVersion": "airbundle.dev/v1alpha1",
            "kind": "TrustPolicy",
            "rules": [rule | members],
            "revoked": revoked,
        }
        path = self.folder / "trust.yaml"
        path.write_text(json.dumps(document))
        return "--trust", str(path)

    def beside(self, envelope: Envelope | bytes) -> None:
        """Puts a sidecar beside the bundle."""
        data = envelope if isinstance(envelope, bytes) else envelope.dump()
        sidecar_path(self.file).write_bytes(data)

    def listing(self) -> dict[str, bytes]:
        """Everything in the folder."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    def refuses(self, code: int, message: str) -> None:
        """Asserts that it refused with `code` and `message`, and printed no result."""
        assert (self.code, self.out) == (code, "")
        assert re.search(message, self.err)
        assert "Traceback" not in self.err


COMMANDS: dict[str, Sequence[str]] = {
    "verify": (),
    "inspect": (),
    "render": ("--target", TARGET),
    "push": ("--registry", "oci:{folder}/layout"),
    "install": ("--target", TARGET, "--registry", "127.0.0.1:1"),
    "install --export": (
        *("--target", TARGET, "--registry", "oci:{folder}/layout"),
        *("--export", "{folder}/export"),
    ),
}


def arguments(command: str, desk: Desk, *trust: str) -> list[str]:
    rest = [text.format(folder=desk.folder) for text in COMMANDS[command]]
    return [command.split()[0], str(desk.file), *rest, *trust]


def damage(path: Path, content: bytes) -> None:
    """Changes one bit in the middle of `content`, which stands in the file once."""
    data = bytearray(path.read_bytes())
    assert data.count(content) == 1
    data[data.index(content) + len(content) // 2] ^= 1
    path.write_bytes(data)


def empty_slot(desk: Desk) -> None:
    """Takes the signature in the file away; a sidecar stays."""
    data = desk.file.read_bytes()
    desk.file.write_bytes(data[:512] + b" " * fmt.SLOT_SIZE + data[512 + fmt.SLOT_SIZE :])
