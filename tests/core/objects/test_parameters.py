"""Parameters: where they may point, what they may be, and what they change."""

from __future__ import annotations

import copy
from typing import Any, Literal

import pytest

from bundler.core.documents.bundle import Parameter, ParameterTarget
from bundler.core.errors import PolicyError, UsageError
from bundler.core.findings import Finding
from bundler.core.objects.parameters import Value, check, require_allowed, substitute, values
from bundler.core.reference import PLACEHOLDER_HOST

Type = Literal["string", "integer", "boolean", "enum"]


def parameter(
    *targets: ParameterTarget,
    name: str = "size",
    type: Type = "string",
    default: Value = "standard",
    pattern: str | None = None,
    choices: tuple[str, ...] = (),
) -> Parameter:
    return Parameter(
        name=name,
        type=type,
        default=default,
        description="what it does",
        targets=targets,
        pattern=pattern,
        values=choices,
    )


def obj(kind: str, api: str = "v1", **body: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "x", "namespace": "s"}, **body}


POD: dict[str, Any] = {
    "serviceAccountName": "sa",
    "automountServiceAccountToken": False,
    "hostNetwork": False,
    "hostAliases": [{"ip": "1.2.3.4"}],
    "runtimeClassName": "nvidia",
    "dnsConfig": {"nameservers": ["10.0.0.1"]},
    "securityContext": {"runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "c",
            "image": f"{PLACEHOLDER_HOST}/a@sha256:{'0' * 64}",
            "command": ["run"],
            "args": ["--fast"],
            "env": [
                {"name": "A", "value": "x"},
                {"name": "B", "value": f"{PLACEHOLDER_HOST}/b"},
                {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ],
            "envFrom": [{"secretRef": {"name": "s"}}],
            "workingDir": "/",
            "volumeMounts": [{"name": "v", "mountPath": "/m", "subPath": "x"}],
            "volumeDevices": [{"name": "v", "devicePath": "/d"}],
            "ports": [{"containerPort": 80, "hostPort": 80}],
            "securityContext": {"privileged": False},
            "livenessProbe": {
                "exec": {"command": ["x"]},
                "httpGet": {"host": "h", "path": "/live"},
            },
            "lifecycle": {"preStop": {"exec": {"command": ["x"]}}},
        }
    ],
    "volumes": [
        {"name": "v", "hostPath": {"path": "/"}, "image": {"reference": "r"}},
        {
            "name": "w",
            "ephemeral": {
                "volumeClaimTemplate": {"spec": {"storageClassName": "c", "volumeName": "v"}}
            },
        },
    ],
}
C = "/spec/template/spec/containers/0"
CLAIM = "/spec/template/spec/volumes/1/ephemeral/volumeClaimTemplate/spec"
RBAC = "rbac.authorization.k8s.io/v1"
ADMISSION = "admissionregistration.k8s.io/v1"
OBJECTS: list[dict[str, Any]] = [
    obj("Deployment", "apps/v1", spec={"replicas": 2, "paused": False, "template": {"spec": POD}}),
    obj(
        "ConfigMap",
        data={"host": "db", "run.sh": "echo", "a/b.py": "1", "text": "airbundle.invalid/models/m"},
    ),
    obj("Ingress", "networking.k8s.io/v1", spec={"rules": [{"host": "a.corp"}]}),
    obj("Role", RBAC, rules=[{"verbs": ["get"]}]),
    obj("ClusterRole", RBAC, aggregationRule={"clusterRoleSelectors": [{"a": "b"}]}),
    obj("RoleBinding", RBAC, roleRef={"name": "r"}, subjects=[{"name": "u"}]),
    obj("Policy", "acme.io/v1", spec={"roleRef": {"name": "r"}, "subjects": [{"name": "u"}]}),
    obj("ValidatingWebhookConfiguration", ADMISSION, webhooks=[{"clientConfig": {"url": "u"}}]),
    obj("ValidatingAdmissionPolicy", ADMISSION, spec={"failurePolicy": "Fail"}),
    obj(
        "CustomResourceDefinition",
        "apiextensions.k8s.io/v1",
        spec={"conversion": {"webhook": {"clientConfig": {"url": "u"}}}},
    ),
    obj("PersistentVolume", spec={"nfs": {"server": "s"}, "storageClassName": "c"}),
    obj(
        "Custom",
        "acme.io/v1",
        image="plain",
        command="c",
        runtimeImage="plain",
        IMAGES=["plain"],
        args="a",
        serviceAccount="sa",
        storageUri="pvc://m",
        storageUris=[{"uri": "pvc://m"}],
        webhook={"path": "/"},
        webhooks=[{"name": "w"}],
        clientConfig={"url": "u"},
        hostPID="p",
    ),
    {
        **obj("Secret", type="Opaque", stringData={"password": "p"}),
        "metadata": {
            "name": "x",
            "namespace": "s",
            "annotations": {"kubernetes.io/service-account.name": "a", "note": "n"},
        },
    },
    obj("APIService", "apiregistration.k8s.io/v1", spec={"insecureSkipTLSVerify": False}),
    obj("GroupRestriction", "authorization.openshift.io/v1", groupNames=["g"]),
    obj("NetworkPolicy", "networking.k8s.io/v1", spec={"podSelector": {"app": "x"}}),
    obj("CiliumNetworkPolicy", "cilium.io/v2", specs=[{"egress": "e"}]),
    obj("EndpointSlice", "discovery.k8s.io/v1", endpoints=[{"addresses": ["10.0.0.1"]}]),
    obj(
        "PersistentVolumeClaim",
        spec={
            "volumeName": "v",
            "storageClassName": "c",
            "dataSource": {"name": "d"},
            "dataSourceRef": {"name": "d"},
            "resources": {"requests": {"storage": "1Gi"}},
        },
    ),
    obj(
        "StorageClass",
        "storage.k8s.io/v1",
        provisioner="p",
        parameters={"server": "s"},
        mountOptions=["o"],
        reclaimPolicy="Retain",
    ),
    obj("VolumeAttributesClass", "storage.k8s.io/v1", driverName="d", parameters={"iops": "1"}),
    obj("Service", spec={"externalName": "e", "externalIPs": ["1.2.3.4"], "type": "ClusterIP"}),
    obj(
        "InferenceService",
        "serving.kserve.io/v1beta1",
        spec={"predictor": {"model": {"storage": {"path": "p", "key": "k"}}}},
    ),
    obj(
        "Workflow",
        "argoproj.io/v1alpha1",
        spec={"templates": [{"script": {"language": "sh"}, "source": "echo"}]},
    ),
    {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "x",
            "namespace": "s",
            "labels": {"pod-security.kubernetes.io/enforce": "restricted", "tier": "a"},
        },
    },
]


def findings(kind: str, path: str, type: Type = "string") -> tuple[Finding, ...]:
    target = ParameterTarget(kind, "x", path)
    return check([parameter(target, type=type)], {"dev": OBJECTS})


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Deployment", f"{C}/image"),
        ("Deployment", f"{C}/command/0"),
        ("Deployment", f"{C}/args/0"),
        ("Deployment", f"{C}/livenessProbe/exec/command/0"),
        ("Deployment", f"{C}/lifecycle/preStop/exec/command/0"),
        ("Deployment", f"{C}/securityContext/privileged"),
        ("Deployment", "/spec/template/spec/securityContext/runAsUser"),
        ("Deployment", "/spec/template/spec/securityContext/seccompProfile/type"),
        ("Deployment", "/spec/template/spec/serviceAccountName"),
        ("Deployment", "/spec/template/spec/automountServiceAccountToken"),
        ("Deployment", "/spec/template/spec/hostNetwork"),
        ("Deployment", "/spec/template/spec/hostAliases/0/ip"),
        ("Deployment", f"{C}/ports/0/hostPort"),
        ("Deployment", f"{C}/livenessProbe/httpGet/host"),
        ("Deployment", "/spec/template/spec/volumes/0/hostPath/path"),
        ("Deployment", "/spec/template/spec/volumes/0/image/reference"),
        ("Deployment", "/spec/template/spec/volumes/0/name"),
        ("Deployment", f"{CLAIM}/volumeName"),
        ("Deployment", f"{C}/env/1/value"),
        ("ConfigMap", "/data/text"),
        ("Deployment", f"{C}/env/0/name"),
        ("Deployment", f"{C}/env/2/valueFrom/secretKeyRef/name"),
        ("Deployment", f"{C}/envFrom/0/secretRef/name"),
        ("Deployment", f"{C}/workingDir"),
        ("Deployment", f"{C}/volumeMounts/0/mountPath"),
        ("Deployment", f"{C}/volumeDevices/0/devicePath"),
        ("Deployment", "/spec/template/spec/dnsConfig/nameservers/0"),
        ("Deployment", "/metadata"),
        ("ConfigMap", "/data/run.sh"),
        ("ConfigMap", "/data/a~1b.py"),
        ("Secret", "/type"),
        ("Secret", "/metadata/annotations/kubernetes.io~1service-account.name"),
        ("APIService", "/spec/insecureSkipTLSVerify"),
        ("APIService", "/metadata/name"),
        ("GroupRestriction", "/groupNames/0"),
        ("NetworkPolicy", "/spec/podSelector/app"),
        ("CiliumNetworkPolicy", "/specs/0/egress"),
        ("EndpointSlice", "/endpoints/0/addresses/0"),
        ("PersistentVolumeClaim", "/spec/volumeName"),
        ("PersistentVolumeClaim", "/spec/dataSource/name"),
        ("PersistentVolumeClaim", "/spec/dataSourceRef/name"),
        ("StorageClass", "/provisioner"),
        ("StorageClass", "/parameters/server"),
        ("StorageClass", "/mountOptions/0"),
        ("VolumeAttributesClass", "/driverName"),
        ("Service", "/spec/externalName"),
        ("Service", "/spec/externalIPs/0"),
        ("InferenceService", "/spec/predictor/model/storage/path"),
        ("Workflow", "/spec/templates/0/script/language"),
        ("Workflow", "/spec/templates/0/source"),
        ("Custom", "/runtimeImage"),
        ("Custom", "/IMAGES/0"),
        ("Deployment", "/kind"),
        ("Deployment", "/apiVersion"),
        ("Deployment", "/metadata/name"),
        ("Deployment", "/metadata/namespace"),
        ("Namespace", "/metadata/labels/pod-security.kubernetes.io~1enforce"),
        ("Role", "/rules/0/verbs/0"),
        ("ClusterRole", "/aggregationRule/clusterRoleSelectors/0/a"),
        ("RoleBinding", "/roleRef/name"),
        ("RoleBinding", "/subjects/0/name"),
        ("Policy", "/spec/roleRef/name"),
        ("Policy", "/spec/subjects/0/name"),
        ("ValidatingWebhookConfiguration", "/webhooks/0/clientConfig/url"),
        ("ValidatingAdmissionPolicy", "/spec/failurePolicy"),
        ("CustomResourceDefinition", "/spec/conversion/webhook/clientConfig/url"),
        ("PersistentVolume", "/spec/nfs/server"),
        ("PersistentVolume", "/spec"),
        ("Custom", "/image"),
        ("Custom", "/command"),
        ("Custom", "/args"),
        ("Custom", "/serviceAccount"),
        ("Custom", "/storageUri"),
        ("Custom", "/storageUris/0/uri"),
        ("Custom", "/webhook/path"),
        ("Custom", "/webhooks/0/name"),
        ("Custom", "/clientConfig/url"),
        ("Custom", "/hostPID"),
    ],
)
def test_a_forbidden_place_is_an_error(kind: str, path: str) -> None:
    (finding,) = findings(kind, path)
    assert (finding.rule, finding.severity, finding.subject) == ("parameters", "error", f"{kind} x")
    assert finding.message.startswith(f"parameter size: {path} ")
    assert finding.message.endswith("which no parameter may change")


@pytest.mark.parametrize("path", ["/kind", "/metadata/name", f"{C}/command/0"])
@pytest.mark.parametrize("type", ["string", "integer", "boolean", "enum"])
def test_a_forbidden_place_is_refused_once_more_on_the_far_side(path: str, type: Type) -> None:
    given = parameter(ParameterTarget("Deployment", "x", path), type=type, default=7)
    with pytest.raises(PolicyError, match=f"parameter size: {path} is .*no parameter may change"):
        require_allowed([given], OBJECTS)


def test_a_value_of_another_type_is_refused_once_more_on_the_far_side() -> None:
    given = parameter(ParameterTarget("ConfigMap", "x", "/data/host"), type="integer", default=7)
    with pytest.raises(PolicyError, match="expected one int to replace, found str"):
        require_allowed([given], OBJECTS)


def test_a_place_that_is_not_in_this_target_is_nothing_to_refuse() -> None:
    require_allowed([parameter(ParameterTarget("Deployment", "y", "/kind"))], OBJECTS)


@pytest.mark.parametrize(
    ("kind", "path", "type"),
    [
        ("Deployment", "/spec/replicas", "integer"),
        ("Deployment", "/spec/paused", "boolean"),
        ("Deployment", "/spec/template/spec/runtimeClassName", "enum"),
        ("Deployment", f"{CLAIM}/storageClassName", "string"),
        ("Deployment", f"{C}/env/0/value", "string"),
        ("Deployment", f"{C}/livenessProbe/httpGet/path", "string"),
        ("ConfigMap", "/data/host", "string"),
        ("Ingress", "/spec/rules/0/host", "string"),
        ("PersistentVolume", "/spec/storageClassName", "string"),
        ("PersistentVolumeClaim", "/spec/resources/requests/storage", "string"),
        ("PersistentVolumeClaim", "/spec/storageClassName", "string"),
        ("StorageClass", "/reclaimPolicy", "string"),
        ("Secret", "/stringData/password", "string"),
        ("Secret", "/metadata/annotations/note", "string"),
        ("Service", "/spec/type", "string"),
        ("Namespace", "/metadata/labels/tier", "string"),
    ],
)
def test_an_allowed_place_is_not(kind: str, path: str, type: Type) -> None:
    assert findings(kind, path, type) == ()


@pytest.mark.parametrize(
    ("path", "type", "words"),
    [
        ("/spec/replicas", "string", "expected one str to replace, found int"),
        ("/spec/replicas", "boolean", "expected one bool to replace, found int"),
        ("/spec/paused", "integer", "expected one int to replace, found bool"),
        ("/spec/paused", "enum", "expected one str to replace, found bool"),
        ("/spec/template/spec/containers", "string", "found list"),
        ("/spec/template/spec", "string", "found dict"),
        ("/spec/nothing", "string", "isn't there in any target"),
        ("/spec/template/spec/containers/1/name", "string", "isn't there in any target"),
    ],
)
def test_a_place_must_be_one_scalar_of_the_type(path: str, type: Type, words: str) -> None:
    (finding,) = findings("Deployment", path, type)
    assert words in finding.message


@pytest.mark.parametrize(
    "target",
    [
        ParameterTarget("Deployment", "y", "/spec/replicas"),
        ParameterTarget("StatefulSet", "x", "/spec/replicas"),
        ParameterTarget("Deployment", "x", "/spec/replicas", "other"),
    ],
)
def test_an_object_that_is_not_there_is_an_error(target: ParameterTarget) -> None:
    (finding,) = check([parameter(target, type="integer")], {"dev": OBJECTS, "prod": []})
    assert "isn't there in any target" in finding.message


def test_one_target_that_has_the_place_is_enough() -> None:
    target = ParameterTarget("Deployment", "x", "/spec/replicas", "s")
    assert check([parameter(target, type="integer")], {"dev": [], "prod": OBJECTS}) == ()


def test_a_place_in_two_objects_of_one_target_is_an_error() -> None:
    twin = copy.deepcopy(OBJECTS[0])
    twin["metadata"]["namespace"] = "other"
    target = ParameterTarget("Deployment", "x", "/spec/replicas")
    given = parameter(target, type="integer")
    (finding,) = check([given], {"dev": [*OBJECTS, twin]})
    assert "fits Deployment s/x" in finding.message
    assert "Deployment other/x" in finding.message
    with pytest.raises(PolicyError, match="give the target a namespace"):
        substitute([*OBJECTS, twin], [given], {"size": 3})


INTEGER = parameter(name="replicas", type="integer", default=1)
SWITCH = parameter(name="debug", type="boolean", default=False)
CHOICE = parameter(name="tier", type="enum", default="a", choices=("a", "b"))
TEXT = parameter(name="storageClass", pattern="[a-z-]{1,8}")
FREE = parameter(name="free", pattern=".*")
ALL = (INTEGER, SWITCH, CHOICE, TEXT, FREE)


def test_without_settings_the_defaults_hold() -> None:
    assert values(ALL, {}) == {
        "replicas": 1,
        "debug": False,
        "tier": "a",
        "storageClass": "standard",
        "free": "standard",
    }


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("replicas", "0", 0),
        ("replicas", "-12", -12),
        ("replicas", "9223372036854775807", 2**63 - 1),
        ("debug", "true", True),
        ("debug", "false", False),
        ("tier", "b", "b"),
        ("storageClass", "fast", "fast"),
    ],
)
def test_a_setting_becomes_a_value_of_the_type(name: str, text: str, expected: Value) -> None:
    value = values(ALL, {name: text})[name]
    assert (type(value), value) == (type(expected), expected)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("replicas", "", "an integer"),
        ("replicas", "1.0", "an integer"),
        ("replicas", "01", "an integer"),
        ("replicas", "+1", "an integer"),
        ("replicas", "-0", "an integer"),
        ("replicas", " 1", "an integer"),
        ("replicas", "1\n", "an integer"),
        ("replicas", "1_0", "an integer"),
        ("replicas", "\u0661", "an integer"),
        ("replicas", "9223372036854775808", "an integer"),
        ("replicas", "1" * 5000, "an integer"),
        ("debug", "True", "true or false"),
        ("debug", "1", "true or false"),
        ("tier", "c", "one of a, b"),
        ("storageClass", "Fast", "what matches"),
        ("storageClass", "fast\n", "what matches"),
        ("storageClass", "fast-and-long", "what matches"),
        ("free", "x" * 1025, "1024 characters at most"),
        ("free", f"{PLACEHOLDER_HOST}/x", "a value without airbundle.invalid"),
        ("free", "AIRBUNDLE.invalid/models/x", "a value without airbundle.invalid"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(name: str, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=f"parameter {name}: expected {words}"):
        values(ALL, {name: text})


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="'storageclas'") as raised:
        values(ALL, {"storageclas": "x"})
    assert raised.value.hint == "did you mean storageClass?"
    with pytest.raises(UsageError, match="'x'") as raised:
        values((), {"x": "y"})
    assert raised.value.hint == "this bundle has no parameters"


def test_substitution_changes_the_places_and_nothing_else() -> None:
    replicas = parameter(
        ParameterTarget("Deployment", "x", "/spec/replicas"),
        ParameterTarget("StatefulSet", "not-here", "/spec/replicas"),
        name="replicas",
        type="integer",
    )
    host = parameter(ParameterTarget("ConfigMap", "x", "/data/host"), name="host")
    before = copy.deepcopy(OBJECTS)
    changed = substitute(OBJECTS, [replicas, host], {"replicas": 7, "host": "other"})
    assert before == OBJECTS
    before[0]["spec"]["replicas"] = 7
    before[1]["data"]["host"] = "other"
    assert list(changed) == before
