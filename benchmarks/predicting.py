"""From `install` to the first prediction, on a real node, split by phase.

It takes root and what tests/cluster/node.py starts; where these are missing the rows are left out,
and a line says so.
"""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import closing
from pathlib import Path

from benchmarks.installing import phased
from benchmarks.measure import BenchError
from benchmarks.results import Result
from benchmarks.rows import Site
from bundler.cluster.client import open_cluster
from bundler.core.objects.manifests import ObjectId
from tests.cluster.node import PROGRAMS, Node, running_node
from tests.parts import minilm
from tests.parts.needs import missing
from tests.serving import MODEL, NAMESPACE, TARGET, make_serving

_NAME = "first prediction"
_BODY = b'{"instances": ["a film about the sea"]}'


def predicting(site: Site) -> list[Result]:
    """The demo's model and server, half a gigabyte; once, since a node takes long to make."""
    absent = missing(("root", "minilm", "demoimage", *PROGRAMS))
    if absent:
        print(f"{_NAME}: not measured, needs {', '.join(absent)}", file=sys.stderr, flush=True)
        return []
    folder = site.scratch / "serving"
    folder.mkdir()
    serving = make_serving(folder, minilm.fetch())
    public = folder / "serving.pub"
    public.write_bytes(serving.key.public.pem())
    try:
        with running_node(site.scratch / "node") as node:
            return _measured(site, node, serving.path, public)
    finally:
        shutil.rmtree(folder)


def _measured(site: Site, node: Node, bundle: Path, public: Path) -> list[Result]:
    words = "install", bundle, "--key", public, "--target", TARGET
    install = *words, "--registry", f"{node.registry}/demo", "--kubeconfig", node.kubeconfig
    prefix = *node.sandbox.network, "env", f"SSL_CERT_FILE={node.ca}"
    first, *phases = phased(site, _NAME, install, prefix)
    asked = _ask(node)
    total = site.row(_NAME, first.value + asked, "s")
    return [total, *phases, site.row(f"{_NAME}, prediction", asked, "s")]


def _ask(node: Node) -> float:
    """Seconds until the model has answered; BenchError when it does not."""
    service = ObjectId("v1", "Service", NAMESPACE, "server")
    path = f"/v1/models/{MODEL}:predict"
    began = time.perf_counter()
    with node.entered(), closing(open_cluster(node.kubeconfig, None, "airbundle-bench")) as cluster:
        status, answer = cluster.call(service, "http", "POST", path, _BODY, {})
    if status != 200:
        raise BenchError(f"the model answered {status}: {answer[:200]!r}")
    return time.perf_counter() - began


ALL = (predicting,)
