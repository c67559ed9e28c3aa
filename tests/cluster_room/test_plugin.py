"""Credential plugins: how they are asked, and what of their answers is taken."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bundler.cluster.client.entry import Plugin, Server
from bundler.cluster.client.plugin import Credential, ask_plugin, run_plugin
from bundler.core.errors import ClusterError

V1 = "client.authentication.k8s.io/v1"
SERVER = Server("https://a.example", b"PEM", "kubernetes", "http://proxy.example", {"a": 1})
PLUGIN = Plugin(V1, "sh", ("get-token", "hunter2"), {"REGION": "x"}, "", False)


def answer(status: object, api_version: str = V1, kind: str = "ExecCredential") -> bytes:
    said = {"apiVersion": api_version, "kind": kind, "status": status}
    return json.dumps(said).encode()


def asked(output: bytes, plugin: Plugin = PLUGIN) -> tuple[Credential, list[str], dict[str, str]]:
    calls: list[tuple[list[str], Mapping[str, str]]] = []

    def run(argv: list[str], env: Mapping[str, str]) -> bytes:
        calls.append((argv, env))
        return output

    credential = ask_plugin(plugin, SERVER, run)
    return credential, calls[0][0], dict(calls[0][1])


@pytest.mark.parametrize("api_version", [V1, "client.authentication.k8s.io/v1beta1"])
def test_a_plugin_is_asked_as_kubectl_asks(api_version: str) -> None:
    plugin = replace(PLUGIN, api_version=api_version)
    credential, argv, env = asked(answer({"token": "abc"}, api_version), plugin)
    assert credential == Credential("Bearer abc")
    assert Path(argv[0]).is_absolute()
    assert argv[1:] == ["get-token", "hunter2"]
    assert env["REGION"] == "x"
    assert env["PATH"] == os.environ["PATH"]
    said = json.loads(env["KUBERNETES_EXEC_INFO"])
    spec = {"interactive": False}
    assert said == {"apiVersion": api_version, "kind": "ExecCredential", "spec": spec}


def test_a_plugin_that_wants_to_is_told_of_the_server() -> None:
    _, _, env = asked(answer({"token": "abc"}), replace(PLUGIN, wants_server=True))
    assert json.loads(env["KUBERNETES_EXEC_INFO"])["spec"]["cluster"] == {
        "server": "https://a.example",
        "tls-server-name": "kubernetes",
        "proxy-url": "http://proxy.example",
        "config": {"a": 1},
        "certificate-authority-data": base64.b64encode(b"PEM").decode(),
    }


def test_a_credential_with_a_certificate_and_an_end() -> None:
    status = {
        "clientCertificateData": "CERT",
        "clientKeyData": "KEY",
        "expirationTimestamp": "2026-01-02T03:04:05Z",
    }
    credential, *_ = asked(answer(status))
    end = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert credential == Credential(None, b"CERT\nKEY", end)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (b"hunter2", "found no JSON"),
        (b"[" * 100_000, "found"),
        (b"[]", "something else"),
        (answer({"token": "hunter2"}, kind="Secret"), "something else"),
        (answer(None), "one without a status"),
        (answer({"token": "hunter2"}, f"{V1}beta1"), f"apiVersion '{V1}beta1', not {V1}"),
        (answer({}), "neither a token nor a certificate"),
        (answer({"token": 5}), "no text"),
        (answer({"clientKeyData": "hunter2"}), "one of clientCertificateData and clientKeyData"),
        (answer({"token": "hunter2", "expirationTimestamp": "soon"}), "that is no time"),
    ],
)
def test_an_answer_that_is_no_credential_is_refused(output: bytes, expected: str) -> None:
    with pytest.raises(ClusterError, match=expected) as caught:
        asked(output)
    assert caught.value.message.startswith("credential plugin sh: expected an ExecCredential")
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"


def test_an_older_plugin_is_refused() -> None:
    old = replace(PLUGIN, api_version="client.authentication.k8s.io/v1alpha1")
    with pytest.raises(ClusterError, match=r"expected the apiVersion .*/v1 or .*, found .*alpha1"):
        asked(b"", old)


def test_a_plugin_that_is_not_there_is_named_with_what_its_cloud_says() -> None:
    absent = replace(PLUGIN, command="gke-gcloud-auth-plugin", env={"PATH": "/nowhere"})
    with pytest.raises(ClusterError, match="credential plugin gke-gcloud-auth-plugin: not found"):
        asked(b"", absent)
    with pytest.raises(ClusterError, match="not found") as caught:
        asked(b"", replace(absent, install_hint="Install it from example.org\n"))
    assert caught.value.hint == "Install it from example.org"


def script(path: Path, text: str) -> Plugin:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return replace(PLUGIN, command=str(path))


def test_a_plugin_that_fails_is_shown_without_secrets(tmp_path: Path) -> None:
    plugin = script(tmp_path / "plugin", "echo hunter2; echo the session has ended >&2; exit 3")
    with pytest.raises(ClusterError, match="the session has ended") as caught:
        ask_plugin(plugin, SERVER, run_plugin)
    assert caught.value.message.startswith(f"credential plugin {tmp_path}/plugin: expected exit")
    assert "log in again by the cloud's own tool" in str(caught.value.hint)
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"


def test_what_a_silent_plugin_printed_is_not_shown(tmp_path: Path) -> None:
    plugin = script(tmp_path / "plugin", "echo hunter2; exit 3")
    with pytest.raises(ClusterError, match="found 3") as caught:
        ask_plugin(plugin, SERVER, run_plugin)
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"


def test_a_plugin_has_nobody_to_ask(tmp_path: Path) -> None:
    said: Any = answer({"token": "of nobody"}).decode()
    plugin = script(tmp_path / "plugin", f"read -r line && exit 1; echo '{said}'")
    assert ask_plugin(plugin, SERVER, run_plugin) == Credential("Bearer of nobody")
