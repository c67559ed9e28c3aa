"""How an install finds out that its objects work."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from bundler import install as verb
from bundler.cluster.client import Cluster
from bundler.cluster.transaction.transact import Manner
from bundler.core.destination import Destination
from bundler.core.progress import SILENT
from bundler.install import checks_of
from tests.releases import Release, config_map


def test_what_is_not_waited_for_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(verb, "smoke", lambda cluster, calls, *rest: asked.append(calls))
    destination, cluster = cast(Destination, None), cast(Cluster, None)
    with Release("app", [config_map("serving", "one")]).opened(tmp_path) as bundle:
        for timeout in (0.0, 600.0):
            checks_of(bundle, destination, cluster, Manner(timeout), SILENT).smoke()
    assert asked == [()]
