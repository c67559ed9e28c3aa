"""The document Policy: what the gate lets pass, by whose word and until when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from bundler.core.documents.checks import (
    DAY,
    HOST,
    INSIDE,
    LINE,
    Problem,
    matches,
    shown,
    unique,
)
from bundler.core.documents.members import About
from bundler.core.documents.structure import parse_document

# Rules without which there is no bundle to speak of, or nothing that could be let pass: a parameter
# without a place would be shown to a site and change nothing.
UNWAIVABLE = frozenset({"closure", "parameter-target", "report"})

_ALLOWED = matches(
    rf"(\*\.)?{HOST}(:[0-9]{{1,5}})?", "a host name, *.suffix, or either with a port", 260
)
# checkov's --skip-check takes patterns, severities (LOW) and namespaces, too: each of them leaves
# out more than it names.
CHECK_ID = r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+"
_CHECK = matches(CHECK_ID, "the id of one check of checkov's, such as CKV_K8S_15", 128)
_RULE = matches(r"[A-Za-z0-9][A-Za-z0-9._-]*", "a rule's id such as external-host", 128)
_TARGET = matches(r"[a-z0-9*?-]+", "a target's name or a pattern such as aws-gov*", 63)

# AWS's own names of them (botocore's partitions.json has the same), and Azure's clouds, called
# alike: each has its accounts, regions, ARNs and hosts, and nothing of one is reached from another.
Partition = Literal[
    "aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc",
    "azure", "azure-cn", "azure-us-gov",
]  # fmt: skip


@dataclass(frozen=True)
class Waiver:
    """Lets findings of one rule pass on the objects that a pattern names, until a day.

    `object` is a glob over how an object is shown ("Deployment serving/web"); `until` is the
    last day, YYYY-MM-DD.
    """

    rule: Annotated[str, _RULE, About("The id of the rule, as the finding shows it.")]
    object: Annotated[str, LINE, About("The object, or a pattern: Deployment serving/*.")]
    owner: Annotated[str, LINE, About("Who answers for it.")]
    reason: Annotated[str, LINE, About("Why it is acceptable.")]
    until: Annotated[str, DAY, About("The last day, YYYY-MM-DD.")]

    def problems(self) -> Iterator[Problem]:
        """A rule that nobody may waive."""
        if self.rule in UNWAIVABLE:
            problem = f"is {shown(self.rule)}, which can't be waived"
            yield Problem(("rule",), problem, "mend what the rule found")


@dataclass(frozen=True)
class Skip:
    """A check of checkov's that is not asked at all, of any object, and why that is right."""

    check: Annotated[str, _CHECK, About("The id of the check: CKV_K8S_15.")]
    reason: Annotated[str, LINE, About("Why nobody has to answer it.")]


@dataclass(frozen=True)
class Policy:
    """The hosts that manifests may name, the checks that are asked, and what is accepted."""

    kind: ClassVar[str] = "Policy"

    allow_hosts: Annotated[
        tuple[Annotated[str, _ALLOWED], ...], unique(), About("Hosts outside of the cluster.")
    ] = ()
    checks: Annotated[
        str | None,
        INSIDE,
        About("A folder of checkov checks, *.py and *.yaml, below this document's own."),
    ] = None
    skip: Annotated[
        tuple[Skip, ...], unique("check"), About("Checks of checkov's that are not asked.")
    ] = ()
    waivers: Annotated[tuple[Waiver, ...], unique(), About("Accepted findings.")] = ()
    partitions: Annotated[
        Mapping[Annotated[str, _TARGET], Partition],
        About("The partition of AWS or cloud of Azure that a target is for, by name or pattern."),
    ] = field(default_factory=dict)


def parse_policy(text: str, where: str) -> Policy:
    """The Policy in the YAML `text`; DocumentError names `where`, line and field."""
    return parse_document(text, where, Policy)
