"""What a site brings for its registry, beside the objects of a bundle: a pull secret and a CA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bundler.cluster.client import Cluster
from bundler.core.documents.site import SiteNeeds, SiteObject
from bundler.core.errors import UsageError
from bundler.core.objects.manifests import JsonObject, ObjectId, apply_order, require_unique
from bundler.core.objects.siteobjects import site_objects


@dataclass(frozen=True)
class SiteFiles:
    """Files of the site: `ca` with certificates in PEM, `credentials` with logins of Docker's."""

    ca: Path | None = None
    credentials: Path | None = None


NO_FILES = SiteFiles()


def with_site_objects(
    cluster: Cluster,
    objects: Sequence[JsonObject],
    wanted: SiteNeeds | None,
    files: SiteFiles,
    registry: str,
) -> tuple[JsonObject, ...]:
    """`objects` with those that ``spec.site`` asks for, made of `files` for `registry`.

    Where no file is given, what an earlier install made of one stays as it is on the cluster.
    UsageError when there is none either, when the bundle makes no use of logins, and for a file
    that can't be used; PolicyError when the bundle itself has an object of that name.
    """
    if wanted is None:
        if files.credentials is not None:
            raise UsageError(
                f"--registry-credentials {files.credentials}: this bundle makes no use of it: its "
                "spec has no site.pullSecret",
                "leave it out; airbundle itself logs in as Docker does (DOCKER_CONFIG)",
            )
        return tuple(objects)
    kept: list[JsonObject] = []
    if wanted.pull_secret is not None and files.credentials is None:
        kept += (secrets := _there(cluster, "Secret", wanted.pull_secret))
        wanted = replace(wanted, pull_secret=None if secrets else wanted.pull_secret)
    if wanted.ca is not None and files.ca is None:
        kept += (maps := _there(cluster, "ConfigMap", wanted.ca))
        wanted = replace(wanted, ca=None if maps else wanted.ca)
    made = site_objects(wanted, _bytes(files.credentials), _text(files.ca), registry=registry)
    found = apply_order((*objects, *kept, *made))
    require_unique(found, "site")
    return found


def _there(cluster: Cluster, kind: str, wanted: SiteObject) -> list[JsonObject]:
    """The objects as they are, if all of them are there; without what others keep in them."""
    found: list[JsonObject] = []
    for namespace in wanted.namespaces:
        object_id = ObjectId("v1", kind, namespace, wanted.name)
        if (live := cluster.get(object_id)) is None:
            return []
        metadata = {"name": wanted.name, "namespace": namespace}
        content = {key: live[key] for key in ("type", "data") if key in live}
        found.append({"apiVersion": "v1", "kind": kind, "metadata": metadata} | content)
    return found


def _bytes(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()


def _text(path: Path | None) -> str | None:
    # What is no UTF-8 is no PEM either, and refused as that.
    return None if path is None else path.read_text(encoding="utf-8", errors="replace")
