"""checkov: found beside this Python or on PATH, and run once over a private folder of objects.

It runs without a network to ask, with an empty home and an environment of its own. What its own
output can't prove, `checkov_probe` proves from within it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from bundler.core.errors import ToolError
from bundler.tools import process
from bundler.tools.process import Runner

# A cluster's worth of objects takes seconds; one object that sends a check round and round, hours.
TIMEOUT = 600.0
_PROBE = "AIRBUNDLE_PROBE"
# No bundle can have an object in such a namespace. Any pod so bad makes many checks fail.
_PROBE_FILE = "probe/0.json"
_PROBE_OBJECT = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "probe", "namespace": "airbundle.invalid"},
    "spec": {
        "hostNetwork": True,
        "containers": [{"name": "probe", "image": "x", "securityContext": {"privileged": True}}],
    },
}
# checkov loads the parser of Terraform's language whatever it is asked, which takes a second to
# make, and is kept as a pickle. All that it uses of it for Kubernetes are these two names.
_HCL = b'START_LINE, END_LINE = "__start_line__", "__end_line__"\n'
_REMEDY = "pip install '.[build]' in a clone, on the connected side, brings one known to work"


@dataclass(frozen=True, order=True)
class Failure:
    """A check that an object failed: the object's file, the check's id and name, and the places
    in the object that checkov names (``spec/containers/[0]/image``), if it names any.
    """

    file: str
    check: str
    name: str
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scan:
    """What checkov says: `looked_at` are the files that it did look at; `own` are the ids of its
    own checks, `extra` those of the others by the file they stand in, `complaints` its warnings.
    """

    failures: tuple[Failure, ...]
    looked_at: frozenset[str]
    own: frozenset[str]
    extra: Mapping[str, tuple[str, ...]]
    complaints: tuple[str, ...]


@dataclass(frozen=True)
class Checkov:
    """A checkov that is there: its path, its version (``3.3.30``)."""

    program: str
    version: str
    run: Runner = field(default=process.run, repr=False, compare=False)

    def scan(
        self,
        objects: Mapping[str, Mapping[str, Any]],
        checks: Mapping[str, bytes],
        skip: Sequence[str],
    ) -> Scan:
        """What it finds in `objects`, by a file's name below a folder (``0/12.json``).

        Objects in one folder belong together. `checks` are files of extra checks (``x.py``,
        ``x.yaml``), `skip` ids of checks that are not asked. ToolError when it fails, or says
        what can't be read.
        """
        with tempfile.TemporaryDirectory(prefix="airbundle-") as temporary:
            root = Path(temporary).resolve()
            _write(root, objects, checks)
            try:
                output = self.run(
                    (self.program, *_arguments(skip)),
                    cwd=root / "objects",
                    env=_environment(root),
                    timeout=TIMEOUT,
                )
            except ToolError as error:
                raise ToolError(error.message.replace(f"{root}/", "")) from error
        return _parse(output, self.version)


def find_checkov(run: Runner = process.run, path: str | None = None) -> Checkov:
    """The checkov beside this Python, else the first on `path` (by default PATH).

    ToolError when there is none, or it does not say its version.
    """
    beside = os.path.dirname(sys.executable)
    program = shutil.which("checkov", path=beside) if path is None else None
    program = program or shutil.which("checkov", path=path)
    if program is None:
        raise ToolError("checkov: found neither beside this Python nor on PATH", _REMEDY)
    return Checkov(program, _installed(program) or _asked(program, run), run)


def _installed(program: str) -> str | None:
    """Its version by what pip wrote beside it, since to ask takes it seconds; None when unclear."""
    prefix = Path(program).resolve().parent.parent
    names = [each.stem for each in prefix.glob("lib/python3*/site-packages/checkov-*.dist-info")]
    return names[0].removeprefix("checkov-") if len(names) == 1 else None


def _asked(program: str, run: Runner) -> str:
    with tempfile.TemporaryDirectory(prefix="airbundle-") as temporary:
        root = Path(temporary)
        answer = run((program, "--version"), cwd=root, env=_environment(root))
    words = answer.decode("utf-8", "replace").split()
    if len(words) != 1 or not words[0][:1].isdigit():
        raise ToolError(f"{program}: expected its version, found {' '.join(words)[:100]!r}")
    return words[0]


def _arguments(skip: Sequence[str]) -> Iterator[str]:
    # A relative folder: its own may lie below one that checkov takes for hidden, and passes over.
    yield from ("--directory", ".", "--framework", "kubernetes", "--skip-download")
    # Failed checks are an answer and no failure: another status than 0 is one, then.
    yield from ("--output", "json", "--compact", "--quiet", "--soft-fail")
    yield from ("--external-checks-dir", "../probe", "--external-checks-dir", "../checks")
    if skip:
        yield from ("--skip-check", ",".join(skip))


def _environment(root: Path) -> dict[str, str]:
    names = ("HOME", "PATH", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    (root / "empty").mkdir(exist_ok=True)
    return dict.fromkeys(names, str(root / "empty")) | {
        # One process; it takes no more than the two cores that others want, too.
        "CHECKOV_PARALLELIZATION_TYPE": "none",
        # Larger files are read as JSON, in no time; all others as YAML 1.1, which takes seconds.
        "CHECKOV_MAX_IAC_FILE_SIZE": "0",
        # Else it asks pypi.org whether it is the newest, whatever --skip-download says.
        "CKV_SKIP_PACKAGE_UPDATE_CHECK": "true",
        "LOG_LEVEL": "WARNING",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(root / "instead"),
        "PYTHONWARNINGS": "ignore",
    }


def _write(
    root: Path, objects: Mapping[str, Mapping[str, Any]], checks: Mapping[str, bytes]
) -> None:
    for name, obj in {**objects, _PROBE_FILE: _PROBE_OBJECT}.items():
        path = root / "objects" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # A list, and lines of its own for the brackets: so the reader of large files takes it.
        path.write_text(f"[\n{json.dumps(obj)}\n]\n", encoding="utf-8")
    probe = (resources("bundler.tools") / "checkov_probe.py").read_bytes()
    for folder, files in (
        ("instead", {"hcl2.py": _HCL}),
        ("probe", {"airbundle_probe.py": probe}),
        ("checks", checks),
    ):
        (root / folder).mkdir()
        for name, data in {"__init__.py": b"", **files}.items():
            (root / folder / name).write_bytes(data)


def _parse(output: bytes, version: str) -> Scan:
    try:
        report = json.loads(output)
        found = report["summary"]["checkov_version"]
        failures = [_failure(each) for each in report["results"]["failed_checks"]]
        [answer] = [f for f in failures if (f.check, f.file) == (_PROBE, _PROBE_FILE)]
        said = json.loads(answer.places[0])
        scan = Scan(
            tuple(sorted({f for f in failures if f.check != _PROBE and f.file != _PROBE_FILE})),
            frozenset(f.file for f in failures if f.check == _PROBE and f is not answer),
            frozenset(said["own"]),
            {name: tuple(sorted(set(ids))) for name, ids in sorted(said["extra"].items())},
            tuple(said["complaints"]),
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ToolError(
            f"checkov: expected a report with the probe's answer, found {output[:200]!r}", _REMEDY
        ) from error
    if found != version:
        raise ToolError(f"checkov: expected version {version}, as it is installed, found {found}")
    if not any(f.file == _PROBE_FILE and f.check in scan.own for f in failures):
        raise ToolError(
            "checkov: expected it to find fault with a privileged pod, found nothing",
            "the policy skips so many checks that none is left",
        )
    return scan


def _failure(record: Mapping[str, Any]) -> Failure:
    return Failure(
        str(record["file_path"]).removeprefix("/"),
        str(record["check_id"]),
        str(record["check_name"]),
        tuple(sorted(str(place) for place in record["check_result"]["evaluated_keys"])),
    )
