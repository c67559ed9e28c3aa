"""Package URLs: the names by which vulnerability databases know a package.

https://github.com/package-url/purl-spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote


def purl(
    kind: str,
    namespace: str,
    name: str,
    version: str | None,
    qualifiers: Mapping[str, str | None] | None = None,
) -> str:
    """``pkg:kind/namespace/name@version?qualifiers``: percent-encoded, qualifiers sorted.

    `namespace` may be empty, or several segments. A qualifier without a value is left out.
    """
    segments = [kind, *(part for part in namespace.split("/") if part), name]
    text = "pkg:" + "/".join(quote(segment, safe=":~") for segment in segments)
    if version:
        text += "@" + quote(version, safe=":~")
    pairs = [
        f"{key}={quote(value, safe=':/~')}"
        for key, value in sorted((qualifiers or {}).items())
        if value
    ]
    return text + ("?" + "&".join(pairs) if pairs else "")


def pypi_name(name: str) -> str:
    """A Python distribution's name as package URLs have it: lower case, dashes."""
    return name.lower().replace("_", "-")
