"""`airbundle load`: a model's files into a folder, inside of a cluster or anywhere else.

Out of a registry, by the digest of the model's image, or out of a bucket, by the digest of the list
of its files. Nothing has the final name that was not checked; what is there is checked again.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bundler.archive.newfolder import names_in
from bundler.core.errors import UsageError
from bundler.core.modelplace import SCHEME, ModelPlace
from bundler.core.progress import Progress
from bundler.core.reference import ImageReference

# Names as AWS's own tools have them.
_ENDPOINT, _REGION = "AWS_ENDPOINT_URL", "AWS_REGION"
# A file with certificates to trust beside those of the system; may be absent.
_CA = "AIRBUNDLE_CA"


@dataclass(frozen=True)
class Loaded:
    """The model that is in `folder`: how many files, of so many bytes in all.

    `fresh` is False when it was there already, and only its digests were checked.
    """

    reference: str
    folder: Path
    files: int
    size: int
    fresh: bool


def load(reference: str, into: Path, progress: Progress) -> Loaded:
    """Bring the model at `reference` into the new folder `into`, below whose ``models/`` it is.

    `reference` is ``HOST/REPOSITORY@sha256:…`` or ``s3://BUCKET/PREFIX/models/NAME/HEX``, the
    latter with AWS_ENDPOINT_URL, AWS_REGION and keys. A load that was cut off goes on with what it
    has. UsageError for a reference without a digest, and when the disk has no room; IntegrityError
    for other bytes, then nothing has the name; SourceError of the registry or the bucket.
    """
    if not into.absolute().parent.is_dir():
        raise UsageError(f"{into}: expected a folder to write to, found none", "make it first")
    by = _from_bucket if reference.startswith(SCHEME) else _from_registry
    fresh = by(reference, into.absolute(), progress)
    names = names_in(into)
    size = sum(os.stat(into / name).st_size for name in names)
    return Loaded(reference, into, len(names), size, fresh)


def _from_registry(reference: str, into: Path, progress: Progress) -> bool:
    from bundler.sources.modelimage import load_image
    from bundler.tools.registry import RegistrySource

    wanted = ImageReference.parse(reference)
    if wanted.digest is None:
        raise UsageError(
            f"{reference}: expected a digest, found none",
            "a tag may come to mean another model: write HOST/REPOSITORY@sha256:…",
        )
    with closing(RegistrySource(wanted.host)) as source:
        return load_image(source, wanted.repository, wanted.digest, into, progress)


def _from_bucket(reference: str, into: Path, progress: Progress) -> bool:
    from bundler.sources.modelbucket import load_objects
    from bundler.tools.s3 import Bucket, find_keys

    place = ModelPlace.parse(reference)
    endpoint = os.environ.get(_ENDPOINT)
    if not endpoint:
        raise UsageError(
            f"{reference}: expected the server's address in {_ENDPOINT}, found none",
            f"set {_ENDPOINT}=https://HOST[:PORT], and {_REGION} if it wants one",
        )
    region = os.environ.get(_REGION, "us-east-1")
    authority = Path(os.environ.get(_CA, ""))
    authorities = (authority,) if authority.is_file() else ()
    keys = find_keys()
    with closing(Bucket(endpoint, region, place.bucket, keys, authorities)) as bucket:
        return load_objects(bucket, place, into, progress)
