"""Kubeconfigs, merged and read as kubectl does it; and what a pod is given in its place.

https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/ for the
merging, https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/ for the fields. What can
not be honoured is refused: passed over, it would be another user's rights, or no trust at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from yaml import MarkedYAMLError, YAMLError, safe_load

from bundler.cluster.client.entry import PORTS, Entry, Plugin, Server, User
from bundler.cluster.client.fields import Fields
from bundler.core.errors import ClusterError
from bundler.tools.http import is_loopback

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT = "~/.kube/config"
EXEC_EXTENSION = "client.authentication.k8s.io/exec"

_HINT = (
    "name one with --kubeconfig and --context, or in KUBECONFIG; "
    "`airbundle install --export DIR` writes files instead, and needs no cluster"
)


def find_entry(kubeconfig: Path | None, context: str | None) -> Entry:
    """The entry of `context`, or of the current one.

    From `kubeconfig`, else the files that KUBECONFIG lists, else ~/.kube/config, else the service
    account of this pod. ClusterError where it can't be used; the message has none of its secrets.
    """
    origin, paths = _sources(kubeconfig)
    if paths is None:
        return _usable(origin, _of_the_pod)
    return _usable(origin, lambda: _of_files(origin, paths, context))


def unusable(origin: str, why: str) -> ClusterError:
    """The error about a kubeconfig that is there and is no way in."""
    return ClusterError(f"{origin}: can't be used: {why}", _HINT)


def _sources(kubeconfig: Path | None) -> tuple[str, tuple[Path, ...] | None]:
    if kubeconfig is not None:
        return f"kubeconfig {kubeconfig} (--kubeconfig)", (kubeconfig,)
    if listed := os.environ.get("KUBECONFIG"):
        paths = tuple(Path(each) for each in listed.split(os.pathsep) if each)
        return f"kubeconfig {listed} (KUBECONFIG)", paths
    default = Path(DEFAULT).expanduser()
    if (SERVICE_ACCOUNT / "token").exists() and not default.exists():
        return f"the service account of this pod ({SERVICE_ACCOUNT})", None
    return f"kubeconfig {DEFAULT}", (default,)


def _usable(origin: str, read: Any) -> Entry:
    try:
        entry: Entry = read()
    except (OSError, ValueError, RecursionError, YAMLError) as error:
        raise unusable(origin, _reason(error)) from error
    return entry


def _of_the_pod() -> Entry:
    host, port = (os.environ.get(f"KUBERNETES_SERVICE_{name}", "") for name in ("HOST", "PORT"))
    if not host or not port:
        raise ValueError("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
    url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    server = Server(_url(url), (SERVICE_ACCOUNT / "ca.crt").read_bytes(), None, None)
    user = User("of the service account", token_file=SERVICE_ACCOUNT / "token")
    return Entry(f"the service account of this pod ({SERVICE_ACCOUNT})", server, user)


def _of_files(origin: str, paths: Sequence[Path], context: str | None) -> Entry:
    # kubectl passes over those of a list that are not there, too.
    there = [path for path in paths if path.is_file()]
    if not there:
        raise ValueError("not found")
    files = [_File.read(path) for path in there]
    contexts, clusters, users = (_merged(files, name) for name in ("context", "cluster", "user"))
    current = (each.content.get("current-context") for each in files)
    chosen = context or next((each for each in current if each), None)
    known = f"--context takes one of: {', '.join(sorted(contexts)) or 'none is there'}"
    if context is not None and context not in contexts:
        raise ClusterError(f"{origin}: has no context {context!r}", known)
    if chosen not in contexts:
        raise ValueError(f"its current-context is {chosen!r}, which is not there; {known}")
    named = contexts[chosen]
    cluster = _referred(clusters, named.text("cluster"), "cluster", chosen)
    login = named.text("user")
    user = User("without a name") if login is None else _user(login, users, chosen)
    return Entry(origin, _server(cluster), user)


def _user(login: str, users: Mapping[str, Fields], context: str) -> User:
    return _login(_referred(users, login, "user", context), login)


@dataclass(frozen=True)
class _File(Fields):
    @classmethod
    def read(cls, path: Path) -> _File:
        content = safe_load(path.read_text())
        if not isinstance(content, dict):
            raise ValueError(f"{path} is no kubeconfig")
        return cls(content, str(path), path.parent.absolute())

    def named(self, kind: str) -> Iterator[tuple[str, Fields]]:
        """The entries of its list of ``contexts``, ``clusters`` or ``users``."""
        for each in self.maps(f"{kind}s"):
            name = each.text("name")
            if name is None:
                raise ValueError(f"{self.what}: one of its {kind}s has no name")
            yield name, each.map(kind) or Fields({}, "", self.folder)


def _merged(files: Iterable[_File], kind: str) -> dict[str, Fields]:
    """The first file that has an entry has all of it: nothing is added from later ones."""
    merged: dict[str, Fields] = {}
    for file in files:
        own: dict[str, Fields] = {}
        for name, fields in file.named(kind):
            if name in own:
                raise ValueError(f"{file.what}: has the {kind} {name!r} twice")
            own[name] = Fields(fields.content, f"the {kind} {name!r}", fields.folder)
        merged = own | merged
    return merged


def _referred(known: Mapping[str, Fields], name: str | None, kind: str, context: str) -> Fields:
    if name is None or name not in known:
        raise ValueError(f"the context {context!r} names the {kind} {name!r}, which is not there")
    return known[name]


def _server(fields: Fields) -> Server:
    if fields.flag("insecure-skip-tls-verify"):
        raise ValueError(
            f"{fields.what} says `insecure-skip-tls-verify: true`, and whoever is on the way could "
            "read the login: name the server's authority in `certificate-authority-data`, and the "
            "name in its certificate, if it is reached by another one, in `tls-server-name`"
        )
    url = fields.text("server")
    if url is None:
        raise ValueError(f"{fields.what} has no `server`")
    extensions = {each.text("name"): each for each in fields.maps("extensions")}
    config = extensions.get(EXEC_EXTENSION)
    return Server(
        _url(url),
        fields.data("certificate-authority"),
        fields.text("tls-server-name"),
        _proxy(fields),
        None if config is None else config.content.get("extension"),
    )


def _url(url: str) -> str:
    if any(char.isspace() or not char.isprintable() for char in url):
        raise ValueError("the cluster's `server` has white space, or what can't be seen, in it")
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("the cluster's `server` is no https:// URL")
    if parts.username or parts.password:
        raise ValueError("the cluster's `server` has a user in it: that goes under `users`")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("the cluster's `server` is http://, which only this machine may be")
    _ = parts.port  # ValueError where it is none
    return url


def _proxy(fields: Fields) -> str | None:
    proxy = fields.text("proxy-url")
    if proxy is None:
        return None
    way = urlsplit(proxy)
    if way.scheme not in PORTS or not way.hostname:
        # Its words may hold a password.
        raise ValueError(f"{fields.what}: `proxy-url` is no http:// or https:// URL (no SOCKS)")
    return proxy


def _login(fields: Fields, name: str) -> User:
    if fields.map("auth-provider"):
        raise ValueError(
            f"{fields.what} has an `auth-provider`, which kubectl lost in 1.26: use the cloud's "
            "credential plugin (`exec`)"
        )
    certificate, key = fields.data("client-certificate"), fields.data("client-key")
    if (certificate is None) != (key is None):
        raise ValueError(f"{fields.what} has one of client-certificate and client-key")
    user, password = fields.text("username"), fields.text("password")
    token, token_file = fields.text("token"), fields.path("tokenFile")
    plugin = fields.map("exec")
    return User(
        name,
        token=None if token_file else token,
        token_file=token_file,
        basic=(user, password or "") if user and not (token or token_file) else None,
        certificate=None if certificate is None or key is None else certificate + b"\n" + key,
        # kubectl asks no plugin where there is a token.
        plugin=None if plugin is None or token or token_file else _plugin(plugin),
        headers=_impersonation(fields),
    )


def _impersonation(fields: Fields) -> tuple[tuple[str, str], ...]:
    """As https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/ has it."""
    found = [
        (header, value)
        for name, header in (("as", "Impersonate-User"), ("as-uid", "Impersonate-Uid"))
        if (value := fields.text(name))
    ]
    found += [("Impersonate-Group", each) for each in fields.texts("as-groups")]
    if fields.map("as-user-extra"):
        raise ValueError(f"{fields.what}: `as-user-extra` is not spoken")
    return tuple(found)


def _plugin(fields: Fields) -> Plugin:
    command = fields.text("command")
    if command is None:
        raise ValueError(f"{fields.what} has no `command`")
    if fields.text("interactiveMode") == "Always":
        raise ValueError(
            f"{fields.what}: `interactiveMode: Always`: {command} wants to ask somebody, and gets "
            "no terminal here: log in before, with a mode of it that asks nobody"
        )
    if os.sep in command:
        command = str(fields.folder / command)
    env = {each.text("name"): each.text("value") for each in fields.maps("env")}
    return Plugin(
        fields.text("apiVersion") or "",
        command,
        fields.texts("args"),
        {name: value or "" for name, value in env.items() if name},
        fields.text("installHint") or "",
        fields.flag("provideClusterInfo"),
    )


def _reason(error: Exception) -> str:
    """What is wrong with a kubeconfig, and none of its text: that holds the token."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, UnicodeError):
        return "it is no text"
    if not isinstance(error, YAMLError):
        return str(error)
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    return f"no YAML at line {mark.line + 1}, column {mark.column + 1}" if mark else "no YAML"
