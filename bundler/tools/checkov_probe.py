"""Runs inside checkov, as an extra check: airbundle puts it beside the objects, never imports it.

checkov passes in silence over files that it can't use, over checks that did not load, and over
graph checks that failed, and it connects objects that have nothing to do with each other. So this
check fails on every object, which proves that the object was looked at; on its own object it says
what was loaded and what was complained of; and it makes loud and close what was not. Written
against checkov 3.3.30: where a name is gone, it does not load, and then nothing is believed.
"""

from __future__ import annotations

import atexit
import concurrent.futures
import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from checkov.common.checks.base_check_registry import BaseCheckRegistry
from checkov.common.checks_infra.checks_parser import GraphCheckParser
from checkov.common.checks_infra.registry import Registry, get_graph_checks_registry
from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.kubernetes.checks.resource.base_spec_check import BaseK8Check
from checkov.kubernetes.checks.resource.registry import registry
from checkov.kubernetes.graph_builder.local_graph import KubernetesLocalGraph

ID = "AIRBUNDLE_PROBE"
_OBJECT = "airbundle.invalid"
_OWN = "checkov.kubernetes."


class _Complaints(logging.Handler):
    """What checkov only warns of, once this is loaded: the checks that come after it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message, and the error that it is about."""
        error = record.exc_info[1] if record.exc_info else None
        text = record.getMessage().rstrip(":")
        self.said.append(f"{text}: {error!r}" if error else text)

    def repeat(self) -> None:
        """At the end of standard error: whoever reads it reads no more than that."""
        sys.stderr.write("".join(f"{text}\n" for text in self.said))


class Probe(BaseK8Check):
    """Fails on everything; reports on the object whose namespace no bundle can have."""

    def __init__(self) -> None:
        super().__init__("was looked at", ID, (CheckCategories.KUBERNETES,), ("*",))

    def scan_spec_conf(self, conf: dict[str, Any]) -> CheckResult:
        """Always a failure: with ``--quiet`` these alone are written out."""
        if conf["metadata"].get("namespace") == _OBJECT:
            self.evaluated_keys = [json.dumps(_report())]
        return CheckResult.FAILED


def _report() -> dict[str, Any]:
    """The ids of checkov's own checks, the extra ones by file, and all complaints.

    An extra check of an id that another one has already is loaded, but not asked.
    """
    asked = {id(each) for _, each in registry.all_checks()}
    own = {each.id for _, each in registry.all_checks() if each.__module__.startswith(_OWN)}
    extra: dict[str, list[str]] = {}
    for each in BaseCheckRegistry.get_all_registered_checks():
        if not each.__module__.startswith("checkov.") and each is not check:
            name = f"{each.__module__}.py"
            if id(each) not in asked:
                complaints.said.append(f"check {each.id} of {name} is not asked")
            extra.setdefault(name, []).append(each.id)
    kubernetes = get_graph_checks_registry("kubernetes")
    for graph in kubernetes.checks:  # checkov's own come later, and yield to these
        extra.setdefault(os.path.basename(graph.check_path), []).append(graph.id)
    fresh = Registry(parser=GraphCheckParser(), checks_dir=kubernetes.checks_dir)
    fresh.load_checks()
    own |= {graph.id for graph in fresh.checks}
    return {"own": sorted(own), "extra": extra, "complaints": complaints.said}


def _raising(wait: Callable[..., Any]) -> Callable[..., Any]:
    """A check that fails in a thread fails the run, as one does that runs in none."""

    def waiting(*args: Any, **options: Any) -> Any:
        outcome = wait(*args, **options)
        for future in outcome.done:
            future.result()
        return outcome

    return waiting


def _walled(connect: Callable[..., None]) -> Callable[..., None]:
    """Objects of two folders belong to two targets: a policy in one protects no pod in another."""

    def connecting(graph: KubernetesLocalGraph, origin: int, destination: int, label: str) -> None:
        folders = {os.path.dirname(graph.vertices[each].path) for each in (origin, destination)}
        if len(folders) == 1:
            connect(graph, origin, destination, label)

    return connecting


complaints = _Complaints()
logging.getLogger().addHandler(complaints)
atexit.register(complaints.repeat)
concurrent.futures.wait = _raising(concurrent.futures.wait)
_connect = KubernetesLocalGraph._create_edge  # noqa: SLF001  # there is no public way in
KubernetesLocalGraph._create_edge = _walled(_connect)  # type: ignore[method-assign]  # noqa: SLF001
check = Probe()
