"""The Secret and the ConfigMap with which pods reach a site's registry, out of the site's files.

https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from bundler.core import strictjson
from bundler.core.documents.site import SiteNeeds, SiteObject
from bundler.core.errors import BundlerError, UsageError
from bundler.core.objects.manifests import JsonObject
from bundler.core.registries import SiteRegistry

PULL_SECRET_TYPE = "kubernetes.io/dockerconfigjson"
_CREDENTIALS, _CA = "--registry-credentials", "--registry-ca"
# RFC 7468; what stands between the blocks is a comment.
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s([A-Za-z0-9+/=\s]+)-----END \1-----")
_BEGIN = "-----BEGIN "


def site_objects(
    site: SiteNeeds, credentials: bytes | None, ca: str | None, *, registry: str
) -> tuple[JsonObject, ...]:
    """What `site` asks for; nothing else of the files gets into a cluster.

    `credentials` is a configuration of Docker's, of which only the login for the host of
    `registry` (``[PROFILE:]HOST[/PREFIX]``) is taken; `ca` are certificates in PEM. UsageError for
    what is asked for and not given, given and not asked for, or can't be used.
    """
    host = SiteRegistry.parse(registry).registry.host
    _require_given(site, credentials, ca, host)
    objects: list[JsonObject] = []
    if site.pull_secret is not None and credentials is not None:
        login = {".dockerconfigjson": _base64(pull_credentials(credentials, host))}
        secret = {"apiVersion": "v1", "kind": "Secret", "type": PULL_SECRET_TYPE, "data": login}
        objects += _each(site.pull_secret, secret)
    elif site.pull_secret is None and credentials is not None:
        raise UsageError(
            f"{_CREDENTIALS}: this bundle makes no use of it: its spec has no site.pullSecret",
            "leave it out; airbundle itself logs in as Docker does (DOCKER_CONFIG)",
        )
    if site.ca is not None and ca is not None:
        config_map = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"ca.crt": authority(ca)}}
        objects += _each(site.ca, config_map)
    return tuple(objects)


def pull_credentials(config: bytes, host: str) -> bytes:
    """The configuration of Docker's in `config` with the login for `host` alone.

    One without any login says that `host` needs none. UsageError for a login that is elsewhere
    (a helper), of a kind that a node can't use, or missing among others. Nothing of a password is
    in a message.
    """
    auths = _auths(config)
    found = [auths[key] for key in (host, *auths) if key in auths and _host_of(key) == host]
    if not found and auths:
        raise UsageError(
            f"{_CREDENTIALS}: expected a login for {host} under auths, found those for "
            f"{', '.join(sorted(auths))[:200]}",
            f"`docker login {host}`; a file with no login at all says that none is needed",
        )
    login = {host: {"auth": _auth(found[0], host)}} if found else {}
    return strictjson.canonical({"auths": login})


def authority(text: str) -> str:
    """`text`, the certificates in it alone; UsageError when it has none, or holds a key."""
    blocks = list(_BLOCK.finditer(text))
    others = sorted({block[1] for block in blocks} - {"CERTIFICATE"})
    if others or not blocks or text.count(_BEGIN) != len(blocks):
        found = ", ".join(others) or ("something broken" if _BEGIN in text else "no PEM")
        raise UsageError(
            f"{_CA}: expected certificates in PEM and nothing else, found {found}",
            "it goes into the cluster for everybody to read: give the CA's certificate, and no key"
            if others
            else "it begins with -----BEGIN CERTIFICATE-----",
        )
    for block in blocks:
        if not _decodes("".join(block[2].split())):
            raise UsageError(f"{_CA}: a certificate in it is no base64")
    return "".join(f"{block[0]}\n" for block in blocks)


def _auths(config: bytes) -> dict[str, Any]:
    try:
        content = strictjson.parse(config, _CREDENTIALS)
    except BundlerError as error:
        raise _no_config() from error
    auths = content.get("auths", {}) if isinstance(content, dict) else None
    if not isinstance(auths, dict) or not all(isinstance(each, dict) for each in auths.values()):
        raise _no_config()
    helpers = [key for key in ("credsStore", "credHelpers") if content.get(key)]
    if helpers:
        raise UsageError(
            f"{_CREDENTIALS}: its logins are kept by a program ({', '.join(helpers)}), expected "
            "them in the file, under auths",
            "log in with an empty DOCKER_CONFIG of its own, as somebody who may only pull",
        )
    return auths


def _auth(entry: dict[str, Any], host: str) -> str:
    """``base64(USER:PASSWORD)``, all that a node's kubelet makes use of."""
    auth = entry.get("auth", "")
    if entry.get("username") and isinstance(entry.get("password"), str):
        auth = _base64(f"{entry['username']}:{entry['password']}".encode())
    plain = _decodes(auth) if isinstance(auth, str) else None
    if not plain or b":" not in plain or entry.get("identitytoken"):
        raise UsageError(
            f"{_CREDENTIALS}: the login for {host} is no user with a password",
            "a node can't use an identity token: make a token or a robot account that may pull",
        )
    return str(auth)


def _host_of(key: str) -> str:
    """``https://HOST/v1/`` and ``HOST`` are one, as to Docker."""
    return re.sub(r"^https?://", "", key).partition("/")[0]


def _decodes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _each(wanted: SiteObject, content: JsonObject) -> list[JsonObject]:
    return [
        content | {"metadata": {"name": wanted.name, "namespace": namespace}}
        for namespace in wanted.namespaces
    ]


def _require_given(site: SiteNeeds, credentials: bytes | None, ca: str | None, host: str) -> None:
    """UsageError that names each file that `site` asks for and that is not there."""
    missing = []
    if site.pull_secret is not None and credentials is None:
        missing.append((_CREDENTIALS, "pullSecret", f"a Docker config with the login for {host}"))
    if site.ca is not None and ca is None:
        missing.append((_CA, "ca", "the site's own CA, in PEM"))
    if missing:
        said = "; ".join(
            f"{option}: this bundle needs it (site.{section}), found none"
            for option, section, _ in missing
        )
        hints = (f"{option}: give it a file: {what}" for option, _, what in missing)
        raise UsageError(said, "\n".join(hints))


def _no_config() -> UsageError:
    return UsageError(
        f"{_CREDENTIALS}: expected a configuration of Docker's: JSON with logins under auths"
    )
