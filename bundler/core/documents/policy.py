"""The document Policy: what the gate lets pass, by whose word and until when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from bundler.core.documents.checks import DAY, HOST, LINE, Problem, matches, shown, unique
from bundler.core.documents.members import About
from bundler.core.documents.structure import parse_document

# Rules without which there is no bundle to speak of, or nothing that could be let pass: a parameter
# without a place would be shown to a site and change nothing.
UNWAIVABLE = frozenset({"closure", "parameter-target"})

_ALLOWED = matches(
    rf"(\*\.)?{HOST}(:[0-9]{{1,5}})?", "a host name, *.suffix, or either with a port", 260
)
_RULE = matches(r"[A-Za-z0-9][A-Za-z0-9._-]*", "a rule's id such as external-host", 128)


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
class Policy:
    """The hosts that manifests may name, and the findings that are accepted."""

    kind: ClassVar[str] = "Policy"

    allow_hosts: Annotated[
        tuple[Annotated[str, _ALLOWED], ...], unique(), About("Hosts outside of the cluster.")
    ] = ()
    waivers: Annotated[tuple[Waiver, ...], unique(), About("Accepted findings.")] = ()


def parse_policy(text: str, where: str) -> Policy:
    """The Policy in the YAML `text`; DocumentError names `where`, line and field."""
    return parse_document(text, where, Policy)
