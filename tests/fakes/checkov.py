"""A checkov that finds nothing, at once: for the many tests that are about something else.

tests/scan/test_checkov.py is about the real one; tests that build and ask for `real_checkov` have
it, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bundler.core.documents.policy import Policy
from bundler.core.objects.manifests import JsonObject
from bundler.scan.checkov import CheckovResult


def scan_objects(
    targets: Mapping[str, Sequence[JsonObject]], policy: Policy, checks: Mapping[str, bytes]
) -> CheckovResult:
    """As `bundler.scan.checkov.scan_objects`, of objects that are all in order."""
    return CheckovResult(
        dict.fromkeys(targets, ()),
        {target: len(objects) for target, objects in targets.items()},
        frozenset(skip.check for skip in policy.skip),
    )
