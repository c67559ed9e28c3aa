"""What a real cluster refuses, or never gets ready: what ran before runs on, and nothing is left.

Behaviours 15, 20 and 21. Each test finds one whole release, and leaves one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bundler.cli.main import run
from bundler.cluster.client import Cluster, open_cluster
from bundler.core.errors import ClusterError
from bundler.core.objects.manifests import JsonObject, ObjectId
from tests.cluster.node import Node
from tests.cluster.users import rule, write_user
from tests.heldcommand import held
from tests.nodefield import CRASHES, DEADLINE, Field, new_layer, node_field, until
from tests.releases import crd, namespace

_OFTEN = 0.1

Told = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def on(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """A field with a release on it."""
    with node_field(tmp_path_factory.mktemp("refused"), node) as on:
        assert run(on.command(on.release(on.settings("settings", key="first")))) == 0
        yield on


@pytest.fixture
def empty(node: Node, tmp_path: Path) -> Iterator[Field]:
    """A field where nothing was installed yet."""
    with node_field(tmp_path, node) as empty:
        yield empty


def refused(command: list[str], capsys: Told, *said: str) -> None:
    """A command that the cluster doesn't let end well, and what it says then."""
    capsys.readouterr()
    assert run(command) == 8
    err = capsys.readouterr().err
    for each in said:
        assert each in err, err


def away(cluster: Cluster, object_id: ObjectId) -> None:
    if (live := cluster.get(object_id)) is not None:
        cluster.delete(object_id, live["metadata"]["uid"])


@contextmanager
def made(cluster: Cluster, obj: JsonObject) -> Iterator[None]:
    """An object that is there for a while."""
    cluster.apply(obj)
    try:
        yield
    finally:
        away(cluster, ObjectId.of(obj))


def whole(on: Field) -> tuple[object, ...]:
    """What must be the same when it went back: record, server, settings."""
    [pod] = on.pods()
    [status] = pod["status"]["containerStatuses"]
    live = on.get("ConfigMap", "settings")
    assert live is not None
    assert on.lease() is None
    served = pod["metadata"]["uid"], status["restartCount"], on.answers()
    return on.record(), live["data"], on.names(), *served


class Asking:
    """Asks the server all the time, as its users do."""

    def __init__(self, on: Field) -> None:
        self._on = on
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.answers: list[bool] = []

    def _ask(self) -> None:
        cluster = open_cluster(self._on.node.kubeconfig, None, "airbundle-tests")
        on = Field(self._on.folder, self._on.node, cluster, self._on.mark)
        while not self._end.wait(_OFTEN):
            self.answers.append(on.answers())
        cluster.close()

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def test_an_upgrade_that_crashes_goes_back_and_nobody_notices(on: Field, capsys: Told) -> None:
    before = whole(on)
    assert before[-2:] == (0, True)
    brought = on.settings("settings", key="second"), on.settings("brought")
    broken = on.release(*brought, command=CRASHES, deadline=DEADLINE)
    with Asking(on) as asking:
        refused(
            on.command(broken),
            capsys,
            f"Deployment {on.mark}/web: ",
            "exit code 3",
            "| about to fail",
            f"{on.name} 1.1.0 is what runs, as before",
        )
    until(lambda: len(on.pods()) == 1)
    assert whole(on) == before
    assert len(asking.answers) > 10
    assert all(asking.answers)


def test_a_first_install_that_crashes_leaves_nothing(empty: Field, capsys: Told) -> None:
    broken = empty.release(empty.settings("one"), command=CRASHES, deadline=DEADLINE)
    refused(empty.command(broken), capsys, "exit code 3", "what it made was removed again")
    for name in (empty.mark, empty.home):
        assert empty.cluster.get(ObjectId("v1", "Namespace", None, name)) is None
    leases = empty.cluster.list(ObjectId("coordination.k8s.io/v1", "Lease", None, "any"))
    secrets = empty.cluster.list(ObjectId("v1", "Secret", None, "any"))
    assert not any(empty.mark in each["metadata"]["name"] for each in (*leases, *secrets))
    # In a namespace that is gone for real, another try begins anew.
    mended = empty.release(empty.settings("one"))
    assert run(empty.command(mended)) == 0
    empty.runs(mended)


def webhook(on: Field) -> JsonObject:
    """One that has to be asked about ConfigMaps, and that nobody is behind."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    hook = {
        "name": "policy.example.org",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "rules": [rule | {"operations": ["CREATE", "UPDATE"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": on.mark}},
        "clientConfig": {"url": f"https://{on.node.registry.split(':')[0]}:9/"},
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": on.mark},
        "webhooks": [hook],
    }


def _refuses(on: Field) -> bool:
    """Whether the API server has heard of the webhook."""
    try:
        on.cluster.apply(on.settings("tried"), dry_run=True)
    except ClusterError:
        return True
    return False


def test_a_webhook_that_refuses_is_found_by_the_plan(on: Field, capsys: Told) -> None:
    before, stored = whole(on), on.stored()
    release = on.release(on.settings("settings", key="third"), layers=(new_layer(64),))
    command = on.command(release)
    with made(on.cluster, webhook(on)):
        until(lambda: _refuses(on))
        refused(command, capsys, 'webhook "policy.example.org"', "has to be asked and can't be")
    assert (whole(on), on.stored()) == (before, stored)
    until(lambda: not _refuses(on))
    assert run(command) == 0
    on.runs(release)


def test_a_webhook_that_comes_in_the_middle_holds_up_no_other_try(on: Field) -> None:
    """It refuses what goes back, too; the same command again continues."""
    release = on.release(on.settings("settings", key="fourth"))
    command = on.command(release)
    with held("before apply ConfigMap 1", command) as process, made(on.cluster, webhook(on)):
        until(lambda: _refuses(on))
        process.go()
        code, said = process.end()
    assert code == 8
    assert 'webhook "policy.example.org"' in said
    assert "going back failed, too" in said
    assert "the same command again continues" in said
    assert on.answers()
    until(lambda: not _refuses(on))
    assert run(command) == 0
    on.runs(release)
    assert whole(on)[1] == {"key": "fourth"}


def test_a_namespace_that_hangs_is_named_with_what_holds_it(empty: Field, capsys: Told) -> None:
    space = ObjectId("v1", "Namespace", None, empty.mark)
    empty.cluster.apply(namespace(empty.mark))
    held_by = empty.settings("hangs")
    held_by["metadata"]["finalizers"] = ["example.org/hangs"]
    empty.cluster.apply(held_by)
    away(empty.cluster, space)
    until(lambda: "example.org/hangs" in str((empty.cluster.get(space) or {}).get("status")))
    release = empty.release()
    command = empty.command(release)
    refused(
        command,
        capsys,
        f"Namespace {empty.mark}: is being deleted since",
        "Some content in the namespace has finalizers remaining: example.org/hangs",
        "wait until it is gone, then the same command again",
    )
    assert empty.stored() == []
    # Without its finalizer it goes.
    empty.cluster.apply(empty.settings("hangs"))
    until(lambda: empty.cluster.get(space) is None)
    assert run(command) == 0
    empty.runs(release)


def test_a_crd_of_another_version_is_found_before_the_first_push(on: Field, capsys: Told) -> None:
    before, stored = whole(on), on.stored()
    group = f"{on.mark}.example.org"
    definition = crd(group, "Thing")
    thing: JsonObject = {"apiVersion": f"{group}/v2", "kind": "Thing"}
    thing |= {"metadata": {"name": "one", "namespace": on.mark}, "spec": {"text": "two"}}
    settings = on.settings("settings", key="fifth")
    command = on.command(release := on.release(settings, thing, layers=(new_layer(64),)))
    with made(on.cluster, definition):
        anything = ObjectId(f"{group}/v1", "Thing", on.mark, "any")
        until(lambda: _serves(on, anything))
        refused(command, capsys, f"has no Thing in {group}/v2, but in {group}/v1")
        assert (whole(on), on.stored()) == (before, stored)
        [version] = definition["spec"]["versions"]
        later = version | {"name": "v2", "storage": False}
        definition["spec"]["versions"] = [version, later]
        on.cluster.apply(definition)
        until(lambda: _serves(on, ObjectId(f"{group}/v2", "Thing", on.mark, "any")))
        assert run(command) == 0
        on.runs(release)
        assert run(on.command(on.release(settings))) == 0


def _serves(on: Field, thing: ObjectId) -> bool:
    on.cluster.forget()
    return on.cluster.resource(thing) is not None


def test_what_is_missing_is_found_at_once_before_the_first_push(
    on: Field, capsys: Told, tmp_path: Path
) -> None:
    """Behaviour 21, for a user with few rights: disk, GPU, storage class and CRD."""
    before, stored = whole(on), on.stored()
    claim: JsonObject = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    claim |= {"metadata": {"name": "data", "namespace": on.mark}}
    claim["spec"] = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "lost",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    thing: JsonObject = {"apiVersion": "example.org/v1", "kind": "Lost"}
    thing |= {"metadata": {"name": "one", "namespace": on.mark}}
    wanted = {"limits": {"nvidia.com/gpu": "1"}, "requests": {"ephemeral-storage": "1Gi"}}
    release = on.release(claim, thing, resources=wanted, layers=(new_layer(64),))
    refused(
        on.command(release),
        capsys,
        "example.org/v1",
        "lost",
        "nvidia.com/gpu",
    )
    assert (whole(on), on.stored()) == (before, stored)
    user = f"{on.mark}-user"
    with made(on.cluster, namespace(user)):
        look = rule("*", "*", "get list watch")
        path = tmp_path / "kubeconfig"
        write_user(path, on.node.kubeconfig, on.cluster, user, [look], [look])
        release = on.release(on.settings("settings", key="sixth"), layers=(new_layer(64),))
        refused(on.command(release, kubeconfig=path), capsys, "rights", "secrets")
    for kind in ("ClusterRole", "ClusterRoleBinding"):
        version = "rbac.authorization.k8s.io/v1"
        away(on.cluster, ObjectId(version, kind, None, f"{user}-operator"))
    assert (whole(on), on.stored()) == (before, stored)


def test_a_node_without_disk_is_named_before_the_first_push(on: Field, capsys: Told) -> None:
    """Behaviour 15, of nodes: more than there is on the one that is there."""
    before, stored = whole(on), on.stored()
    wanted = {"requests": {"ephemeral-storage": "900Ti"}}
    release = on.release(on.settings("settings"), resources=wanted, layers=(new_layer(64),))
    refused(on.command(release), capsys, f"Deployment {on.mark}/web: 0 of 1", "ephemeral-storage")
    assert (whole(on), on.stored()) == (before, stored)


def test_a_node_that_takes_no_pods_is_named_until_it_does(on: Field, capsys: Told) -> None:
    before, stored = whole(on), on.stored()
    release = on.release(on.settings("settings", key="last"), layers=(new_layer(64),))
    command = on.command(release)
    place: JsonObject = {"apiVersion": "v1", "kind": "Node"}
    place["metadata"] = {"name": on.node.name}
    on.cluster.apply(place | {"spec": {"unschedulable": True}})
    try:
        refused(command, capsys, "none of 1 node takes pods: node is cordoned")
    finally:
        on.cluster.apply(place)
    assert (whole(on), on.stored()) == (before, stored)
    taint = ObjectId("v1", "Node", None, on.node.name)
    until(lambda: not (on.cluster.get(taint) or {})["spec"].get("taints"))
    assert run(command) == 0
    on.runs(release)
