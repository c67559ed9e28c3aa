"""The limit of this machine, by a small program in Go, which is itself held to OpenSSL's speed."""

from __future__ import annotations

import json
import statistics
import subprocess
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.data import MIB, Data
from benchmarks.measure import Bench, BenchError, Usage, program

THREADS = 2
# The share of OpenSSL's speed that the program must reach: the rest is reading.
LEAST = 0.85
_ROUNDS = 5
_BUFFER = MIB
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
    """The share of `openssl speed` that the program reaches on one thread, and on two.

    It reads the beginning of `file` again and again, from memory.

    Its best of some rounds beside OpenSSL's median, in turn: what else the machine does takes
    away and never adds. BenchError when that is less than `least`.
    """
    plan = [Run(str(file), 0, min(_CACHED, file.stat().st_size))] * _TIMES
    shares = []
    for threads in range(1, THREADS + 1):
        pairs = [(_speed(plan, threads), _openssl(threads)) for _ in range(rounds)]
        ours, theirs = max(pair[0] for pair in pairs), statistics.median(p[1] for p in pairs)
        shares.append(ours / theirs)
        if ours < least * theirs:
            raise BenchError(
                f"the yardstick is none: on {threads} threads it hashes {ours / 1e6:.0f} MB/s of a "
                f"file in memory, expected {least} of openssl's {theirs / 1e6:.0f} MB/s"
            )
    return shares


def _speed(plan: Sequence[Run], threads: int) -> float:
    """Bytes a second, as the program itself measures them."""
    argv = [program("limit"), str(threads)]
    done = subprocess.run(argv, input=_given(plan), capture_output=True, check=True)
    said = json.loads(done.stdout)
    return float(said["bytes"] / said["seconds"])


def _openssl(threads: int) -> float:
    """Bytes a second; the last line of its table ends in thousands of them, say ``1434451.97k``."""
    several = ["-multi", str(threads)] if threads > 1 else []
    options = ["-elapsed", "-seconds", "1", "-evp", "sha256", "-bytes", str(_BUFFER)]
    argv = [program("openssl"), "speed", *several, *options]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1].removesuffix("k")) * 1000


def _given(plan: Sequence[Run]) -> bytes:
    return json.dumps([asdict(run) for run in plan]).encode()
