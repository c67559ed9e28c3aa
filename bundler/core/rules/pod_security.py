"""Pod Security Standards, profile restricted, as the API server judges them.

Follows the checks of Go module ``k8s.io/pod-security-admission`` v0.36.3, package ``policy``,
evaluated for ``restricted`` at ``latest``, on every pod template in whatever kind it stands. Pods
are taken to run on Linux: what Windows is let off is not let off here. Where the API server would
refuse a value because of its type, this rule takes it for a violation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bundler.core.findings import Finding
from bundler.core.objects import jsonpointer
from bundler.core.objects.jsonpointer import Path
from bundler.core.objects.manifests import JsonObject, ObjectId
from bundler.core.rules.context import RuleContext
from bundler.core.rules.walk import CONTAINER_LISTS, Mapping, Pod, entries, lookup, pods

ID = "pod-security"

_VOLUME_TYPES = frozenset(
    """
    configMap csi downwardAPI emptyDir ephemeral image persistentVolumeClaim projected secret
    """.split()
)
_SYSCTLS = frozenset(
    """
    kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.ip_local_reserved_ports
    net.ipv4.ip_unprivileged_port_start net.ipv4.ping_group_range net.ipv4.tcp_fin_timeout
    net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_keepalive_time
    net.ipv4.tcp_rmem net.ipv4.tcp_syncookies net.ipv4.tcp_wmem
    """.split()
)
_SELINUX_TYPES = frozenset(
    {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)
_PROFILES = frozenset({"RuntimeDefault", "Localhost"})
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_PROBES = (
    ("livenessProbe",),
    ("readinessProbe",),
    ("startupProbe",),
    ("lifecycle", "postStart"),
    ("lifecycle", "preStop"),
)


@dataclass(frozen=True)
class Violation:
    """A place below the object and what is wrong there."""

    path: Path
    problem: str


@dataclass(frozen=True)
class Part:
    """A container, or the pod itself: what has a securityContext, and where it stands."""

    path: Path
    value: Mapping

    def get(self, *steps: str) -> Any:
        """The value at `steps` below the securityContext, None when there is none."""
        return lookup(self.value, "securityContext", *steps)

    def bad(self, problem: str, *steps: str) -> Violation:
        """A violation at `steps` below the securityContext."""
        return Violation((*self.path, "securityContext", *steps), problem)


Check = Callable[[Pod, Part, list[Part]], Iterator[Violation]]


def check(obj: JsonObject, _context: RuleContext) -> Iterator[Finding]:
    """A finding for each violation of each pod template in `obj`."""
    subject = str(ObjectId.of(obj))
    for pod in pods(obj):
        own = Part(pod.path, pod.spec)
        parts = [
            Part((*pod.path, field, index), container)
            for field in CONTAINER_LISTS
            for index, container in entries(pod.spec, field)
        ]
        for rule in CHECKS:
            for violation in rule(pod, own, parts):
                place = jsonpointer.spell(violation.path)
                yield Finding(ID, "error", subject, f"{place}: {violation.problem}", hint=_HINT)


_HINT = "a namespace that enforces the Pod Security profile restricted refuses this pod"


def _host_namespaces(pod: Pod, _own: Part, _parts: list[Part]) -> Iterator[Violation]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(field) not in (None, False):
            yield Violation((*pod.path, field), "must not be set: it shares the host's namespace")


def _volumes(pod: Pod, _own: Part, _parts: list[Part]) -> Iterator[Violation]:
    for index, volume in entries(pod.spec, "volumes"):
        # A volume without any type becomes an emptyDir before it is judged.
        types = {field for field in volume if field != "name" and volume[field] is not None}
        for field in sorted(types - _VOLUME_TYPES):
            path = (*pod.path, "volumes", index, field)
            yield Violation(path, f"volumes of type {field} are not allowed")


def _sysctls(_pod: Pod, own: Part, _parts: list[Part]) -> Iterator[Violation]:
    for index, sysctl in entries(own.value.get("securityContext"), "sysctls"):
        if not _is_one_of(sysctl.get("name"), _SYSCTLS):
            path = (*own.path, "securityContext", "sysctls", index)
            yield Violation(path, f"sysctl {sysctl.get('name')!r} is not a safe one")


def _apparmor(pod: Pod, own: Part, parts: list[Part]) -> Iterator[Violation]:
    for part in (own, *parts):
        profile = part.get("appArmorProfile")
        if profile is not None and not _is_one_of(lookup(profile, "type"), _PROFILES):
            problem = "must be RuntimeDefault or Localhost"
            yield part.bad(problem, "appArmorProfile", "type")
    for key, value in sorted(pod.annotations.items()):
        allowed = not value or value == "runtime/default" or str(value).startswith("localhost/")
        if key.startswith(_APPARMOR) and not allowed:
            yield Violation(pod.path, f"annotation {key} must not be {value!r}")


def _selinux(_pod: Pod, own: Part, parts: list[Part]) -> Iterator[Violation]:
    for part in (own, *parts):
        if not _is_one_of(part.get("seLinuxOptions", "type") or "", _SELINUX_TYPES):
            yield part.bad("must be a type of containers", "seLinuxOptions", "type")
        for field in ("user", "role"):
            if part.get("seLinuxOptions", field):
                yield part.bad("must not be set", "seLinuxOptions", field)


def _host_process(_pod: Pod, own: Part, parts: list[Part]) -> Iterator[Violation]:
    for part in (own, *parts):
        if part.get("windowsOptions", "hostProcess") not in (None, False):
            yield part.bad("must not be set", "windowsOptions", "hostProcess")


def _privileged(_pod: Pod, _own: Part, parts: list[Part]) -> Iterator[Violation]:
    for part in parts:
        if part.get("privileged") not in (None, False):
            yield part.bad("must not be set", "privileged")
        if part.get("allowPrivilegeEscalation") is not False:
            yield part.bad("must be false", "allowPrivilegeEscalation")
        if part.get("procMount") not in (None, "Default"):
            yield part.bad("must be Default", "procMount")


def _capabilities(_pod: Pod, _own: Part, parts: list[Part]) -> Iterator[Violation]:
    for part in parts:
        if "ALL" not in _listed(part.get("capabilities", "drop")):
            yield part.bad('must include "ALL"', "capabilities", "drop")
        if any(each != "NET_BIND_SERVICE" for each in _listed(part.get("capabilities", "add"))):
            yield part.bad("must have NET_BIND_SERVICE at most", "capabilities", "add")


def _host_ports(_pod: Pod, _own: Part, parts: list[Part]) -> Iterator[Violation]:
    for part in parts:
        for index, port in entries(part.value, "ports"):
            if port.get("hostPort") not in (None, 0):
                yield Violation((*part.path, "ports", index, "hostPort"), "must not be set")


def _probe_hosts(_pod: Pod, _own: Part, parts: list[Part]) -> Iterator[Violation]:
    for part in parts:
        for steps in _PROBES:
            for action in ("httpGet", "tcpSocket"):
                if lookup(part.value, *steps, action, "host"):
                    yield Violation((*part.path, *steps, action, "host"), "must not be set")


def _non_root(pod: Pod, own: Part, parts: list[Part]) -> Iterator[Violation]:
    # In a user namespace of its own, root is nobody: both are let off since v1.35.
    if pod.spec.get("hostUsers") is False:
        return
    for part in (own, *parts):
        if part.get("runAsNonRoot") not in (None, True):
            yield part.bad("must be true", "runAsNonRoot")
        if part.get("runAsUser") in (0, "0"):
            yield part.bad("must not be 0", "runAsUser")
    for part in parts:
        if own.get("runAsNonRoot") is None and part.get("runAsNonRoot") is None:
            yield part.bad("must be true, here or for the pod", "runAsNonRoot")


def _seccomp(_pod: Pod, own: Part, parts: list[Part]) -> Iterator[Violation]:
    for part in (own, *parts):
        profile = part.get("seccompProfile")
        if profile is not None and not _is_one_of(lookup(profile, "type"), _PROFILES):
            yield part.bad("must be RuntimeDefault or Localhost", "seccompProfile", "type")
    for part in parts:
        if own.get("seccompProfile") is None and part.get("seccompProfile") is None:
            problem = "must be RuntimeDefault or Localhost, here or for the pod"
            yield part.bad(problem, "seccompProfile", "type")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _is_one_of(value: Any, names: frozenset[str]) -> bool:
    return isinstance(value, str) and value in names


CHECKS: tuple[Check, ...] = (
    _host_namespaces,
    _volumes,
    _sysctls,
    _apparmor,
    _selinux,
    _host_process,
    _privileged,
    _capabilities,
    _host_ports,
    _probe_hosts,
    _non_root,
    _seccomp,
)
