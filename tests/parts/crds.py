"""KServe's, Trainer's, JobSet's and KEDA's definitions of custom resources.

They lie beside the checkout and are not part of it.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.parts.components import ROOT

VARIABLE = "AIRBUNDLE_TEST_CRDS"


def folder() -> Path:
    """Where they are, if they are: AIRBUNDLE_TEST_CRDS, else ../shared/crds."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else ROOT.parent / "shared" / "crds"


def present() -> bool:
    """Whether there are any."""
    return any(folder().glob("*.yaml"))
