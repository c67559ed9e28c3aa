"""The keys of a bucket: out of the environment, or of a folder that a Secret is mounted at."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from bundler.core.errors import UsageError
from bundler.core.objects.loaderpods import BUCKET_KEYS

# Names as AWS's own tools have them; a Secret's keys are the same.
ID, SECRET = BUCKET_KEYS
TOKEN = "AWS_SESSION_TOKEN"
FOLDER_VARIABLE = "AIRBUNDLE_BUCKET_KEYS"
_PLAIN = re.compile(r"[\x21-\x7e]{1,4096}")


@dataclass(frozen=True)
class Keys:
    """An access key, its secret, and a session's token where there is one."""

    identity: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


def find_keys() -> Keys:
    """AWS_ACCESS_KEY_ID and the like, else files of these names in AIRBUNDLE_BUCKET_KEYS.

    UsageError when there are none, or they hold what no header can.
    """
    found = {name: _value(name) for name in (ID, SECRET, TOKEN)}
    missing = [name for name in (ID, SECRET) if not found[name]]
    if missing:
        raise UsageError(
            f"keys of the bucket: expected {' and '.join(missing)}, found none",
            f"set {ID} and {SECRET}; in a cluster, the Secret that spec.weights names holds both",
        )
    for name, value in found.items():
        if value and not _PLAIN.fullmatch(value):
            raise UsageError(f"{name}: expected one word of ASCII, found something else")
    return Keys(found[ID], found[SECRET], found[TOKEN])


def _value(name: str) -> str:
    folder = os.environ.get(FOLDER_VARIABLE)
    if os.environ.get(name) or not folder:
        return os.environ.get(name, "")
    try:
        return (Path(folder) / name).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
