"""The registry that images are pushed to: there, lets us write, and its certificate lasts."""

from __future__ import annotations

from collections.abc import Iterator

from bundler.cluster.preflight.asked import Asked
from bundler.cluster.preflight.server import lasting
from bundler.core.destination import Destination
from bundler.core.errors import BundlerError
from bundler.core.preflight.checked import Checked

_NAME = "registry"


def registry(asked: Asked, destination: Destination, *, alone: bool) -> Iterator[Checked]:
    """By reading the tag that this version will have; then by an upload that is called off.

    What else failed makes an install impossible: unless it is `alone` in the way, nothing but
    reading is done.
    """
    name, repository = destination.registry or "the layout", f"bundles/{asked.needs.name}"
    try:
        destination.tagged(repository, asked.needs.version)
        if alone:
            destination.check_writable(repository)
    except BundlerError as error:
        yield Checked(_NAME, "failed", error.message, error.hint)
        return
    takes = "answers, and takes uploads" if alone else "answers; it was not asked for more"
    yield Checked(_NAME, "ok", f"{name} {takes}; whether it has room shows when it is full")
    yield from lasting(asked, "registry's certificate", destination.certificate_ends())
