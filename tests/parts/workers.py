"""Which worker runs which tests, where several share a run (`pytest -n 2`)."""

from __future__ import annotations

from xdist.scheduler.loadscope import LoadScopeScheduling

_NODE = "tests/node/"


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """A file stays with one worker, and so does all that stands on the real node."""

    def _split_scope(self, nodeid: str) -> str:
        return _NODE if nodeid.startswith(_NODE) else nodeid.partition("::")[0]
