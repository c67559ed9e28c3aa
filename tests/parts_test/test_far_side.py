"""The network namespace: its registry and API server answer, and nothing leads out of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cluster.namespace import FarSide

pytestmark = pytest.mark.needs("root")


def test_the_registry_answers_inside(netns: FarSide) -> None:
    script = f"import httpx; print(httpx.get('http://{netns.registry}/v2/').status_code)"
    answer = netns.exec([sys.executable, "-c", script])
    assert (answer.stdout, answer.returncode) == ("200\n", 0)


def test_the_api_server_answers_inside(netns: FarSide) -> None:
    script = (
        "import sys; from lightkube import Client, KubeConfig;"
        "from lightkube.resources.core_v1 import Namespace;"
        "client = Client(KubeConfig.from_file(sys.argv[1]));"
        "print(client.get(Namespace, 'default').metadata.name)"
    )
    answer = netns.exec([sys.executable, "-c", script, netns.kubeconfig])
    assert (answer.stdout, answer.returncode) == ("default\n", 0)


def test_nothing_leads_out(netns: FarSide) -> None:
    # TEST-NET-1 of RFC 5737: an address that belongs to nobody.
    script = "import socket; socket.create_connection(('192.0.2.1', 443), 5)"
    answer = netns.exec([sys.executable, "-c", script])
    assert "Network is unreachable" in answer.stderr
    interfaces = netns.exec([sys.executable, "-c", "import socket; print(socket.if_nameindex())"])
    assert interfaces.stdout == "[(1, 'lo')]\n"


def test_only_the_given_environment_enters(netns: FarSide) -> None:
    script = "import os; print(sorted(os.environ.get(n, '-') for n in ('ONE', 'HOME')))"
    answer = netns.exec([sys.executable, "-c", script], {"ONE": "1"})
    assert answer.stdout == "['-', '1']\n"


def test_kubeconfig_is_the_owners_alone(netns: FarSide) -> None:
    assert Path(netns.kubeconfig).stat().st_mode & 0o077 == 0
