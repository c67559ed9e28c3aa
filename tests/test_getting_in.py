"""An install by a cloud's login, which ends in the middle of it: on a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bundler.core.errors import ClusterError
from tests.logins import Logins
from tests.parts.registry import Registry
from tests.site import Field, field_of_work

pytestmark = pytest.mark.needs("etcd", "kube-apiserver", "docker-registry")

LONG_AGO = {"expirationTimestamp": "2020-01-02T03:04:05Z"}


@pytest.fixture(name="on")
def installing(tmp_path: Path, kubeconfig: Path, registry: Registry) -> Iterator[Field]:
    with field_of_work(tmp_path, kubeconfig, registry) as on:
        yield on


@pytest.fixture
def logins(kubeconfig: Path, tmp_path: Path) -> Logins:
    if not (kubeconfig.parent / "clients.key").exists():
        pytest.skip("users can't be made on another cluster")
    given: Any = json.loads(kubeconfig.read_text())
    return Logins(given["clusters"][0]["cluster"]["server"], kubeconfig.parent, tmp_path)


def test_an_install_outlives_its_credentials(on: Field, logins: Logins) -> None:
    """Each is good for a few requests by its own word, one is refused by the server at once."""
    first, second = (logins.certificate(name) | LONG_AGO for name in ("jo", "eve"))
    ended = logins.certificate("jo", timedelta(hours=1))
    last = logins.certificate("jo")
    on.kubeconfig = logins.kubeconfig(logins.plugin(first, second, first, second, ended, last))
    release = on.release(on.settings("one", key="a"), on.settings("two", key="b"))
    done = on.install(release)
    assert on.id("two") in done.plan.created
    assert logins.runs == 6
    assert on.install(release).plan.empty


def test_an_install_whose_credentials_run_out_says_so(on: Field, logins: Logins) -> None:
    first, ended = logins.certificate("jo"), logins.certificate("jo", timedelta(hours=1))
    on.kubeconfig = logins.kubeconfig(logins.plugin(first | LONG_AGO, first | LONG_AGO, ended))
    release = on.release(on.settings("one", key="a"))
    with pytest.raises(ClusterError, match="refused the login of the user 't', by the credential"):
        on.install(release)
    # Once there is a login, the same command again ends well.
    on.kubeconfig = logins.kubeconfig(logins.plugin(first))
    on.install(release)
    assert on.get(on.id("one")) is not None
