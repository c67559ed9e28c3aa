"""The registry of the tests answers, and keeps what it is given."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.parts.images import make_oci_layout
from tests.parts.registry import Registry

Tool = Callable[[str], Path]


def test_it_answers(registry: Registry) -> None:
    reply = httpx.get(f"{registry.url}/v2/")
    assert reply.status_code == 200
    assert reply.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


@pytest.mark.needs("skopeo", "crane", "busybox")
def test_it_takes_an_image(registry: Registry, tool: Tool, tmp_path: Path) -> None:
    digest = make_oci_layout(tmp_path / "layout", platforms=("linux/amd64", "linux/arm64"))
    name = f"{registry.host}/parts/busybox:1"
    options = ["--quiet", "--all", "--preserve-digests", "--dest-tls-verify=false"]
    copy = [str(tool("skopeo")), "copy", *options]
    subprocess.run([*copy, f"oci:{tmp_path / 'layout'}", f"docker://{name}"], check=True)
    found = subprocess.run([tool("crane"), "digest", name], check=True, capture_output=True)
    assert found.stdout.decode().strip() == digest
    # Without --fast it takes every layer for gzip, plain tars too.
    subprocess.run([tool("crane"), "validate", "--fast", "--remote", name], check=True)
