"""What `airbundle init` copies: `base/`, `overlays/` and `policies/`, data only.

In a wheel they lie beside this module; in a checkout, or an editable install, at its root.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

FOLDERS = ("base", "overlays", "policies")


def root() -> Traversable:
    """The folder that holds `FOLDERS`; a Traversable, since the package may lie inside a zip."""
    here = files(__name__)
    if all((here / name).is_dir() for name in FOLDERS):
        return here
    return files("bundler") / ".."
