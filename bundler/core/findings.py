"""What the gate found: one value for every rule and scanner, and the waivers of a policy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from bundler.core.documents.policy import UNWAIVABLE, Policy, Waiver

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing that a rule or scanner objects to.

    `rule` is the rule's or scanner's id ("external-host", "pod-security" …), `subject` what it
    is about (``str(ObjectId)`` for an object of a manifest, a path for a file), `message` the
    place within it, what was found and what was expected; both are one line each, with what would
    end it spelled out. `waiver` is set when a policy lets it pass.
    """

    rule: str
    severity: Severity
    subject: str
    message: str
    hint: str | None = None
    waiver: Waiver | None = None

    def __post_init__(self) -> None:
        # Names out of manifests and images stand in both: one must not look like two findings.
        for name in ("subject", "message"):
            text = getattr(self, name).replace("\r", "\\r").replace("\n", "\\n")
            object.__setattr__(self, name, text)

    @property
    def blocks(self) -> bool:
        """Whether this finding shuts the gate: an error that nobody waived."""
        return self.severity == "error" and self.waiver is None

    def to_json(self) -> dict[str, object]:
        """Plain data for reports; of a waiver its owner and reason, never its last day.

        A report is a function of the lock alone, and must not change as days pass.
        """
        report: dict[str, object] = {
            "rule": self.rule,
            "severity": self.severity,
            "subject": self.subject,
            "message": self.message,
        }
        if self.hint is not None:
            report["hint"] = self.hint
        if self.waiver is not None:
            report["waiver"] = {"owner": self.waiver.owner, "reason": self.waiver.reason}
        return report


def apply_waivers(findings: Iterable[Finding], policy: Policy) -> tuple[Finding, ...]:
    """`findings` in their order, each with the first waiver of `policy` that fits it.

    A waiver fits by its rule's id and by its glob over the subject; what is in `UNWAIVABLE` is
    never waived. The waiver's last day is not looked at: that needs a clock, and is the build
    verb's business.
    """
    return tuple(replace(found, waiver=_waiver(found, policy)) for found in findings)


def _waiver(finding: Finding, policy: Policy) -> Waiver | None:
    if finding.rule in UNWAIVABLE:
        return None
    return next((waiver for waiver in policy.waivers if fits(waiver, finding)), None)


def fits(waiver: Waiver, finding: Finding) -> bool:
    """Whether `waiver` is for findings such as this one."""
    return waiver.rule == finding.rule and fnmatchcase(finding.subject, waiver.object)
