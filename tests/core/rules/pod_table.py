"""Pods, and whether a namespace that enforces `restricted` admits them: one violation each."""

from __future__ import annotations

from typing import Any

from bundler.core.objects.manifests import JsonObject
from tests.core.rules.objects import IMAGE, container, pod, pod_spec

Case = tuple[str, JsonObject]
DEFAULT = {"type": "RuntimeDefault"}
APPARMOR = "container.apparmor.security.beta.kubernetes.io/web"


def of(spec: dict[str, Any], **metadata: Any) -> JsonObject:
    return pod(spec, **metadata)


def security(**fields: Any) -> JsonObject:
    """A pod whose securityContext has these fields; None takes one away."""
    own = {"runAsNonRoot": True, "seccompProfile": DEFAULT, **fields}
    context = {field: value for field, value in own.items() if value is not None}
    return of(pod_spec(securityContext=context))


def one(**fields: Any) -> JsonObject:
    """A pod whose only container has these fields."""
    return of(pod_spec(containers=[container(**fields)]))


def secured(**fields: Any) -> dict[str, Any]:
    """A container's securityContext with these fields; None takes one away."""
    own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, **fields}
    return {field: value for field, value in own.items() if value is not None}


def within(**fields: Any) -> JsonObject:
    """A pod whose only container's securityContext has these fields."""
    return one(securityContext=secured(**fields))


def volume(**source: Any) -> JsonObject:
    return of(pod_spec(volumes=[{"name": "v", **source}]))


def pod_without(*fields: str, **in_container: Any) -> JsonObject:
    """A pod without fields of its securityContext, its container with fields in its own."""
    context = {"runAsNonRoot": True, "seccompProfile": DEFAULT}
    for field in fields:
        del context[field]
    containers = [container(securityContext=secured(**in_container))]
    return of(pod_spec(securityContext=context, containers=containers))


_PROBE = {"httpGet": {"port": 80, "host": "10.0.0.1"}}
_CLAIM = {
    "volumeClaimTemplate": {
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        }
    }
}

ADMITTED: tuple[Case, ...] = (
    ("the plain one", of(pod_spec())),
    ("explicit defaults", of(pod_spec(hostNetwork=False, hostPID=False, hostIPC=False))),
    ("set by the container alone", pod_without(
        "runAsNonRoot", "seccompProfile", runAsNonRoot=True, seccompProfile=DEFAULT,
    )),
    ("a profile of the node", security(
        seccompProfile={"type": "Localhost", "localhostProfile": "p.json"},
    )),
    ("NET_BIND_SERVICE", within(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]})),
    ("root in a user namespace", of(pod_spec(
        hostUsers=False, securityContext={"seccompProfile": DEFAULT, "runAsUser": 0},
    ))),
    ("a user", security(runAsUser=1000)),
    ("safe sysctls", security(sysctls=[{"name": "net.ipv4.tcp_rmem", "value": "4096 87380 1"}])),
    ("a type of containers", security(seLinuxOptions={"type": "container_engine_t"})),
    ("a level", within(seLinuxOptions={"level": "s0:c1,c2"})),
    ("AppArmor's default", within(appArmorProfile={"type": "RuntimeDefault"})),
    ("an annotation for AppArmor", of(
        pod_spec(), annotations={APPARMOR: "localhost/p"},
    )),
    ("a port without the host's", one(ports=[{"containerPort": 8080}])),
    ("a probe of itself", one(readinessProbe={"httpGet": {"port": 8080, "path": "/ready"}})),
    ("an image volume", volume(image={"reference": IMAGE, "pullPolicy": "IfNotPresent"})),
    ("an empty folder", volume(emptyDir={"medium": "Memory", "sizeLimit": "1Gi"})),
    ("a volume of no type", volume()),
    ("a claim", volume(persistentVolumeClaim={"claimName": "cache"})),
    ("a claim of its own", volume(ephemeral=_CLAIM)),
    ("projected", volume(projected={"sources": []})),
    ("a driver", volume(csi={"driver": "inline.example.com"})),
    ("the downward API", volume(downwardAPI={"items": []})),
)  # fmt: skip

REFUSED: tuple[Case, ...] = (
    ("the host's network", of(pod_spec(hostNetwork=True))),
    ("the host's processes", of(pod_spec(hostPID=True))),
    ("the host's IPC", of(pod_spec(hostIPC=True))),
    ("a path of the host", volume(hostPath={"path": "/"})),
    ("NFS", volume(nfs={"server": "10.0.0.1", "path": "/"})),
    ("iSCSI", volume(iscsi={"targetPortal": "10.0.0.1", "iqn": "iqn.2001-04.com.a:x", "lun": 0})),
    ("escalation", within(allowPrivilegeEscalation=True)),
    ("escalation by default", within(allowPrivilegeEscalation=None)),
    ("escalation of an init container", of(pod_spec(
        initContainers=[container(name="i", securityContext={"capabilities": {"drop": ["ALL"]}})],
    ))),
    ("capabilities kept", within(capabilities=None)),
    ("capabilities half dropped", within(capabilities={"drop": ["NET_RAW"]})),
    ("capabilities in lower case", within(capabilities={"drop": ["all"]})),
    ("a capability added", within(capabilities={"drop": ["ALL"], "add": ["CHOWN"]})),
    ("a port of the host", one(ports=[{"containerPort": 80, "hostPort": 80}])),
    ("root allowed", pod_without("runAsNonRoot")),
    ("root by the pod", security(runAsNonRoot=False)),
    ("root by the container", within(runAsNonRoot=False)),
    ("root by the pod alone", pod_without("runAsNonRoot", runAsNonRoot=None)),
    ("user 0 of the pod", security(runAsUser=0)),
    ("user 0 of the container", within(runAsUser=0)),
    ("no seccomp", pod_without("seccompProfile")),
    ("seccomp unconfined", security(seccompProfile={"type": "Unconfined"})),
    ("seccomp unconfined in a container", within(seccompProfile={"type": "Unconfined"})),
    ("AppArmor unconfined", security(appArmorProfile={"type": "Unconfined"})),
    ("AppArmor unconfined in a container", within(appArmorProfile={"type": "Unconfined"})),
    ("AppArmor unconfined by annotation", of(
        pod_spec(), annotations={APPARMOR: "unconfined"},
    )),
    ("a type of SELinux", security(seLinuxOptions={"type": "spc_t"})),
    ("a user of SELinux", within(seLinuxOptions={"user": "system_u"})),
    ("a role of SELinux", within(seLinuxOptions={"role": "system_r"})),
    ("a sysctl", security(sysctls=[{"name": "kernel.msgmax", "value": "65536"}])),
    ("an unmasked /proc", of(pod_spec(
        hostUsers=False, containers=[container(securityContext=secured(procMount="Unmasked"))],
    ))),
    ("a probe elsewhere", one(livenessProbe=_PROBE)),
    ("a readiness probe elsewhere", one(readinessProbe=_PROBE)),
    ("a startup probe elsewhere", one(startupProbe={"tcpSocket": {"port": 80, "host": "a"}})),
    ("a call elsewhere at the start", one(lifecycle={"postStart": _PROBE})),
    ("a call elsewhere at the end", one(lifecycle={"preStop": _PROBE})),
)  # fmt: skip

# Violations that the API server takes for no pod at all when they come alone.
INSEPARABLE: tuple[tuple[str, JsonObject, set[str]], ...] = (
    (
        "a privileged container",
        within(privileged=True, allowPrivilegeEscalation=True),
        {"privileged", "allowPrivilegeEscalation"},
    ),
    (
        "a process of a Windows host",
        of(
            pod_spec(
                hostNetwork=True,
                securityContext={
                    "runAsNonRoot": True,
                    "seccompProfile": DEFAULT,
                    "windowsOptions": {"hostProcess": True},
                },
            )
        ),
        {"hostNetwork", "hostProcess"},
    ),
)
