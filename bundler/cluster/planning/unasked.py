"""Objects about which the server can't be asked yet, held against what travels beside them."""

from __future__ import annotations

from collections.abc import Sequence

from bundler.core.errors import ClusterError
from bundler.core.objects.crdschema import schema_problems
from bundler.core.objects.manifests import ObjectId
from bundler.core.objects.plan import Present, defined_kind, is_crd

_MOST = 20


def check_schemas(present: Sequence[Present]) -> None:
    """ClusterError for custom resources that the CRD beside them wouldn't take, all at once.

    Otherwise half of the release would be there when the server says so.
    """
    brought = {
        defined_kind(each.desired): each.desired
        for each in present
        if is_crd(ObjectId.of(each.desired))
    }
    problems: list[str] = []
    for each in present:
        what = ObjectId.of(each.desired)
        crd = brought.get((what.group, what.kind))
        if each.dry_run is None and crd is not None:
            problems += [f"{what}: {said}" for said in schema_problems(each.desired, crd)]
    if problems:
        more = f"; and {len(problems) - _MOST} more" if len(problems) > _MOST else ""
        raise ClusterError(
            f"{'; '.join(problems[:_MOST])}{more}",
            "nothing was changed; these objects and the CRD beside them in the bundle are of "
            "different versions: whoever builds it mends one of them",
        )
