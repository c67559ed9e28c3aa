"""`airbundle rollback`: an earlier bundle of a release, out of the registry, verified again."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import ExitStack, closing
from dataclasses import dataclass

from bundler.cluster.access import Access
from bundler.cluster.planning.present import Intent
from bundler.cluster.push import push_bundle
from bundler.cluster.release.record import Past, Record, find_record
from bundler.cluster.release.upgrade import ReleaseChange, release_change
from bundler.cluster.sitefiles import NO_FILES, SiteFiles
from bundler.cluster.transaction.transact import PATIENT, Manner, transact
from bundler.core.digest import Digest
from bundler.core.errors import ClusterError, UsageError
from bundler.core.findings import Finding
from bundler.core.objects.plan import Plan
from bundler.core.preflight.checked import Checked
from bundler.core.progress import Progress
from bundler.doctor import preflight
from bundler.install import checks_of, outcome, planned
from bundler.push import open_destination
from bundler.released import open_released, render_again, way_back
from bundler.sign.trust import Trust


@dataclass(frozen=True)
class RolledBack:
    """What a rollback did, or with `dry_run` would do."""

    status: str
    signers: tuple[str, ...]
    name: str
    version: str
    target: str
    dry_run: bool
    preflight: tuple[Checked, ...]
    release: ReleaseChange
    plan: Plan
    waived: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def rollback(
    name: str,
    version: str | None,
    access: Access,
    trust: Trust | None,
    progress: Progress,
    *,
    files: SiteFiles = NO_FILES,
    take_ownership: bool = False,
    ignored_checks: Collection[str] = (),
    dry_run: bool = False,
    manner: Manner = PATIENT,
) -> RolledBack:
    """Bring back what the release `name` was before, or its latest install of `version`.

    Bundle, target, parameters and registry are those of then. UsageError for a version that the
    record doesn't know; SourceError when the registry has it no longer; TrustError as `trust`
    says; ClusterError as of an install, and when nothing is installed.
    """
    with ExitStack() as stack:
        cluster = stack.enter_context(closing(access.open(name)))
        before = find_record(cluster, name, access.release_namespace)
        past = _chosen(before, version)
        index = Digest.parse(past.index)
        read = open_released(past.registry, name, index, trust, registry_ca=files.ca)
        bundle = stack.enter_context(read)
        rendered = render_again(bundle, past, cluster, files)
        opened = open_destination(past.registry, files.ca)
        destination = stack.enter_context(closing(opened))
        checked = preflight(bundle, rendered, access, cluster, destination, ignored_checks)
        record, namespace = Record(name, past, ()), access.release_namespace
        intent = Intent(record, rendered.objects, namespace, "rollback", take_ownership)
        prepared = planned(cluster, intent, checked)
        if prepared.before != before:
            raise ClusterError(
                f"release {name}: another install went on meanwhile; nothing was touched",
                "look at `airbundle status`, then run the same command again",
            )
        change = release_change(before, past, past.parameters, back=True)
        plan = prepared.plan
        if not dry_run:
            there = None if manner.keep_failed else way_back(cluster, before, files.ca)
            pushed = push_bundle(bundle, destination, progress)
            checks = checks_of(bundle, destination, cluster, manner, progress)
            plan = transact(cluster, prepared, pushed, there, checks, manner, progress, time.sleep)
    done = outcome(bundle, rendered, dry_run)
    return RolledBack(preflight=checked, release=change, plan=plan, **done)


def _chosen(record: Record, version: str | None) -> Past:
    """What to go back to; what an install that was cut off left is gone back from, too.

    A rollback that was cut off goes on to where it was going.
    """
    going = record.journal
    if going is not None and going.doing == "rollback" and version is None:
        there = [each for each in record.history if each.index == going.index]
        if there:
            return there[0]
    if record.journal is not None and record.settled and version in (None, record.version):
        return record.installed
    if version is not None and record.journal is None and version == record.version:
        raise UsageError(
            f"--to {version}: is what runs",
            f"airbundle status {record.name} says how it stands; without --to it goes back to what "
            "was installed before",
        )
    found = [each for each in record.history if version in (None, each.version)]
    if not record.history:
        raise UsageError(
            f"release {record.name}: nothing was installed before {record.version}",
            f"airbundle uninstall {record.name} takes it away",
        )
    if not found:
        known = ", ".join(dict.fromkeys(each.version for each in record.history))
        raise UsageError(
            f"--to {version}: expected a version that was installed before, one of {known}"
        )
    return found[0]
