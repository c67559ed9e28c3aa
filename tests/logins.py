"""Kubeconfigs as clouds make them, for an API server whose users a test may make."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bundler.cluster.client import Cluster
from bundler.cluster.client.kubeconfig import find_entry
from bundler.cluster.client.login import Login
from bundler.core.objects.manifests import JsonObject
from tests.cluster.certificates import client_certificate

V1 = "client.authentication.k8s.io/v1"
ADMINS = "system:masters"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Logins:
    """Kubeconfigs for one API server; `plugin` makes a program that counts how often it ran."""

    def __init__(self, url: str, pki: Path, folder: Path) -> None:
        """`pki` has what tests/cluster/apiserver.py wrote; programs are made in `folder`."""
        self.url = url
        self.pki = pki
        self.folder = folder
        self.now = NOON

    def kubeconfig(self, user: object, **cluster: object) -> Path:
        entry = {
            "server": self.url,
            "certificate-authority": str(self.pki / "ca.crt"),
        } | cluster
        content = {
            "current-context": "t",
            "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
            "clusters": [{"name": "t", "cluster": entry}],
            "users": [{"name": "t", "user": user}],
        }
        path = self.folder / "kubeconfig"
        path.write_text(json.dumps(content))
        return path

    @contextmanager
    def cluster(self, user: object, **cluster: object) -> Iterator[Cluster]:
        entry = find_entry(self.kubeconfig(user, **cluster), None)
        login = Login(entry, lambda _: None, lambda: self.now)
        with login.entered() as session:
            found = Cluster(session, "airbundle:site/app", login)
        with closing(found):
            yield found

    def plugin(self, *statuses: object) -> JsonObject:
        """The user of a plugin that gives each of `statuses`, the last one for ever."""
        for number, status in enumerate(statuses, 1):
            said = {"apiVersion": V1, "kind": "ExecCredential", "status": status}
            (self.folder / f"answer-{number}").write_text(json.dumps(said))
        program = self.folder / "plugin"
        program.write_text(
            '#!/bin/sh\nset -e\ncd "$(dirname "$0")"\necho run >> runs\n'
            f"n=$(wc -l < runs)\ntest $n -le {len(statuses)} || n={len(statuses)}\n"
            "cat answer-$n\n"
        )
        program.chmod(0o700)
        exec_ = {"apiVersion": V1, "command": "./plugin", "interactiveMode": "Never"}
        return {"exec": exec_}

    @property
    def runs(self) -> int:
        return len((self.folder / "runs").read_text().splitlines())

    def certificate(self, name: str, ended: timedelta | None = None) -> JsonObject:
        certificate, key = client_certificate(self.pki, name, ADMINS, ended)
        return {"clientCertificateData": certificate, "clientKeyData": key}
