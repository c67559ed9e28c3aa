"""Kubeconfigs: what is read of them, what is merged, and what is refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from bundler.cluster.client import kubeconfig as reader
from bundler.cluster.client.entry import Entry
from bundler.cluster.client.kubeconfig import find_entry
from bundler.core.errors import ClusterError


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # JSON is YAML too.
    path.write_text(json.dumps(content))
    return path


def config(
    cluster: dict[str, Any] | None = None,
    user: object = None,
    name: str = "t",
    **others: object,
) -> dict[str, Any]:
    return {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "clusters": [
            {"name": name, "cluster": {"server": f"https://{name}.example"} | (cluster or {})}
        ],
        "users": [{"name": name, "user": user or {}}],
    } | others


def entry(path: Path, cluster: dict[str, Any] | None = None, user: object = None) -> Entry:
    return find_entry(write(path / "kubeconfig", config(cluster, user)), None)


def test_a_server_as_it_is_described(tmp_path: Path) -> None:
    authority = base64.b64encode(b"PEM").decode()
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}
    server = entry(
        tmp_path,
        {
            "certificate-authority-data": authority,
            "certificate-authority": "counts-less.crt",
            "tls-server-name": "kubernetes",
            "proxy-url": "http://proxy.example:3128",
            "extensions": [extension],
        },
    ).server
    assert (server.authority, server.tls_name) == (b"PEM", "kubernetes")
    assert server.proxy == "http://proxy.example:3128"
    assert server.plugin_config == {"audience": "x"}
    assert server.place == "https://t.example:443"


def test_files_are_looked_for_beside_the_kubeconfig(tmp_path: Path) -> None:
    for name in ("ca.crt", "me.crt", "me.key"):
        (tmp_path / name).write_text(name)
    (tmp_path / "token").write_text("abc\n")
    found = entry(
        tmp_path,
        {"certificate-authority": "ca.crt"},
        {
            "client-certificate": "me.crt",
            "client-key": "me.key",
            "token": "counts less",
            "tokenFile": "token",
        },
    )
    assert found.server.authority == b"ca.crt"
    assert found.user.certificate == b"me.crt\nme.key"
    assert (found.user.token, found.user.token_file) == (None, tmp_path / "token")


def test_a_token_counts_more_than_a_plugin(tmp_path: Path) -> None:
    exec_ = {"command": "aws", "apiVersion": "client.authentication.k8s.io/v1"}
    user = entry(tmp_path, user={"token": "abc", "exec": exec_}).user
    assert (user.token, user.plugin) == ("abc", None)


def test_who_acts_for_somebody_else_says_so(tmp_path: Path) -> None:
    user = entry(tmp_path, user={"as": "eve", "as-groups": ["a", "b"], "as-uid": "7"}).user
    assert user.headers == (
        ("Impersonate-User", "eve"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
    )


def test_a_plugin_beside_the_kubeconfig_is_found_from_anywhere(tmp_path: Path) -> None:
    given = {"command": "./bin/plugin", "args": ["a"], "env": [{"name": "X", "value": "1"}]}
    plugin = entry(tmp_path, user={"exec": given}).user.plugin
    assert plugin is not None
    assert Path(plugin.command) == tmp_path / "bin/plugin"
    assert (plugin.args, plugin.env) == (("a",), {"X": "1"})


def test_the_first_file_of_a_list_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write(
        tmp_path / "one/config",
        {
            "clusters": [{"name": "t", "cluster": {"server": "https://first.example"}}],
            "users": [{"name": "t", "user": {"tokenFile": "token"}}],
        },
    )
    cluster = {"tls-server-name": "of-the-second"}
    second = write(tmp_path / "two/config", config(cluster, {"token": "second"}))
    absent = tmp_path / "absent"
    monkeypatch.setenv("KUBECONFIG", f"{absent}::{first}:{second}")
    found = find_entry(None, None)
    assert found.server.url == "https://first.example"
    # An entry is from one file, as a whole.
    assert found.server.tls_name is None
    assert found.user.token_file == tmp_path / "one/token"
    monkeypatch.setenv("KUBECONFIG", f"{second}:{first}")
    assert find_entry(None, None).user.token == "second"


def test_the_service_account_of_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("token", "ca.crt"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(reader, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ClusterError, match=r"service account .*KUBERNETES_SERVICE_HOST"):
        find_entry(None, None)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    found = find_entry(None, None)
    assert found.server.url == "https://[fd00::1]:443"
    assert found.server.authority == b"ca.crt"
    assert found.user.token_file == tmp_path / "token"
    # As with kubectl, whoever put a kubeconfig there meant it.
    write(tmp_path / ".kube/config", config())
    assert find_entry(None, None).server.url == "https://t.example"


HUNTER = {"token": "hunter2"}


@pytest.mark.parametrize(
    ("cluster", "user", "expected"),
    [
        ({"insecure-skip-tls-verify": True}, HUNTER, "whoever is on the way could read the login"),
        ({"insecure-skip-tls-verify": "no"}, HUNTER, "neither true nor false"),
        ({"server": "http://a.example"}, HUNTER, "which only this machine may be"),
        ({"server": "https://eve:hunter2@a.example"}, {}, "has a user in it"),
        ({"proxy-url": "socks5://a:hunter2@b"}, HUNTER, r"no http:// or https:// URL \(no SOCKS\)"),
        ({"certificate-authority-data": "hunter2!"}, HUNTER, "authority-data` is no Base64"),
        ({"certificate-authority": "absent.crt"}, HUNTER, "No such file"),
        ({"tls-server-name": 5}, HUNTER, "`tls-server-name` is no text"),
        ({"extensions": 5}, HUNTER, "`extensions` is no list of maps"),
        ({}, {"auth-provider": {"name": "gcp"}}, "kubectl lost in 1.26"),
        ({}, {"client-certificate-data": "aHVudGVyMg=="}, "one of client-certificate and"),
        ({}, {"exec": {"args": ["hunter2"]}}, "has no `command`"),
        ({}, {"exec": {"command": "x", "interactiveMode": "Always"}}, "gets no terminal here"),
        ({}, {"exec": 5}, "`exec` is no map"),
        ({}, {"exec": {"command": "x", "args": [5]}}, "`args` is no list of texts"),
        ({}, {"as": "eve", "as-user-extra": {"hunter2": ["x"]}}, "`as-user-extra` is not spoken"),
    ],
)
def test_what_can_not_be_honoured_is_refused(
    tmp_path: Path, cluster: dict[str, Any], user: object, expected: str
) -> None:
    with pytest.raises(ClusterError, match=expected) as caught:
        entry(tmp_path, cluster, user)
    assert "can't be used" in caught.value.message
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ({"users": []}, "context 't' names the user 't', which is not there"),
        ({"clusters": []}, "context 't' names the cluster 't', which is not there"),
        ({"current-context": "x"}, "current-context is 'x', which is not there; --context takes"),
        ({"current-context": None}, "current-context is None"),
        ({"users": [{"name": "t"}, {"name": "t"}]}, "has the user 't' twice"),
        ({"users": [{"user": {}}]}, "one of its users has no name"),
        ({"users": 5}, "`users` is no list"),
    ],
)
def test_a_kubeconfig_that_does_not_hang_together_is_refused(
    tmp_path: Path, others: dict[str, object], expected: str
) -> None:
    with pytest.raises(ClusterError, match=expected):
        find_entry(write(tmp_path / "kubeconfig", config() | others), None)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ClusterError, match="can't be used: it is no text"):
        find_entry(path, None)
