"""`@pytest.mark.needs("skopeo", …)`: a test that leans on a part which may not be here.

A missing part skips the test and is named in the reason; with CI=true it is an error instead.
"""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Callable

import pytest

from tests.parts import components, crds
from tests.parts.fetched import FETCHED
from tests.parts.pythons import find_second_python

CLUSTER_VARIABLE = "AIRBUNDLE_TEST_KUBECONFIG"


def in_ci() -> bool:
    """Whether this run may skip nothing."""
    return os.environ.get("CI") == "true"


def _have_apiserver() -> bool:
    if os.environ.get(CLUSTER_VARIABLE):
        return True
    return not components.missing_programs(("kube-apiserver", "etcd"))


@functools.cache
def _have_root() -> bool:
    """Root in name alone (a container without capabilities) can't make a network namespace."""
    if os.geteuid() != 0:
        return False
    try:
        return (
            subprocess.run(
                ["unshare", "--net", "true"], capture_output=True, check=False
            ).returncode
            == 0
        )
    except OSError:
        return False


# What is more than one program on PATH.
_SPECIAL: dict[str, Callable[[], bool]] = {
    "apiserver": _have_apiserver,
    "crds": crds.present,
    "root": _have_root,
    "second-python": lambda: find_second_python() is not None,
    **{name: part.available for name, part in FETCHED.items()},
}
# Programs that nobody installs for us.
_FOUND = ("chroot", "dpkg-query", "git", "go", "kubectl", "make", "openssl")


def missing(names: tuple[str, ...]) -> list[str]:
    """Those of the named parts that are not here; UsageError for a name that nobody knows."""
    known = (*_SPECIAL, *components.names(), *_FOUND)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise pytest.UsageError(f"needs({', '.join(unknown)}): known are {', '.join(known)}")
    return [
        name
        for name in names
        if not (_SPECIAL[name]() if name in _SPECIAL else components.find_program(name))
    ]


def require(*names: str) -> None:
    """Skips the running test when a part is missing, or fails it with CI=true."""
    absent = missing(names)
    if not absent:
        return
    reason = f"needs {', '.join(absent)}"
    if in_ci():
        pytest.fail(f"{reason}, and CI=true allows no skip", pytrace=False)
    pytest.skip(reason)


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", "needs(*names): parts that must be on this machine")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Looks for what the test names, before any fixture starts."""
    for mark in item.iter_markers("needs"):
        require(*mark.args)
