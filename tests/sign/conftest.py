"""Three keys of three people, and one of each kind."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from bundler.sign.keys import Algorithm, PrivateKey


class Keys(NamedTuple):
    """Ann and Bob sign releases, Eve does not."""

    ann: PrivateKey
    bob: PrivateKey
    eve: PrivateKey


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys(*(PrivateKey.generate(Algorithm.P256) for _ in Keys._fields))


@pytest.fixture(scope="session", params=list(Algorithm))
def key(request: pytest.FixtureRequest) -> PrivateKey:
    """A key of each algorithm."""
    return PrivateKey.generate(request.param)
