"""Every error that a user may see, with its exit code.

::

    BundlerError            1  (never raised itself)
    ├── UsageError          2  the command line, or an environment that can't do it
    │   └── DocumentError   2  a document: file, line, column, field
    ├── IntegrityError      3  an index or blob that isn't what was promised
    ├── TrustError          4  a signature, key or trust policy
    ├── PolicyError         5  the gate: rules and scanners
    ├── ToolError           6  an external program
    ├── SourceError         7  an input, or a registry
    └── ClusterError        8  the Kubernetes API
        └── PreflightError  8  a check before an install

A message names the thing, what was expected and what was found; the hint says what to do.
Anything that is not a BundlerError is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class BundlerError(Exception):
    """The base of all expected errors: one message, perhaps a hint, an exit code."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(BundlerError):
    """The command line or its surroundings don't allow what was asked for."""

    exit_code = 2


class DocumentError(UsageError):
    """A document that can't be accepted: `where` is ``file:line:column``, `field` its path."""

    def __init__(self, where: str, field: str, problem: str, hint: str | None = None) -> None:
        place = f"{where}: {field}: " if field else f"{where}: "
        super().__init__(place + problem, hint)
        self.where = where
        self.field = field
        self.problem = problem


class IntegrityError(BundlerError):
    """Bytes that differ from what a digest, a size or the format promises."""

    exit_code = 3


class TrustError(BundlerError):
    """A signature, key, statement or policy that does not let this bundle through."""

    exit_code = 4


class PolicyError(BundlerError):
    """The gate is shut: a rule or a scanner found something, or a scanner did not run.

    `findings` are those that shut it, as plain data for JSON; empty for other refusals.
    """

    exit_code = 5

    def __init__(
        self,
        message: str,
        hint: str | None = None,
        findings: Sequence[Mapping[str, object]] = (),
    ) -> None:
        super().__init__(message, hint)
        self.findings = tuple(findings)


class ToolError(BundlerError):
    """An external program is missing, too old, or failed."""

    exit_code = 6


class SourceError(BundlerError):
    """An input, or a registry, that can't be read or written as it should."""

    exit_code = 7


class ClusterError(BundlerError):
    """The Kubernetes API refused, or can't be reached."""

    exit_code = 8


class PreflightError(ClusterError):
    """Checks before an install failed; `checks` are all that were made, as plain data for JSON."""

    def __init__(
        self,
        message: str,
        hint: str | None = None,
        checks: Sequence[Mapping[str, object]] = (),
    ) -> None:
        super().__init__(message, hint)
        self.checks = tuple(checks)
