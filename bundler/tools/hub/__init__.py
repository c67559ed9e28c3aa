"""The model hub, asked through its own client, `huggingface_hub`: the one place that imports it.

`open_repo` loads that client, which comes with the extra ``build`` and which the far side lacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.core.digest import Digest
from bundler.core.errors import UsageError

if TYPE_CHECKING:
    from bundler.tools.hub.client import Repo


@dataclass(frozen=True)
class HubFile:
    """A file of a commit as the hub states it: path, size in bytes, and what its bytes hash to.

    `sha256` is None where git itself holds the file; then `oid`, git's name of the blob in hex, is
    the SHA-1 of ``blob SIZE\\0`` and the bytes.
    """

    path: str
    size: int
    oid: str
    sha256: Digest | None


def open_repo(name: str) -> Repo:
    """The model ``[ORG/]NAME`` at HF_ENDPOINT; nothing is asked yet.

    UsageError when the client is not installed, or can't be made with what HF_ENDPOINT, the proxy
    variables and SSL_CERT_FILE say; SourceError for a name that no hub has.
    """
    try:
        from bundler.tools.hub.client import Repo
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "bundler":
            raise
        raise UsageError(
            f"hf://{name}: the hub's client is not installed ({error.name})",
            "pip install '.[build]' in a clone, on the connected side",
        ) from error
    return Repo(name)
