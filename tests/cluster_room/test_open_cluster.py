"""A cluster as a kubeconfig names it, and what is told of one that is none."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from bundler.cluster.client import open_cluster
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import ObjectId
from tests.releases import config_map

ONE = ObjectId.of(config_map("serving", "one"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "a: [",
        "{clusters: [], contexts: [], current-context: x}",
        "{clusters: [], contexts: []}",
        "{clusters: [], contexts: [{name: x, context: {cluster: y}}], current-context: x}",
    ],
)
def test_a_kubeconfig_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(ClusterError, match=r"kubeconfig \(--kubeconfig\): can't be used") as caught:
        open_cluster(path, None, "airbundle:site/app")
    assert "--kubeconfig" in str(caught.value.hint)


KUBECONFIG = (
    "current-context: t\ncontexts: [{name: t, context: {cluster: t, user: t}}]\n"
    "clusters: [{name: t, cluster: %s}]\nusers: [{name: t, user: {token: hunter2}}]\n"
)


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        ("{}", "the cluster 't' has no `server`"),
        ("{server: ''}", "has no `server`"),
        ("{server: 'ftp://a.example'}", "no https:// URL"),
        ("{server: 'https://a.example:99999999'}", "[Pp]ort"),
        ("{server: 'https://[bad'}", "IPv6"),
        ('{server: "https://a.example\\n/x"}', "white space"),
        ('{server: "https://a.example/\\x01"}', "white space, or what"),
        ("{server: 5}", "can't be used"),
        ("[" * 5000, "nested too deep"),
        ("{server: x, bad: [", "no YAML at line 3, column 49"),
    ],
)
def test_a_kubeconfig_is_refused_without_its_secrets(
    tmp_path: Path, cluster: str, expected: str
) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG % cluster)
    with pytest.raises(ClusterError, match=expected) as caught:
        open_cluster(path, None, "airbundle:site/app")
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"


def test_the_plain_server_of_this_machine_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG % "{server: 'http://localhost:8080'}")
    with closing(open_cluster(path, None, "airbundle:site/app")) as cluster:
        assert cluster.manager == "airbundle:site/app"


def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="not found"):
        open_cluster(tmp_path / "absent", None, "airbundle:site/app")


def test_the_kubeconfig_of_the_environment_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "of-the-site"))
    with pytest.raises(ClusterError, match=r"kubeconfig .*/of-the-site \(KUBECONFIG\): can't"):
        open_cluster(None, None, "airbundle:site/app")
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ClusterError, match=r"^kubeconfig ~/\.kube/config: can't be used"):
        open_cluster(None, None, "airbundle:site/app")


def test_an_unknown_context_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(
        "{clusters: [{name: c, cluster: {server: 'https://a.example'}}], current-context: lab, "
        "contexts: [{name: lab, context: {cluster: c}}, {name: hall, context: {cluster: c}}]}"
    )
    with pytest.raises(ClusterError, match="has no context 'plant'") as caught:
        open_cluster(path, "plant", "airbundle:site/app")
    assert caught.value.hint == "--context takes one of: hall, lab"


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(
        "current-context: t\ncontexts: [{name: t, context: {cluster: t, user: t}}]\n"
        "clusters: [{name: t, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "users: [{name: t, user: {token: hunter2}}]\n"
    )
    with (
        closing(open_cluster(path, None, "airbundle:site/app")) as cluster,
        pytest.raises(ClusterError, match=r"API server https://127\.0\.0\.1:1: Conn") as caught,
    ):
        cluster.get(ONE)
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"
