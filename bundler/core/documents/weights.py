"""How models get to pods, target by target: the sections ``loader`` and ``weights`` of a Bundle."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from bundler.core.documents.checks import (
    HOST,
    INSIDE,
    LINE,
    Check,
    Problem,
    matches,
    shown,
    unique,
)
from bundler.core.documents.members import About
from bundler.core.errors import UsageError
from bundler.core.reference import ImageReference

_HOST_NAME = matches(HOST, "a name such as fast-ssd", 253)
# Names of claims are made of it, a model's name and a digest.
_CLAIM = matches(r"[a-z]([-a-z0-9]*[a-z0-9])?", "lower-case letters, digits and inner dashes", 20)
_SIZE = matches(r"[1-9][0-9]{0,15}(Ki|Mi|Gi|Ti)?", "a size such as 40Gi", 20)
_ENDPOINT = matches(rf"https?://{HOST}(:[0-9]{{1,5}})?", "https://HOST[:PORT]", 300)
# docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = matches(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket's name", 63)
_PREFIX = matches(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*", "a path such as team/models", 200
)
_REGION = matches(r"[a-z0-9]+(-[a-z0-9]+)*", "a region such as us-gov-west-1", 40)


def _network(value: str) -> Iterator[Problem]:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        yield Problem((), f"is {shown(value)}, expected a network such as 10.0.0.0/8")


def _port(value: int) -> Iterator[Problem]:
    if not 0 < value < 65536:
        yield Problem((), f"is {value}, expected a port from 1 to 65535")


_NETWORK = Check(_network, {"pattern": r"^[0-9a-fA-F.:]+(/[0-9]{1,3})?$"})
_PORT = Check(_port, {"minimum": 1, "maximum": 65535})


@dataclass(frozen=True, kw_only=True)
class Loader:
    """What the image is made of that fetches weights inside of a cluster."""

    image: Annotated[str, LINE, About("An image with Python 3.11 or later as `python3`.")]
    installer: Annotated[
        str,
        INSIDE,
        About(
            "The file that `airbundle installer` wrote, relative to this document; "
            "{platform} in its name stands for linux-amd64 and the like."
        ),
    ]

    def problems(self) -> Iterator[Problem]:
        """An image that is none."""
        try:
            reference = ImageReference.parse(self.image)
        except UsageError:
            expected = "[HOST[:PORT]/]PATH[:TAG][@sha256:DIGEST]"
            yield Problem(("image",), f"is {shown(self.image)}, expected an image, {expected}")
            return
        if reference.model:
            yield Problem(("image",), f"is {shown(self.image)}, a model, expected a Python image")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A volume for each model, which a Job fills from the registry."""

    claim: Annotated[str, _CLAIM, About("What the names of the claims begin with.")] = "weights"
    storage_class: Annotated[
        str | None, _HOST_NAME, About("Of the cluster; its default one when there is none.")
    ] = None
    access_mode: Annotated[
        Literal["ReadWriteOnce", "ReadWriteMany"],
        About("ReadWriteMany when pods on several nodes read the same volume."),
    ] = "ReadWriteOnce"
    size: Annotated[
        str | None, _SIZE, About("Of each volume; what its model needs when there is none.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class ObjectStore:
    """A bucket of an S3 server, which `install` fills and every pod reads."""

    endpoint: Annotated[str, _ENDPOINT, About("Its address, asked by path and not by host name.")]
    bucket: Annotated[str, _BUCKET, About("A bucket that is there.")]
    prefix: Annotated[str, _PREFIX, About("What all keys begin with.")] = "airbundle"
    secret_name: Annotated[
        str,
        _HOST_NAME,
        About("A Secret in the pods' namespace with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."),
    ]
    region: Annotated[str, _REGION, About("What requests are signed for.")] = "us-east-1"


@dataclass(frozen=True)
class Egress:
    """Where a loader may connect to, beside the cluster's DNS."""

    cidr: Annotated[str, _NETWORK, About("A network; /32 for one address.")]
    port: Annotated[int, _PORT, About("A TCP port.")]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """How the models of one target arrive, when not as image volumes."""

    pvc: Annotated[Claim | None, About("On volumes, filled from the registry by a Job.")] = None
    s3: Annotated[ObjectStore | None, About("In every pod, fetched from a bucket.")] = None
    egress: Annotated[
        tuple[Egress, ...],
        unique(),
        About("Makes a NetworkPolicy that lets loaders reach the registry or the bucket."),
    ] = ()

    def problems(self) -> Iterator[Problem]:
        """Neither way, or both."""
        if (self.pvc is None) == (self.s3 is None):
            found = "neither" if self.pvc is None else "both"
            hint = "leave the target out of spec.weights to have image volumes"
            yield Problem((), f"expected one of pvc and s3, found {found}", hint)
