"""`airbundle nodes`: how the nodes of a cluster reach a site's registry, as files to put there.

containerd: https://github.com/containerd/containerd/blob/main/docs/hosts.md; podman and CRI-O:
containers-registries.conf(5) and containers-certs.d(5).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bundler.core.errors import UsageError
from bundler.core.objects.siteobjects import authority
from bundler.core.reference import ImageReference, Registry
from bundler.core.registries import SiteRegistry
from bundler.tools.http import is_loopback

_README = """\
# Settings of nodes for the registry {host}

Copy them to every node that runs pods of a bundle; nothing of them is secret. Logins are not
among them: pods bring theirs as an image pull secret (spec.site of the bundle).

containerd
    containerd/certs.d/ goes to /etc/containerd/certs.d/, which containerd reads at every pull, if
    its configuration names it. In /etc/containerd/config.toml, for containerd 2:

        [plugins.'io.containerd.cri.v1.images'.registry]
          config_path = '/etc/containerd/certs.d'

    and for containerd 1:

        [plugins.'io.containerd.grpc.v1.cri'.registry]
          config_path = '/etc/containerd/certs.d'

    After a change of config.toml alone: systemctl restart containerd

CRI-O and podman
    containers/ goes to /etc/containers/: certs.d/ holds the registry's CA, registries.conf.d/
    where images are fetched from. podman reads both at every pull; CRI-O after
    systemctl reload crio

{mirrors}"""
_MIRRORS = """\
Mirrors
    {names}: asked for there first and nowhere else. {host} has what bundles brought,
    by digest; a tag (app:1.0) is not found there.
"""


@dataclass(frozen=True)
class NodeSettings:
    """What was written: paths below `folder`, README last."""

    registry: str
    mirrors: tuple[str, ...]
    folder: Path
    files: tuple[str, ...]


def write_node_settings(
    registry: str, ca: Path | None, mirrors: Sequence[str], folder: Path
) -> NodeSettings:
    """Write to `folder`, which must be empty or absent, what nodes need for `registry`.

    `mirrors` are hosts whose images the registry has, brought by bundles. UsageError for what
    can't be said to a node, and for a folder that is in use or can't be written.
    """
    site = SiteRegistry.parse(registry)
    certificates = None if ca is None else authority(_text(ca))
    files = _files(site, certificates, tuple(map(_mirror, mirrors)))
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"-o {folder}: expected a folder, or nothing")
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"-o {folder}: is not empty", "name a folder that is empty or absent")
    try:
        _write(files, folder)
    except OSError as error:
        raise UsageError(f"-o {folder}: can't be written: {error.strerror}") from error
    return NodeSettings(registry, tuple(mirrors), folder, tuple(files))


def _files(
    site: SiteRegistry, certificates: str | None, mirrors: tuple[str, ...]
) -> Mapping[str, str]:
    host = site.registry.host
    if mirrors and site.profile.levels is not None:
        raise UsageError(
            f"--mirror: {site.profile.name} has no nested names, so that no host can be mirrored",
            "images of bundles need no mirror: their manifests name the registry itself",
        )
    if host in mirrors:
        raise UsageError(f"--mirror {host}: is the registry itself")
    files = {f"containerd/certs.d/{host}/hosts.toml": _hosts_toml(site, None, certificates)}
    files |= {
        f"containerd/certs.d/{mirror}/hosts.toml": _hosts_toml(site, mirror, certificates)
        for mirror in mirrors
    }
    if certificates is not None:
        files |= {f"containerd/certs.d/{each}/ca.crt": certificates for each in (host, *mirrors)}
        files[f"containers/certs.d/{host}/ca.crt"] = certificates
    name = host.replace(":", "_").replace("[", "").replace("]", "")
    files[f"containers/registries.conf.d/{name}.conf"] = _registries_conf(site, mirrors)
    said = _MIRRORS.format(names=", ".join(mirrors), host=host) if mirrors else ""
    files["README"] = _README.format(host=host, mirrors=said).rstrip() + "\n"
    return files


def _hosts_toml(site: SiteRegistry, mirror: str | None, certificates: str | None) -> str:
    """As containerd reads it; the server is the registry itself, so that nothing else is asked."""
    base = f"{_scheme(site)}://{site.registry.host}"
    if mirror is not None:
        base += f"/v2/{_mirrored(site, mirror)}"
    lines = [f'server = "{base}"', "", f'[host."{base}"]', '  capabilities = ["pull", "resolve"]']
    if certificates is not None:
        lines.append('  ca = "ca.crt"')
    if mirror is not None:
        lines.append("  override_path = true")
    return "\n".join([*lines, ""])


def _registries_conf(site: SiteRegistry, mirrors: tuple[str, ...]) -> str:
    host = site.registry.host
    insecure = str(_scheme(site) == "http").lower()
    tables = [f'[[registry]]\nlocation = "{host}"\ninsecure = {insecure}\n']
    tables += [
        f'[[registry]]\nprefix = "{mirror}"\n'
        f'location = "{host}/{_mirrored(site, mirror)}"\ninsecure = {insecure}\n'
        for mirror in mirrors
    ]
    return "\n".join(tables)


def _mirrored(site: SiteRegistry, mirror: str) -> str:
    """Where images of the host `mirror` lie: as a bundle's own images are named there."""
    path = ImageReference(mirror, "x").placeholder_repository().removesuffix("/x")
    return site.repository(path)


def _scheme(site: SiteRegistry) -> str:
    host = site.registry.host
    return "http" if is_loopback(host.rpartition(":")[0] or host) else "https"


def _mirror(text: str) -> str:
    """`text`, a host; UsageError for anything else."""
    try:
        registry = Registry.parse(text)
    except UsageError as error:
        raise UsageError(f"--mirror {text[:200]}: expected HOST[:PORT]", error.hint) from error
    if registry.prefix:
        raise UsageError(f"--mirror {text[:200]}: expected HOST[:PORT], found a path behind it")
    return registry.host


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: expected certificates in PEM, found other bytes",
            f"`openssl x509 -inform der -in {path}` turns DER into PEM",
        ) from error


def _write(files: Mapping[str, str], folder: Path) -> None:
    """All of them or none: in a folder beside, which then gets the name."""
    place = folder.absolute()
    partial = place.with_name(f".{place.name}.airbundle-partial")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
        for name, text in files.items():
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="ascii")
        partial.replace(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
