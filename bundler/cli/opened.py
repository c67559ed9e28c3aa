"""Opening a bundle for a command that goes on with it, and saying at once when nobody vouched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.cli import output

if TYPE_CHECKING:
    from bundler.archive.bundle import AuthenticatedBundle
    from bundler.sign.trust import Trust

_SAID = {
    "UNSIGNED": "UNSIGNED: nobody vouches for this bundle; only its integrity is checked",
    "UNTRUSTED": "UNTRUSTED: nobody asked who signed this bundle; only its integrity is checked",
}


@contextmanager
def opened(file: Path, trust: Trust | None) -> Iterator[AuthenticatedBundle]:
    """The authenticated bundle in `file`, until the block is left.

    What is not TRUSTED is announced on standard error, before anything is done with it.
    """
    from bundler.sign.open import open_bundle

    with open_bundle(file, trust) as bundle:
        if bundle.status in _SAID:
            output.note(_SAID[bundle.status])
        yield bundle
