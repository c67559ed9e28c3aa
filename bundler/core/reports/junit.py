"""Findings as JUnit XML, for test reports: a suite for each place, a case for each rule and object.

Nobody owns this format. What is written is the part that Jenkins, GitLab and GitHub's reporters
read alike, and that Jenkins's schema (junit-10.xsd) admits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from bundler.core.errors import PolicyError
from bundler.core.findings import Finding

# What XML 1.0 can't hold, not even escaped (its production `Char`).
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(findings: Mapping[str, Sequence[Finding]]) -> str:
    """A JUnit report of `findings` by place.

    A case fails when one of its findings shuts the gate, is skipped when all were waived, and
    tells its warnings otherwise. A place where nothing was found has one case, "gate", which
    passed. PolicyError when there is no place: an empty report would look like a good one.
    """
    if not findings:
        raise PolicyError("nothing was judged, so that there is nothing to report")
    root = Element("testsuites", name="airbundle")
    for place, found in findings.items():
        _suite(root, place, found)
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _suite(root: Element, place: str, findings: Sequence[Finding]) -> None:
    suite = SubElement(root, "testsuite", name=_shown(place))
    cases: dict[tuple[str, str], list[Finding]] = {}
    for found in findings:
        cases.setdefault((found.rule, found.subject), []).append(found)
    for (rule, subject), group in cases.items():
        _judge(_case(suite, place, f"{rule}: {subject}"), rule, group)
    if not cases:
        _case(suite, place, "gate")
    counts = {
        "tests": len(suite),
        "failures": len(suite.findall("testcase/failure")),
        "errors": 0,
        "skipped": len(suite.findall("testcase/skipped")),
    }
    for name, count in counts.items():
        suite.set(name, str(count))


def _case(suite: Element, place: str, name: str) -> Element:
    return SubElement(suite, "testcase", classname=_shown(place), name=_shown(name), time="0")


def _judge(case: Element, rule: str, findings: Sequence[Finding]) -> None:
    """One verdict for what one rule found in one object."""
    blocking = [each for each in findings if each.blocks]
    told = [each for each in findings if not each.blocks]
    waivers = [each.waiver for each in told if each.waiver is not None]
    if blocking:
        more = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
        message = _shown(f"{blocking[0].message}{more}")
        SubElement(case, "failure", type=rule, message=message).text = _shown(_lines(blocking))
    elif len(waivers) == len(findings):
        reasons = dict.fromkeys(f"{waiver.reason} ({waiver.owner})" for waiver in waivers)
        message = _shown("; ".join(reasons))
        SubElement(case, "skipped", type=rule, message=message).text = _shown(_lines(told))
        return
    if told:
        SubElement(case, "system-out").text = _shown(_lines(told))


def _lines(findings: Iterable[Finding]) -> str:
    return "\n".join(_line(each) for each in findings)


def _line(found: Finding) -> str:
    waived = f" [waived: {found.waiver.reason}, {found.waiver.owner}]" if found.waiver else ""
    hint = f"\n  hint: {found.hint}" if found.hint else ""
    return f"{found.message}{waived}{hint}"


def _shown(text: str) -> str:
    """`text` with every character that XML can't hold spelled as ``\\x1b``."""
    return _NO_XML.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
