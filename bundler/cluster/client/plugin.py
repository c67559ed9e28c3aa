"""Credential plugins: the programs with which clouds let a user in.

`ExecCredential` of client.authentication.k8s.io, v1 and v1beta1, which are alike:
https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bundler.cluster.client.entry import Plugin, Server
from bundler.core.errors import ClusterError, ToolError
from bundler.tools.process import run

_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_INFO = "KUBERNETES_EXEC_INFO"

# Runs a program by its argv and environment; `run_plugin` does.
RunPlugin = Callable[[list[str], Mapping[str, str]], bytes]


@dataclass(frozen=True)
class Credential:
    """What lets us in: a value of Authorization, or a certificate with its key (PEM), or both.

    `expires` is None where that isn't said.
    """

    authorization: str | None = None
    certificate: bytes | None = None
    expires: datetime | None = None


def run_plugin(argv: list[str], env: Mapping[str, str]) -> bytes:
    """What the program prints; errors have neither that nor its arguments."""
    return run(argv, env=env, secret=True)


def ask_plugin(plugin: Plugin, server: Server, run_it: RunPlugin) -> Credential:
    """The credential that `plugin` gives now; ClusterError, with its words, where it gives none."""
    if plugin.api_version not in _VERSIONS:
        raise ClusterError(
            f"credential plugin {plugin.command}: expected the apiVersion {' or '.join(_VERSIONS)}"
            f", found {plugin.api_version or 'none'}",
            "update the plugin, and have it write its part of the kubeconfig again",
        )
    env = os.environ | plugin.env
    program = shutil.which(plugin.command, path=env.get("PATH"))
    if program is None:
        raise ClusterError(
            f"credential plugin {plugin.command}: not found",
            plugin.install_hint.strip() or "install it, or name another user with --context",
        )
    info = json.dumps(_info(plugin, server))
    try:
        output = run_it([os.path.abspath(program), *plugin.args], env | {_INFO: info})
    except ToolError as error:
        raise ClusterError(
            f"credential plugin {error.message}",
            f"it gives no login: log in again by the cloud's own tool; {plugin.command} can be "
            "run by hand with the arguments that the kubeconfig has",
        ) from error
    try:
        return _credential(json.loads(output), plugin.api_version)
    except (ValueError, RecursionError) as error:
        problem = "no JSON" if isinstance(error, json.JSONDecodeError) else str(error)
        raise ClusterError(
            f"credential plugin {plugin.command}: expected an ExecCredential, found {problem}"
        ) from error


def _info(plugin: Plugin, server: Server) -> dict[str, Any]:
    spec: dict[str, Any] = {"interactive": False}
    if plugin.wants_server:
        said = {
            "server": server.url,
            "tls-server-name": server.tls_name,
            "proxy-url": server.proxy,
            "config": server.plugin_config,
        }
        if server.authority is not None:
            said["certificate-authority-data"] = base64.b64encode(server.authority).decode()
        spec["cluster"] = {name: value for name, value in said.items() if value is not None}
    return {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}


def _credential(said: Any, api_version: str) -> Credential:
    status = said.get("status") if isinstance(said, dict) else None
    if not isinstance(status, dict) or said.get("kind") != "ExecCredential":
        raise ValueError("something else, or one without a status")
    if said.get("apiVersion") != api_version:
        raise ValueError(f"apiVersion {said.get('apiVersion')!r:.100}, not {api_version}")
    names = ("token", "clientCertificateData", "clientKeyData", "expirationTimestamp")
    texts = {name: status.get(name) or "" for name in names}
    if not all(isinstance(each, str) for each in texts.values()):
        raise ValueError("a field of its status that is no text")
    token, certificate, key, expires = texts.values()
    if bool(certificate) != bool(key):
        raise ValueError("one of clientCertificateData and clientKeyData alone")
    if not token and not certificate:
        raise ValueError("neither a token nor a certificate")
    return Credential(
        f"Bearer {token}" if token else None,
        f"{certificate}\n{key}".encode() if certificate else None,
        _time(expires) if expires else None,
    )


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("an expirationTimestamp that is no time") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
