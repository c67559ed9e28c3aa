"""Installs that are cut off, on a real node: the same command again ends well.

Behaviours 13, 16, 19 and 20. Each test upgrades the one whole release that the one before it left.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler.cli.main import run
from bundler.cluster.client import Cluster, open_cluster
from bundler.cluster.release import lease
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from tests.cluster.node import Node
from tests.cluster.users import rule, write_user
from tests.heldcommand import held
from tests.nodefield import Field, new_layer, node_field, until
from tests.releases import Release, config_map, namespace

# Opened by whoever wants the server to get ready.
GATED = """\
mkdir /tmp/www && busybox httpd -p 8080 -h /tmp/www
until busybox test -e /tmp/open; do busybox sleep 0.2; done
echo '{"predictions": [1, 2]}' > /tmp/www/predict
exec busybox sleep 100000
"""
# Where SIGKILL comes, by the step of an install that it cuts off.
MOMENTS = {
    "journal": ("before apply Secret 1", "after apply Secret 1"),
    "objects": ("before apply Deployment 1", "after apply Deployment 1"),
    "waiting": ("before wait 1",),
    "asking": ("before smoke 1",),
    "removal": ("before delete ConfigMap 1", "after delete ConfigMap 1"),
    "record": ("before apply Secret 2",),
    "artifact": ("before artifact 1",),
}


@pytest.fixture(scope="module")
def on(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """A field with a release on it."""
    with node_field(tmp_path_factory.mktemp("faults"), node) as on:
        assert run(on.command(settled(on))) == 0
        yield on


def settled(on: Field, **more: object) -> Release:
    """The next version: it changes one ConfigMap, brings one, and lacks one of the last version."""
    number = str(on.number + 1)
    brought = on.settings(f"only-{number}"), on.settings("settings", number=number)
    return on.release(*brought, **more)  # type: ignore[arg-type]


def ends_well(on: Field, release: Release, command: list[str]) -> None:
    """The same command again, and all that is there then is `release`."""
    assert run(command) == 0
    on.runs(release)
    assert on.names() == {"settings", f"only-{release.version.split('.')[1]}"}


@pytest.mark.parametrize("moment", [each for step in MOMENTS.values() for each in step])
def test_killed_it_is_run_again(on: Field, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    release = settled(on)
    command = on.command(release)
    with held(moment, command) as process:
        process.kill()
        left = on.lease()
        assert (left is None) == (moment == "before artifact 1")
        assert left is None or f"process {process.pid}" in lease.holder_of(left)
    acquire = lease._acquire

    def at_once(
        cluster: Cluster, object_id: ObjectId, me: str, sleep: object
    ) -> tuple[JsonObject, float]:
        def unasked(seconds: float) -> None:
            pytest.fail("it waited for a process that is dead")

        return acquire(cluster, object_id, me, unasked)

    monkeypatch.setattr(lease, "_acquire", at_once)
    ends_well(on, release, command)


def test_an_api_server_that_starts_again_is_waited_for(on: Field) -> None:
    """It is away when the Deployment is to be written."""
    release = settled(on)
    command = on.command(release)
    restarting = threading.Thread(target=on.node.restart_apiserver)
    with held("before apply Deployment 1", command) as process:
        restarting.start()
        until(lambda: not listens(on))
        process.go()
        code, said = process.end()
    restarting.join()
    assert code == 0, said
    on.runs(release)


def listens(on: Field) -> bool:
    """Whether somebody is where the API server is."""
    url = json.loads(on.node.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    host, _, port = url.removeprefix("https://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False


def test_a_registry_that_starts_again_is_pushed_to_again(on: Field) -> None:
    release = settled(on, layers=(new_layer(6 * 1024**2),))
    command = on.command(release)
    with held("pushed 60 %", command) as process:
        on.node.restart_registry()
        process.go()
        code, said = process.end()
    assert code == 0, said
    on.runs(release)


def test_a_push_that_was_killed_goes_on_where_it_stopped(
    on: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    """Behaviour 13."""
    layers = tuple(new_layer(4 * 1024**2) for _ in range(2))
    release = settled(on, layers=layers)
    command = on.command(release)
    capsys.readouterr()
    assert run([*command, "--dry-run", "--json"]) == 0
    before = json.loads(capsys.readouterr().out)["push"]
    there = set(on.stored())
    with held("pushed 80 %", command) as process:
        until(lambda: any("_layers" in each for each in set(on.stored()) - there))
        process.kill()
    assert run([*command, "--json"]) == 0
    after = json.loads(capsys.readouterr().out)["push"]
    assert 0 < after["blobs"] < before["blobs"]
    assert before["bytes"] - after["bytes"] >= min(map(len, layers))
    on.runs(release)


def test_the_second_of_two_installs_is_refused(
    on: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    release = settled(on, command=GATED)
    command = on.command(release)
    with held("before wait 1", command) as process:
        process.go()
        until(lambda: on.installed().journal is not None and _runs(on, release))
        assert run(command) == 8
        said = capsys.readouterr().err
        assert "another install of this release is going on" in said
        assert f"process {process.pid}" in said
        [pod] = [each for each in on.pods() if _is_of(each, release)]
        opened = on.node.exec_in(pod, ["/bin/busybox", "touch", "/tmp/open"])
        assert opened.returncode == 0, opened.stderr
        code, told = process.end()
    assert code == 0, told
    on.runs(release)


def _is_of(pod: JsonObject, release: Release) -> bool:
    number = release.version.split(".")[1]
    return {"name": "NUMBER", "value": number} in pod["spec"]["containers"][0]["env"]


def _runs(on: Field, release: Release) -> bool:
    """Whether the server's program has been started."""
    states = [
        each["state"]
        for pod in on.pods()
        if _is_of(pod, release)
        for each in pod["status"].get("containerStatuses", ())
    ]
    return any("running" in each for each in states)


def test_a_login_that_ends_in_the_middle(on: Field, tmp_path: Path) -> None:
    """Its account is gone; with a new token in the kubeconfig the same command continues."""
    user = f"{on.mark}-user"
    everything = [rule("*", "*", "*")]
    on.cluster.apply(namespace(user))

    def log_in() -> Path:
        path, admin = tmp_path / "kubeconfig", on.node.kubeconfig
        make = on.cluster.apply
        return write_user(path, admin, on.cluster, user, everything, everything, make)

    release = settled(on)
    command = on.command(release, kubeconfig=log_in())
    with held("before apply Deployment 1", command) as process:
        account = ObjectId("v1", "ServiceAccount", user, "operator")
        live = on.cluster.get(account)
        assert live is not None
        on.cluster.delete(account, live["metadata"]["uid"])
        until(lambda: not _is_let_in(tmp_path / "kubeconfig"))
        process.go()
        code, said = process.end()
    assert code == 8
    assert "refused the login of the user 'admin', by its token" in said
    assert "going back failed, too" in said
    assert "the same command again continues" in said
    log_in()
    ends_well(on, release, command)
    for each in (ObjectId("v1", "Namespace", None, user), *_rights(user)):
        live = on.cluster.get(each)
        assert live is not None
        on.cluster.delete(each, live["metadata"]["uid"])


def _rights(user: str) -> Iterator[ObjectId]:
    for kind in ("ClusterRole", "ClusterRoleBinding"):
        yield ObjectId("rbac.authorization.k8s.io/v1", kind, None, f"{user}-operator")


def _is_let_in(kubeconfig: Path) -> bool:
    cluster = open_cluster(kubeconfig, None, "airbundle-tests")
    try:
        cluster.read("/api/v1/namespaces/default")
    except ClusterError:
        return False
    finally:
        cluster.close()
    return True


def test_an_image_that_is_gone_from_the_registry_goes_back_and_is_pushed_again(
    on: Field,
) -> None:
    before, names = on.record(), on.names()
    release = settled(on, layers=(new_layer(1024),), deadline=20)
    command = on.command(release)
    with held("before apply Deployment 1", command) as process:
        _forget_images(on, release)
        process.go()
        code, said = process.end()
    assert code == 8
    assert "ImagePull" in said
    assert "nodes must reach the registry" in said, said
    assert "is what runs, as before" in said
    assert (on.record(), on.names(), on.answers()) == (before, names, True)
    ends_well(on, release, command)


def _forget_images(on: Field, release: Release) -> None:
    """Takes the manifest away, as a registry's own clean-up may."""
    [digest] = {
        word
        for obj in release.objects
        if obj["kind"] == "Deployment"
        for word in [obj["spec"]["template"]["spec"]["containers"][0]["image"].split("@")[1]]
    }
    revisions = [
        path
        for path in on.node.storage.glob(f"docker/registry/v2/repositories/{on.mark}/**/revisions")
        if (path / "sha256" / digest.removeprefix("sha256:")).exists()
    ]
    assert revisions
    for path in revisions:
        (path / "sha256" / digest.removeprefix("sha256:") / "link").unlink()
        for tag in (path.parent / "tags").glob(f"*{digest.removeprefix('sha256:')[:16]}*"):
            (tag / "current" / "link").unlink()


def test_what_others_keep_beside_it_is_left_alone(on: Field) -> None:
    """Behaviour 19, after all that went before: the release's own ConfigMaps came and went."""
    theirs = on.cluster.apply(config_map(on.mark, "theirs", key="value"))
    release = settled(on)
    assert run(on.command(release)) == 0
    assert on.names() == {"settings", f"only-{on.number}", "theirs"}
    live = on.get("ConfigMap", "theirs")
    assert live is not None
    assert live["metadata"]["resourceVersion"] == theirs["metadata"]["resourceVersion"]
    on.cluster.delete(ObjectId.of(live), live["metadata"]["uid"])
