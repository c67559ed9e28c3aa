"""A folder as one file that Python runs: the same bytes again, and no start in a wrong place.

The files of these tests hold a package of four lines: what is looked at is how it begins.
"""

from __future__ import annotations

import ast
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from bundler.core.errors import ToolError
from bundler.tools import wheels, zipapp_main
from bundler.tools.wheels import PYTHONS
from bundler.tools.zipapp import pack

MACHINE = os.uname().machine
PROGRAM = """\
import os, sys
def main():
    print(os.path.abspath(__file__), sys.flags.isolated, *sys.argv[1:])
"""


@pytest.fixture(name="site")
def made_site(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    site.mkdir()
    (site / "program.py").write_text(PROGRAM)
    return site


@pytest.fixture(name="file")
def packed(tmp_path: Path, site: Path) -> Path:
    file = tmp_path / "program.pyz"
    file.write_bytes(pack(site, "program:main", MACHINE, PYTHONS))
    return file


def start(
    file: Path, *arguments: str, env: Mapping[str, str], python: str | Path = sys.executable
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, file, *arguments], env=dict(env), capture_output=True, text=True, check=False
    )


# --- its bytes --------------------------------------------------------------------------------


def test_made_again_it_has_the_same_bytes(site: Path) -> None:
    """Whatever the times and rights of files are, and the day."""
    first = pack(site, "program:main", MACHINE, PYTHONS)
    os.utime(site / "program.py", (0, 0))
    (site / "program.py").chmod(0o600)
    assert pack(site, "program:main", MACHINE, PYTHONS) == first


def test_nothing_in_it_is_packed_or_has_a_time(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {stat.S_IFREG | 0o644}
    names = [entry.filename for entry in entries]
    assert len(set(names)) == len(names)
    assert file.read_bytes().startswith(b"#!/usr/bin/env python3\nPK")


def test_without_shiv_there_is_none(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "find_spec", lambda _: None)
    with pytest.raises(ToolError, match="shiv: expected it beside this Python"):
        pack(site, "program:main", MACHINE, PYTHONS)


# --- where it unpacks -------------------------------------------------------------------------


def test_it_is_unpacked_once_into_the_users_cache(file: Path, tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path / "home")}
    first = start(file, "one", env=env)
    cache = tmp_path / "home" / ".cache" / "airbundle" / "installer"
    assert first.stdout.startswith(str(cache))
    assert first.stdout.endswith(" 0 one\n")
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert start(file, "one", env=env).stdout == first.stdout


def test_without_a_home_it_leaves_nothing_behind(file: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = start(file, "x", env={"HOME": "/proc", "TMPDIR": str(temporary)})
    assert done.stdout.startswith(f"{temporary}/airbundle-")
    assert not list(temporary.iterdir())


def test_a_cache_that_others_may_write_is_not_used(file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "home" / ".cache" / "airbundle" / "installer"
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    env = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path)}
    assert start(file, env=env).stdout.startswith(f"{tmp_path}/airbundle-")
    assert not list(cache.iterdir())


@pytest.mark.needs("root")
def test_a_cache_of_another_user_is_not_used(file: Path, tmp_path: Path) -> None:
    """As sudo has it, which keeps the HOME of who called it."""
    cache = tmp_path / "home" / ".cache" / "airbundle" / "installer"
    cache.mkdir(parents=True)
    os.chown(cache, 4711, 4711)
    env = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path)}
    assert start(file, env=env).stdout.startswith(f"{tmp_path}/airbundle-")


def test_a_home_that_others_can_swap_is_not_used(file: Path, tmp_path: Path) -> None:
    """Were the cache in it made by us: it could be renamed, and another put in its place."""
    home = tmp_path / "shared" / "home"
    home.mkdir(parents=True)
    env = {"HOME": str(home), "TMPDIR": str(tmp_path)}
    home.parent.chmod(0o777)
    assert start(file, env=env).stdout.startswith(f"{tmp_path}/airbundle-")
    assert os.listdir(home) == []
    home.parent.chmod(0o1777)
    assert start(file, env=env).stdout.startswith(f"{home}/.cache/airbundle/")
    assert (home / ".cache").stat().st_mode & 0o777 == 0o700


def test_a_home_of_another_user_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = str(tmp_path / "home" / ".cache")
    assert zipapp_main._kept_from_others(home)
    lstat = os.lstat

    def of_another(path: str) -> os.stat_result:
        fields = list(lstat(path))
        fields[4] = 4711 if path == str(tmp_path) else fields[4]
        return os.stat_result(fields)

    monkeypatch.setattr(os, "lstat", of_another)
    assert not zipapp_main._kept_from_others(home)


def test_other_packages_of_the_user_do_not_come_first(file: Path, tmp_path: Path) -> None:
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "program.py").write_text("def main(): print('evil')\n")
    env = {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(tmp_path / "evil")}
    done = start(file, "--flag", "a b", env=env)
    assert done.stdout.endswith("/program.py 1 --flag a b\n"), done.stderr


# --- where it does not start ------------------------------------------------------------------


def refuses(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2
    first, hint = done.stderr.splitlines()
    assert first.startswith("error: program.pyz: expected ")
    assert hint.startswith("hint: ")
    for word in words:
        assert word in done.stderr


def test_another_machine_is_refused(tmp_path: Path, site: Path) -> None:
    file = tmp_path / "program.pyz"
    file.write_bytes(pack(site, "program:main", "s390x", PYTHONS))
    refuses(start(file, env={"HOME": str(tmp_path)}), "expected s390x, found", MACHINE)
    assert not (tmp_path / ".cache").exists()


def call(file: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """`main` in this process, for what is no property of it; the code it leaves with."""
    monkeypatch.setattr(sys, "argv", [str(file)])
    monkeypatch.setattr(os, "environ", {})
    inside = SimpleNamespace(bootstrap=lambda: None)
    monkeypatch.setitem(sys.modules, "_bootstrap", inside)
    with pytest.raises(SystemExit) as left:
        zipapp_main.main()
    assert isinstance(left.value.code, int)
    return left.value.code


def test_an_older_python_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18, "final", 0))
    assert call(file, monkeypatch) == 2
    assert "expected CPython 3.11, 3.12, 3.13, 3.14, found cpython 3.9\n" in capsys.readouterr().err


def test_another_kind_of_python_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "abiflags", "t")
    assert call(file, monkeypatch) == 2
    assert f"found cpython 3.{sys.version_info.minor}t\n" in capsys.readouterr().err
    monkeypatch.setattr(sys, "abiflags", "")
    monkeypatch.setattr(sys, "implementation", SimpleNamespace(name="pypy"))
    assert call(file, monkeypatch) == 2
    assert "found pypy 3." in capsys.readouterr().err


def test_an_older_python_can_read_it(file: Path) -> None:
    """So that what it says is a sentence; Red Hat's python3 was 3.6 for long."""
    with zipfile.ZipFile(file) as archive:
        text = archive.read("__main__.py").decode()
    assert ast.parse(text, feature_version=(3, 6)).body


def test_another_libc_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in ("glibc 2.17", None):
        monkeypatch.setattr(os, "confstr", lambda _, found=version: found)
        assert call(file, monkeypatch) == 2
        assert "program.pyz: expected glibc 2.28 or later" in capsys.readouterr().err


def test_a_mount_from_which_nothing_runs_is_no_place(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    mount = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _: _Mount(mount.f_flag | os.ST_NOEXEC))
    monkeypatch.setattr(zipapp_main, "_caches", lambda: [str(tmp_path / "cache")])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert call(file, monkeypatch) == 2
    assert "mounted noexec\nhint: set TMPDIR" in capsys.readouterr().err


class _Mount:
    def __init__(self, flags: int) -> None:
        self.f_flag = flags
