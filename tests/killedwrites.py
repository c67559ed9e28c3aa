"""Installs that are killed at a counted write to the cluster."""

from __future__ import annotations

import platform
from typing import NoReturn

import pytest

from bundler.cluster.client import Cluster
from bundler.cluster.release import lease
from bundler.core.objects.manifests import JsonObject, ObjectId

# Of this machine; Linux gives no process an id above 2**22.
ENDED = f"{platform.node()}/{2**22 + 1}/{lease._boot()}/killed"


class Killed(BaseException):
    """SIGKILL, as far as a process that goes on can know it: nothing is put away."""


def writes(
    monkeypatch: pytest.MonkeyPatch, at: int | None = None, after: bool = False
) -> list[str]:
    """The writes to the cluster from now on, by name; killed before, or `after`, number `at`.

    Whoever is killed is a process that is gone, and writes no more: its lease stays.
    """
    seen: list[str] = []
    dead: list[bool] = []
    if at is not None:
        monkeypatch.setattr(lease, "_identity", lambda: ENDED)

    def killed() -> NoReturn:
        dead.append(True)
        raise Killed

    def watched(method: str) -> None:
        real = getattr(Cluster, method)

        def called(self: Cluster, first: JsonObject | ObjectId, *args: object, **more: object):  # type: ignore[no-untyped-def]
            # A review has no name, and is a question.
            asks = more.get("dry_run") or (
                isinstance(first, dict) and "name" not in first["metadata"]
            )
            if asks:
                return real(self, first, *args, **more)
            if dead:
                raise Killed
            object_id = first if isinstance(first, ObjectId) else ObjectId.of(first)
            if object_id.kind == "Lease":
                return real(self, first, *args, **more)
            seen.append(f"{method} {object_id}")
            if at == len(seen) and not after:
                killed()
            found = real(self, first, *args, **more)
            if at == len(seen):
                killed()
            return found

        monkeypatch.setattr(Cluster, method, called)

    for method in ("apply", "delete", "create", "replace"):
        watched(method)
    return seen
