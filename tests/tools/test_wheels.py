"""Wheels by a lock: what pip is asked, what it refuses, and what is laid out of them."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from bundler.core.errors import ToolError
from bundler.tools import wheels
from bundler.tools.wheels import PYTHONS, core_lock, fetch, unpack

HASH = "0" * 64
LOCK = f"""\
# This file was made.
colour==1.0 ; sys_platform == 'win32' \\
    --hash=sha256:{HASH}
    # via airbundle
one==1.0 ; python_full_version < '3.15' \\
    --hash=sha256:{HASH}
two-more==2.0 \\
    --hash=sha256:{HASH}
"""


class Recorder:
    """A pip that keeps what it was given."""

    def __init__(self, *gives: str) -> None:
        self.gives = gives
        self.asked: list[tuple[str, str]] = []
        self.argv: list[str] = []
        self.env: dict[str, str] = {}
        self.requirements = ""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 0,
    ) -> bytes:
        self.argv, self.env = list(argv), dict(env or {})
        self.requirements = Path(argv[argv.index("--requirement") + 1]).read_text()
        self.asked.append((argv[-3].partition("=")[2], self.requirements))
        for name in self.gives:
            (Path(argv[argv.index("--dest") + 1]) / name).touch()
        return b""


def make_wheel(folder: Path, name: str, files: Mapping[str, bytes]) -> Path:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for each, data in files.items():
            archive.writestr(each, data)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Name: {name}\nVersion: 1.0\n")
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return path


def lock_of(wheel: Path) -> str:
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"{wheel.name.split('-')[0]}==1.0 \\\n    --hash=sha256:{digest}\n"


# --- what pip is asked ------------------------------------------------------------------------


def test_conditions_are_judged_for_linux_and_not_for_the_python_that_runs(tmp_path: Path) -> None:
    pip = Recorder()
    fetch(LOCK, "x86_64", tmp_path, run=pip)
    assert pip.requirements == (
        f"one==1.0 \\\n    --hash=sha256:{HASH}\ntwo-more==2.0 \\\n    --hash=sha256:{HASH}\n"
    )


def test_what_is_for_one_python_is_asked_for_each(tmp_path: Path) -> None:
    abi = "two_more-2.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    pip = Recorder(abi, "one-1.0-cp311-abi3-manylinux_2_28_x86_64.whl")
    fetch(LOCK, "x86_64", tmp_path, run=pip)
    assert [python for python, _ in pip.asked] == list(PYTHONS)
    assert {asked for _, asked in pip.asked[1:]} == {
        f"two-more==2.0 \\\n    --hash=sha256:{HASH}\n"
    }


def test_pip_is_asked_for_wheels_by_hash_alone(tmp_path: Path) -> None:
    pip = Recorder()
    fetch(LOCK, "aarch64", tmp_path, run=pip)
    assert pip.argv[:4] == [sys.executable, "-P", "-m", "pip"]
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(pip.argv)
    assert [word for word in pip.argv if word.startswith("--platform=")] == [
        "--platform=manylinux_2_28_aarch64",
        "--platform=manylinux_2_17_aarch64",
        "--platform=manylinux2014_aarch64",
    ]
    assert "--no-index" not in pip.argv


def test_pip_has_its_own_settings_and_nothing_else(tmp_path: Path) -> None:
    pip = Recorder()
    given = {
        "PIP_INDEX_URL": "https://index.corp/simple",
        "https_proxy": "http://proxy.corp:3128",
        "HOME": "/home/me",
        "PYTHONPATH": "/home/me/lib",
        "AIRBUNDLE_KEY_PASSPHRASE": "secret",
    }
    fetch(LOCK, "x86_64", tmp_path, run=pip, environ=given)
    assert pip.env.keys() == {"PIP_INDEX_URL", "https_proxy", "HOME"}


def test_a_folder_of_wheels_is_instead_of_the_index(tmp_path: Path) -> None:
    pip = Recorder()
    fetch(LOCK, "x86_64", tmp_path, tmp_path / "wheels", run=pip)
    assert "--no-index" in pip.argv
    assert pip.argv[pip.argv.index("--find-links") + 1] == str(tmp_path / "wheels")


def test_the_lock_is_that_of_the_core() -> None:
    lock = core_lock()
    assert "\ncryptography==" in lock
    assert "checkov" not in lock


# --- what pip refuses ---------------------------------------------------------------------------


def test_a_wheel_with_its_hash_is_taken(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "one", {"one.py": b"1\n"})
    fetch(lock_of(wheel), "x86_64", tmp_path / "got", tmp_path)
    assert (tmp_path / "got" / wheel.name).read_bytes() == wheel.read_bytes()


def test_a_wheel_with_another_hash_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "one", {"one.py": b"1\n"})
    lock = lock_of(wheel)
    make_wheel(tmp_path, "one", {"one.py": b"2\n"})
    with pytest.raises(ToolError, match=r"(?s)DO NOT MATCH THE HASHES.*Expected sha256"):
        fetch(lock, "x86_64", tmp_path / "got", tmp_path)
    assert not list(tmp_path.glob("got/*"))


def test_a_wheel_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="the locked wheels can't be had") as caught:
        fetch(LOCK, "x86_64", tmp_path / "got", tmp_path)
    assert "one==1.0" in caught.value.message
    assert caught.value.hint == "`make wheelhouse` makes such a folder"


def test_an_index_that_does_not_answer_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    environ = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}
    with pytest.raises(ToolError, match="the locked wheels can't be had") as caught:
        fetch(LOCK, "x86_64", tmp_path / "got", environ=environ)
    assert "pip.conf" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["pip", "shiv"])
def test_a_missing_program_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "find_spec", lambda _: None)
    with pytest.raises(ToolError, match=f"{name}: expected it beside this Python") as caught:
        wheels.require(name)
    assert "pip install '.[build]' in a clone" in str(caught.value.hint)


# --- what is laid out ---------------------------------------------------------------------------


def test_of_what_is_for_one_python_alone_the_needed_stays(tmp_path: Path) -> None:
    make_wheel(
        tmp_path,
        "one",
        {
            "one/__init__.py": b"",
            "one/fast.cpython-311-x86_64-linux-gnu.so": b"ELF",
            "one/rust.abi3.so": b"ELF",
            "one/WHEEL": b"an ordinary file",
            "_cffi_backend.cpython-311-x86_64-linux-gnu.so": b"ELF",
        },
    )
    site = tmp_path / "site"
    unpack(tmp_path, site)
    assert sorted(str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()) == [
        "_cffi_backend.cpython-311-x86_64-linux-gnu.so",
        "one-1.0.dist-info/METADATA",
        "one/WHEEL",
        "one/__init__.py",
        "one/rust.abi3.so",
    ]


def test_a_wheel_that_wants_something_elsewhere_is_refused(tmp_path: Path) -> None:
    make_wheel(tmp_path, "one", {"one-1.0.data/scripts/run": b""})
    with pytest.raises(ToolError, match=r"one-1\.0-py3-none-any\.whl: expected nothing but pack"):
        unpack(tmp_path, tmp_path / "site")


def test_two_wheels_with_the_same_file_are_one(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_wheel(tmp_path, name, {"same.py": b"1\n"})
    unpack(tmp_path, tmp_path / "site")
    assert (tmp_path / "site" / "same.py").read_bytes() == b"1\n"


def test_two_wheels_that_differ_in_a_file_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_wheel(tmp_path, name, {"same.py": name.encode()})
    with pytest.raises(ToolError, match=r"two-1.*: same\.py is in another wheel already"):
        unpack(tmp_path, tmp_path / "site")


@pytest.mark.needs("core-wheels")
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_core_is_for_every_python(tmp_path: Path, core_wheels: Path, machine: str) -> None:
    """Of compiled modules one for all of them, and one for each."""
    unpack(core_wheels / machine, tmp_path)
    compiled = sorted(path.name.split("-linux")[0] for path in tmp_path.rglob("*.so"))
    versions = [python.replace(".", "") for python in PYTHONS]
    assert compiled == [
        *(f"_cffi_backend.cpython-{version}-{machine}" for version in versions),
        "_rust.abi3.so",
    ]
    assert (tmp_path / "yaml" / "__init__.py").is_file()
