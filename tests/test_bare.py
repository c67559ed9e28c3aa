"""The bare far side: the installer file where there is Python and nothing else.

No package beside Python, no network, nothing on PATH; then, as in a loader's container, a root
that nobody can write, a user without a name or a home, and /tmp. Both Pythons of this machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bundler.cli.main import COMMANDS
from bundler.core import yamltext
from bundler.sign.keys import Algorithm, PrivateKey
from tests.parts.components import find_program
from tests.project import Project

pytestmark = pytest.mark.needs("root", "core-wheels")

# The interpreter's whole folder is moved to where everybody may go, since it may be somebody's.
# A tmpfs of its own holds what is carried over; then nothing but /tmp can be written.
_CONTAINER = """\
set -eu
mount --make-rprivate /
mount --bind "$PREFIX" /opt
mount -t tmpfs tmpfs /mnt
cp "$CARRIED"/* /mnt/
chmod -R a+rX /mnt
mount -o remount,ro /mnt
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -o remount,bind,ro /
exec setpriv --reuid 12345 --regid 12345 --clear-groups env -i \
    LD_LIBRARY_PATH=/opt/lib "/opt/bin/$PYTHON" /mnt/airbundle.pyz "$@"
"""
# Every help page in one process: what a page imports is there.
_ALL_HELP = """
import sys
from bundler.cli.main import run
sys.exit(max(run([name, "--help"]) for name in sys.argv[1:]))
"""


@dataclass(frozen=True)
class Bare:
    """A Python without packages. executable: outside of any virtual environment."""

    executable: Path
    carried: Path

    @classmethod
    def of(cls, python: str | Path, carried: Path) -> Bare:
        ask = "import sys; print(sys.base_prefix, '%d.%d' % sys.version_info[:2])"
        said = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
        prefix, version = said.stdout.split()
        return cls(Path(prefix) / "bin" / f"python{version}", carried)

    @property
    def file(self) -> Path:
        return self.carried / "airbundle.pyz"

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """airbundle in a namespace without a network, with nothing on PATH and nothing of site."""
        argv = [_program("unshare"), "--net", self.executable, "-I", "-S", self.file, *words]
        return _start(argv, {"HOME": str(self.carried / "home"), "PATH": "", **env})

    def contained(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The same where the root can't be written, by a user without a home."""
        argv = [_program("unshare"), "--net", "--mount", "sh", "-c", _CONTAINER, "sh", *words]
        prefix = str(self.executable.parent.parent)
        env = {"PREFIX": prefix, "PYTHON": self.executable.name, "CARRIED": str(self.carried)}
        return _start(argv, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **env})


def _program(name: str) -> str:
    return str(find_program(name))


def _start(argv: list[Any], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, env=dict(env), capture_output=True, text=True, check=False)


@pytest.fixture
def carried(tmp_path: Path, project: Project, installer_file: Path) -> Path:
    """What crossed the gap: the installer, a signed bundle, and a key."""
    folder = tmp_path / "carried"
    folder.mkdir()
    (folder / "airbundle.pyz").write_bytes(installer_file.read_bytes())
    key = PrivateKey.generate(Algorithm.P256)
    (folder / "release.pub").write_bytes(key.public.pem())
    project.build(folder / "bundle.tar", key)
    return folder


@pytest.fixture(params=["this", "second"])
def bare(request: pytest.FixtureRequest, carried: Path) -> Bare:
    if request.param == "this":
        return Bare.of(sys.executable, carried)
    return Bare.of(request.getfixturevalue("second_python"), carried)


def trusted(folder: str | Path) -> tuple[str, ...]:
    return f"{folder}/bundle.tar", "--key", f"{folder}/release.pub"


def test_there_is_nothing_but_python(bare: Bare) -> None:
    """Or else the other tests would show nothing."""
    done = _start([bare.executable, "-I", "-S", "-c", "import click"], {})
    assert "ModuleNotFoundError" in done.stderr


def test_every_help_page(bare: Bare) -> None:
    done = bare.run("-c", _ALL_HELP, *COMMANDS, SHIV_INTERPRETER="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: ") == len(COMMANDS)


def test_verify_render_and_export(bare: Bare) -> None:
    verified = bare.run("verify", *trusted(bare.carried), "--json")
    assert json.loads(verified.stdout)["status"] == "TRUSTED", verified.stderr
    assert "Traceback" not in verified.stderr
    rendered = bare.run("render", *trusted(bare.carried), "--target", "site", "--set", "mode=exact")
    objects = yamltext.load_all(rendered.stdout, "the output")
    assert {"mode": "exact"} in [node.value.get("data") for node in objects]
    folder = bare.carried / "export"
    exported = bare.run(
        "install", *trusted(bare.carried), "--target", "site",
        "--registry", f"oci:{bare.carried / 'layout'}", "--export", str(folder),
    )  # fmt: skip
    assert exported.returncode == 0, exported.stderr
    assert (bare.carried / "layout" / "index.json").is_file()
    assert (folder / "kustomization.yaml").is_file()


def test_what_only_the_connected_side_has_is_named(bare: Bare) -> None:
    """Not a traceback: somebody will try."""
    done = bare.run("installer", "-o", str(bare.carried / "again.pyz"))
    assert done.returncode == 6
    assert done.stderr.startswith("error: pip: expected it beside this Python, found none\nhint: ")


def test_in_a_container_with_nothing_but_tmp(bare: Bare) -> None:
    done = bare.contained("verify", *trusted("/mnt"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "TRUSTED"
    assert done.stderr.startswith("reading layers")


def test_a_refusal_in_a_container_keeps_its_code(bare: Bare) -> None:
    done = bare.contained("verify", "/mnt/bundle.tar")
    assert done.returncode == 4
    assert done.stderr.startswith("error: whom to trust: ")
