"""The limit of this machine, by a small program in Go, which is itself held to OpenSSL's speed."""

from __future__ import annotations

import json
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.data import MIB, Data
from benchmarks.measure import Bench, BenchError, Usage, program

THREADS = 2
# The share of OpenSSL's speed that the program must reach: as fast, but for noise.
LEAST = 0.95
_ROUNDS = 5
# So many bytes of a file, and so often: the first of them brings it into memory.
_CACHED = 64 * MIB
_TIMES = 16


@dataclass(frozen=True)
class Run:
    """Bytes of a file that are read once and given to so many sha256; `place`: see main.go."""

    path: str
    offset: int
    size: int
    hashes: int = 1
    place: int = 0


def packing(data: Data) -> list[Run]:
    """What a build can't do without: of a model's bytes two digests, the file's and the layer's."""
    files = [(path, 2) for path in data.weights] + [(path, 1) for path in data.blobs]
    runs: list[Run] = []
    place = 0
    for path, hashes in sorted(files, key=lambda item: -item[0].stat().st_size):
        size = path.stat().st_size
        runs.append(Run(str(path), 0, size, hashes, place))
        place += size
    return runs


def reading(bundle: Path) -> list[Run]:
    """What a verification can't do without: every member of the bundle, hashed once."""
    with tarfile.open(bundle) as tar:
        members = sorted(tar, key=lambda member: -member.size)
    return [Run(str(bundle), member.offset_data, member.size) for member in members]


def limit(
    bench: Bench, plan: Sequence[Run], out: Path | None = None, around: Iterable[Path] = ()
) -> Usage:
    """The plan on two threads, as fast as this machine does it."""
    argv = [program("limit"), str(THREADS), *([str(out)] if out else [])]
    return bench.program(argv, around, _given(plan))


def require_yardstick(file: Path, rounds: int = _ROUNDS, least: float = LEAST) -> list[float]:
    """The share of `openssl dgst`'s speed that the program reaches on one thread, and on two.

    Both read the beginning of `file` again and again, from memory: how fast memory is on a machine
    that others use, too, is then no part of it. The best of some rounds beside OpenSSL's median,
    in turn: what else the machine does takes away and never adds. BenchError when that is less
    than `least`.
    """
    with tempfile.TemporaryDirectory() as folder:
        beginning = Path(folder) / "beginning"
        with file.open("rb") as source:
            beginning.write_bytes(source.read(_CACHED))
        return [_share(beginning, threads, rounds, least) for threads in range(1, THREADS + 1)]


def _share(file: Path, threads: int, rounds: int, least: float) -> float:
    size = file.stat().st_size * _TIMES
    pairs = [(_program(file, threads), _openssl(file, threads)) for _ in range(rounds)]
    ours, theirs = size / min(p[0] for p in pairs), size / statistics.median(p[1] for p in pairs)
    if ours < least * theirs:
        raise BenchError(
            f"the yardstick is none: on {threads} threads it hashes {ours / 1e6:.0f} MB/s of a "
            f"file in memory, expected {least} of openssl's {theirs / 1e6:.0f} MB/s"
        )
    return ours / theirs


def _program(file: Path, threads: int) -> float:
    """Seconds to hash `file` so many times."""
    plan = _given([Run(str(file), 0, file.stat().st_size)] * _TIMES)
    began = time.perf_counter()
    subprocess.run([program("limit"), str(threads)], input=plan, capture_output=True, check=True)
    return time.perf_counter() - began


def _openssl(file: Path, threads: int) -> float:
    """Seconds to hash `file` as often, each thread being a process."""
    argv = [program("openssl"), "dgst", "-sha256", *[str(file)] * (_TIMES // threads)]
    began = time.perf_counter()
    running = [subprocess.Popen(argv, stdout=subprocess.DEVNULL) for _ in range(threads)]
    codes = [each.wait() for each in running]
    spent = time.perf_counter() - began
    if any(codes):
        raise BenchError(f"openssl dgst ended with {max(codes)}")
    return spent


def _given(plan: Sequence[Run]) -> bytes:
    return json.dumps([asdict(run) for run in plan]).encode()
