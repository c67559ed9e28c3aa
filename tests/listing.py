"""What a real registry holds, seen without our own client: to compare before and after."""

from __future__ import annotations

import httpx

from tests.parts.registry import Registry

_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


def listing(registry: Registry) -> dict[str, str]:
    """``repository:tag`` of everything in the catalog, and the digests that they point to."""
    with httpx.Client(base_url=registry.url, trust_env=False, headers={"Accept": _ACCEPT}) as http:
        names = http.get("/v2/_catalog", params={"n": "1000"}).json()["repositories"]
        tags = {name: http.get(f"/v2/{name}/tags/list").json().get("tags") for name in names}
        places = [(name, tag) for name in names for tag in sorted(tags[name] or ())]
        heads = {place: http.head("/v2/{}/manifests/{}".format(*place)) for place in places}
    found = {f"{name}:{tag}": heads[name, tag].headers["etag"].strip('"') for name, tag in places}
    return found | dict.fromkeys(names, "")
