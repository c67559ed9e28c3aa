"""The static view: what a reviewer must see of objects, wherever in them it stands."""

from __future__ import annotations

from typing import Any

from bundler.core.reports.staticview import static_view


def obj(kind: str, api: str = "v1", **fields: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "a", "namespace": "n"}, **fields}


RBAC = "rbac.authorization.k8s.io/v1"
IMAGE = "registry.airbundle.invalid/x/y@sha256:" + 64 * "0"


def test_objects_are_named_in_their_order() -> None:
    view = static_view([obj("Service"), obj("ConfigMap")])
    assert view.objects == ("Service n/a", "ConfigMap n/a")


def test_images_of_all_containers_and_volumes() -> None:
    pod = {
        "initContainers": [{"name": "i", "image": "first:1"}],
        "containers": [{"name": "c", "image": IMAGE}],
        "volumes": [{"name": "v", "image": {"reference": "weights:1"}}],
    }
    view = static_view([obj("Deployment", "apps/v1", spec={"template": {"spec": pod}})])
    assert view.images == ("first:1", IMAGE, "weights:1")


def test_models_in_arguments() -> None:
    pod = {"containers": [{"name": "c", "args": ["--from=airbundle.invalid/models/zero-shot,x"]}]}
    view = static_view([obj("Pod", spec=pod)])
    assert view.images == ("airbundle.invalid/models/zero-shot",)


def test_rights_of_roles_and_who_has_them() -> None:
    role = obj(
        "Role",
        RBAC,
        rules=[
            {"apiGroups": ["", "apps"], "resources": ["pods", "deployments"], "verbs": ["get"]},
            {"nonResourceURLs": ["/metrics"], "verbs": ["get", "post"]},
        ],
    )
    binding = obj(
        "RoleBinding",
        RBAC,
        roleRef={"kind": "Role", "name": "a"},
        subjects=[
            {"kind": "ServiceAccount", "name": "server", "namespace": "n"},
            {"kind": "Group", "name": "ops"},
        ],
    )
    assert static_view([role, binding]).rights == (
        "Role n/a: get pods, deployments of apps",
        "Role n/a: get, post /metrics",
        "RoleBinding n/a: Role a to Group ops",
        "RoleBinding n/a: Role a to ServiceAccount n/server",
    )


def test_ports_of_services_and_containers_and_of_the_host() -> None:
    service = obj("Service", spec={"type": "NodePort", "ports": [{"port": 80}]})
    pod = {
        "containers": [
            {"name": "c", "ports": [{"containerPort": 53, "protocol": "UDP", "hostPort": 5353}]}
        ]
    }
    view = static_view([service, obj("Pod", spec=pod)])
    assert view.ports == (
        "Pod n/a, container c: 53/UDP, host port 5353",
        "Service n/a: 80/TCP (NodePort)",
    )


def test_names_outside_of_the_cluster_whoever_allows_them() -> None:
    data = {"one": "https://example.com/x", "two": "server.n.svc", "three": "example.org:8443"}
    view = static_view([obj("ConfigMap", data=data)])
    assert view.external_names == ("example.com:443", "example.org:8443")


def test_an_object_without_any_of_it() -> None:
    view = static_view([obj("Namespace")])
    assert (view.images, view.rights, view.ports, view.external_names) == ((), (), (), ())
