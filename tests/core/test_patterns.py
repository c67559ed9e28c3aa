"""Patterns of documents that would be matched for ever are refused, ordinary ones are not."""

from __future__ import annotations

import re
import time

import pytest

from bundler.core.patterns import PATTERN_LENGTH, VALUE_LENGTH, problem


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        ".*",
        "[a-z0-9-]{1,63}",
        "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
        "[0-9]{1,3}(\\.[0-9]{1,3}){3}",
        "https?://[a-z0-9.-]+",
        "[a-z.-]+(:[0-9]{1,5})?",
        "(debug|info|warn|error)",
        "v(?:0|[1-9][0-9]{0,5})\\.[0-9]{1,5}",
        "(?P<size>[0-9]+)(Gi|Mi)",
        "(?!-)[a-z-]{1,63}",
        "(?i:on|off)",
        r"[^]()*+|]{3}\)\(\[a+",
        r"[]\]+*]+",
        "a{b}{,}{c,d}",
        "a{,3}b{2,}",
        "()",
        "(a|b){8}",
        "a*?b++",
    ],
)
def test_an_ordinary_pattern_may_be_used(pattern: str) -> None:
    re.compile(pattern)
    assert problem(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(a+)+b",
        "(?:a*)*b",
        "(a|a)*b",
        "(a?){64}b",
        "(?P<x>(a{1,9}){1,9}){1,9}b",
        "((a)|(a|b))+c",
        "(([a-z])+.)+[A-Z]([a-z])+",
        "a*a*a*a*b",
        ".*.*.*.*x",
        "(a{0,1000}){0,1000}b",
        "(x(?=a+)+)+b",
        "(?x: a # )\n +)+",
        "(?i)a",
        "(a)?(?(1)b|c)",
        "(?#x)",
        "(?P<n>a)(?P=n)",
        "(" * 80 + "a" + ")*" * 80,
    ],
)
def test_a_pattern_with_too_many_ways_is_refused(pattern: str) -> None:
    re.compile(pattern)
    assert "too long to match" in str(problem(pattern))


def test_a_long_pattern_is_refused() -> None:
    assert problem("a" * PATTERN_LENGTH) is None
    assert "expected 256 at most" in str(problem("a" * (PATTERN_LENGTH + 1)))


@pytest.mark.parametrize("pattern", ["a*a*b", "(a|b|c){12}d", "[ab]{1,100}[ab]{1,100}[ab]{1,9}c"])
def test_the_slowest_pattern_that_passes_is_fast_enough(pattern: str) -> None:
    assert problem(pattern) is None
    started = time.monotonic()
    assert re.fullmatch(pattern, "a" * VALUE_LENGTH) is None
    assert time.monotonic() - started < 10
