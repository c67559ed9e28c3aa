"""Getting in, at a real API server: every form of login, and what ends in the middle."""

from __future__ import annotations

import base64
import json
import shutil
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bundler.cluster.client import Cluster, UnreachableError, kubeconfig, open_cluster
from bundler.cluster.client.kubeconfig import find_entry
from bundler.cluster.client.login import Login
from bundler.core.errors import ClusterError
from tests.cluster.apiserver import ApiServer
from tests.cluster.users import write_user
from tests.logins import ADMINS, NOON, Logins
from tests.parts.needs import require
from tests.parts.proxy import running_proxy
from tests.parts.service import free_ports
from tests.releases import namespace


@pytest.fixture
def site(own_apiserver: ApiServer, tmp_path: Path) -> Logins:
    return Logins(own_apiserver.url, own_apiserver.kubeconfig.parent, tmp_path)


def who(cluster: Cluster) -> str:
    """Whom the server takes us for."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    user: Any = cluster.create(review)["status"]["userInfo"]
    return str(user["username"])


def test_by_a_token(site: Logins, own_apiserver: ApiServer) -> None:
    with site.cluster({"token": own_apiserver.token}) as cluster:
        assert who(cluster) == "admin"


def test_by_a_client_certificate(site: Logins) -> None:
    pair = site.certificate("eve")
    names = ("client-certificate-data", "client-key-data")
    user = {
        name: base64.b64encode(pem.encode()).decode()
        for name, pem in zip(names, pair.values(), strict=True)
    }
    with site.cluster(user) as cluster:
        assert who(cluster) == "eve"


def test_by_the_service_account_of_a_pod(
    own_apiserver: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Token, authority and address where the kubelet puts them, and no kubeconfig."""
    place = f"t{uuid.uuid4().hex[:10]}"
    with closing(open_cluster(own_apiserver.kubeconfig, None, "tests")) as admin:
        admin.create(namespace(place))
        user = write_user(tmp_path / "user", own_apiserver.kubeconfig, admin, place, ())
    account, server = tmp_path / "serviceaccount", urlsplit(own_apiserver.url)
    account.mkdir()
    shutil.copy(own_apiserver.kubeconfig.parent / "ca.crt", account)
    (account / "token").write_text(json.loads(user.read_text())["users"][0]["user"]["token"])
    (account / "namespace").write_text(place)
    monkeypatch.setattr(kubeconfig, "SERVICE_ACCOUNT", account)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(server.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    with closing(open_cluster(None, None, "airbundle:site/app")) as cluster:
        assert who(cluster) == f"system:serviceaccount:{place}:operator"


def test_for_somebody_else(site: Logins, own_apiserver: ApiServer) -> None:
    user = {"token": own_apiserver.token, "as": "eve", "as-groups": ["a", ADMINS]}
    with site.cluster(user) as cluster:
        assert who(cluster) == "eve"


def test_without_a_login(site: Logins) -> None:
    with site.cluster({}) as cluster, pytest.raises(ClusterError, match="Forbidden"):
        cluster.read("/api/v1/nodes")


def test_a_credential_that_ends_is_asked_for_again_before(site: Logins) -> None:
    ends = (NOON + timedelta(minutes=15)).isoformat()
    first, second = ({"expirationTimestamp": ends} | site.certificate(name) for name in "ab")
    del second["expirationTimestamp"]
    with site.cluster(site.plugin(first, second)) as cluster:
        assert [who(cluster), who(cluster)] == ["a", "a"]
        assert site.runs == 1
        site.now = NOON + timedelta(minutes=14, seconds=49)
        assert who(cluster) == "a"
        site.now += timedelta(seconds=2)
        assert [who(cluster), who(cluster)] == ["b", "b"]
        assert site.runs == 2


def test_a_credential_that_is_refused_is_asked_for_once_more(
    site: Logins, own_apiserver: ApiServer
) -> None:
    ended = site.certificate("a", timedelta(hours=1))
    with site.cluster(site.plugin(ended, {"token": own_apiserver.token})) as cluster:
        assert who(cluster) == "admin"
        assert site.runs == 2


def test_a_plugin_whose_credentials_are_refused_is_named(site: Logins) -> None:
    plugin = site.plugin({"token": "hunter2"}, {"token": "hunter3"})
    with (
        site.cluster(plugin) as cluster,
        pytest.raises(ClusterError, match=r"the credential plugin .*/plugin, and a new") as caught,
    ):
        cluster.read("/version")
    assert site.runs == 2
    assert "hunter" not in f"{caught.value.message} {caught.value.hint}"


def test_a_token_file_is_read_again(site: Logins, own_apiserver: ApiServer) -> None:
    path = site.folder / "token"
    path.write_text("of yesterday\n")
    with site.cluster({"tokenFile": "token"}) as cluster:
        with pytest.raises(ClusterError, match=f"by the token in {path}"):
            who(cluster)
        path.write_text(own_apiserver.token + "\n")
        assert who(cluster) == "admin"
        path.write_text("of tomorrow")
        assert who(cluster) == "admin"
        site.now += timedelta(minutes=2)
        path.write_text("")
        with pytest.raises(ClusterError, match="expected a token, found nothing"):
            who(cluster)
        path.unlink()
        with pytest.raises(ClusterError, match="can't be read"):
            who(cluster)


def test_a_token_that_has_ended_is_said_to_have(site: Logins) -> None:
    with (
        site.cluster({"token": "hunter2"}) as cluster,
        pytest.raises(ClusterError, match="refused the login of the user 't', by its tok") as error,
    ):
        cluster.read("/version")
    assert "it has ended, or was withdrawn" in str(error.value.hint)


def test_a_certificate_that_has_ended_is_said_to_have(site: Logins) -> None:
    pair = site.certificate("eve", timedelta(days=3))
    (site.folder / "me.crt").write_text(pair["clientCertificateData"])
    (site.folder / "me.key").write_text(pair["clientKeyData"])
    site.now = datetime.now(UTC)
    user = {"client-certificate": "me.crt", "client-key": "me.key"}
    with (
        site.cluster(user) as cluster,
        pytest.raises(ClusterError, match=r"client certificate, which ended at \d{4}-"),
    ):
        cluster.read("/version")


@pytest.mark.needs("tinyproxy")
def test_through_a_proxy_under_another_name(site: Logins, own_apiserver: ApiServer) -> None:
    require("tinyproxy")
    # The certificate names `kubernetes` and 127.0.0.1, and neither `localhost`.
    url = own_apiserver.url.replace("127.0.0.1", "localhost")
    user = {"token": own_apiserver.token}
    with running_proxy(site.folder / "proxy", free_ports(1)[0]) as proxy:
        way: dict[str, object] = {"server": url, "proxy-url": f"http://{proxy.host}"}
        with site.cluster(user, **way, **{"tls-server-name": "kubernetes"}) as cluster:
            assert who(cluster) == "admin"
        assert url.removeprefix("https://") in proxy.asked_for()
        with (
            site.cluster(user, **way) as cluster,
            pytest.raises(ClusterError, match="CERTIFICATE_VERIFY_FAILED") as caught,
        ):
            who(cluster)
    assert "`tls-server-name` names one of them" in str(caught.value.hint)


def test_a_name_without_a_proxy(site: Logins, own_apiserver: ApiServer) -> None:
    url = own_apiserver.url.replace("127.0.0.1", "localhost")
    named: dict[str, object] = {"server": url, "tls-server-name": "kubernetes"}
    with site.cluster({"token": own_apiserver.token}, **named) as cluster:
        assert who(cluster) == "admin"


def test_a_server_of_another_authority_is_refused(site: Logins) -> None:
    other = {"certificate-authority": str(site.pki / "clients.crt")}
    with (
        site.cluster({"token": "hunter2"}, **other) as cluster,
        pytest.raises(ClusterError, match="CERTIFICATE_VERIFY_FAILED") as caught,
    ):
        cluster.read("/version")
    assert not isinstance(caught.value, UnreachableError)


@pytest.mark.parametrize(
    ("user", "cluster", "expected"),
    [
        ({}, {"certificate-authority-data": "aHVudGVyMg=="}, "certificate-authority: expected"),
        (
            {"client-certificate-data": "aHVudGVyMg==", "client-key-data": "aHVudGVyMg=="},
            {},
            "expected a certificate and its key in PEM",
        ),
    ],
)
def test_what_is_no_certificate_is_refused(
    site: Logins, user: object, cluster: dict[str, object], expected: str
) -> None:
    with pytest.raises(ClusterError, match=expected), site.cluster(user, **cluster):
        raise AssertionError("got in")


def test_a_server_that_starts_again_is_waited_for(site: Logins, own_apiserver: ApiServer) -> None:
    with site.cluster({"token": own_apiserver.token}) as cluster:
        assert who(cluster) == "admin"
        own_apiserver.service.end()
        pauses: list[float] = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                start_again(own_apiserver)

        cluster._session.sleep = sleep
        assert who(cluster) == "admin"
    assert pauses[:3] == [0.5, 1.0, 2.0]


def test_a_server_that_does_not_come_back_is_named(site: Logins, own_apiserver: ApiServer) -> None:
    pauses: list[float] = []
    with site.cluster({"token": own_apiserver.token}) as cluster:
        assert who(cluster) == "admin"
        cluster._session.sleep = pauses.append
        own_apiserver.service.end()
        try:
            with pytest.raises(UnreachableError, match="it had answered before, and didn't in 8"):
                who(cluster)
        finally:
            start_again(own_apiserver)
    assert sum(pauses) == 63.5


def start_again(server: ApiServer) -> None:
    server.service.restart()
    server.service.wait_ready(
        f"{server.url}/readyz", server.kubeconfig.parent / "ca.crt", server.token
    )


def test_a_request_on_its_way_keeps_its_connection(site: Logins) -> None:
    ends = (NOON + timedelta(minutes=15)).isoformat()
    first, second = ({"expirationTimestamp": ends} | site.certificate(name) for name in "ab")
    entry = find_entry(site.kubeconfig(site.plugin(first, second)), None)
    login = Login(entry, lambda _: None, lambda: site.now)
    with login.entered() as one:
        site.now += timedelta(minutes=15)
        with login.entered() as other:
            assert other is not one
            assert not one.client.is_closed
    assert [each.client.is_closed for each in (one, other)] == [True, False]
    login.close()
    assert [each.client.is_closed for each in (one, other)] == [True, True]
