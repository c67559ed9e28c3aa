"""What a plain YAML scalar means, and which ones readers disagree about.

`resolve` follows the core schema of YAML 1.2.2 (section 10.3.2). kubectl, kustomize and the API
server read manifests with go-yaml's older rules instead (`resolve.go` of its version 2), and other
tools with those of YAML 1.1; `quarrel` names the scalars that these three do not read alike.
"""

from __future__ import annotations

import contextlib
import math
import re

Scalar = str | int | float | bool | None

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN")

_OLD_BOOLEAN = re.compile(r"y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF")
_OLD_INTEGER = re.compile(r"[-+]?0([0-9]+|[oO][0-7]+|[bB][-+]?[01]+)|[-+]?0[xX][0-9a-fA-F]+")
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")

_LONGEST_NUMBER = 64
_MOST = 2**63


def resolve(text: str) -> Scalar:
    """The value of the plain scalar `text`; ValueError, with a sentence, when it fits no number.

    Integers must fit in 64 bits; a float may be infinite or NaN only where it is written so.
    """
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _NOT_FINITE.fullmatch(text):
        return _not_finite(text)
    for base, pattern in ((10, _DECIMAL), (8, _OCTAL), (16, _HEXADECIMAL)):
        if pattern.fullmatch(text):
            return _integer(text, base)
    if _FLOAT.fullmatch(text):
        return _float(text)
    return text


def _not_finite(text: str) -> float:
    if "n" in text.lower()[1:2]:
        return math.nan
    return -math.inf if text.startswith("-") else math.inf


def _integer(text: str, base: int) -> int:
    if len(text) > _LONGEST_NUMBER or not -_MOST <= int(text, base) < _MOST:
        raise ValueError(f"number {text[:40]} does not fit in 64 bits")
    return int(text, base)


def _float(text: str) -> float:
    value = float(text) if len(text) <= _LONGEST_NUMBER else math.inf
    if math.isinf(value):
        raise ValueError(f"number {text[:40]} does not fit in a 64-bit float")
    return value


def quarrel(text: str) -> str | None:
    """Why readers differ about the plain scalar `text`, ending in what to write; None if not."""
    if _OLD_BOOLEAN.fullmatch(text):
        return f'a boolean to YAML 1.1, a string to YAML 1.2; write "{text}", or true or false'
    if text in ("=", "<<"):
        return f'an operator to YAML 1.1, a string to YAML 1.2; write "{text}"'
    if _NOT_FINITE.fullmatch(text):
        return f'no number that JSON can carry; write "{text}" if it is a string'
    if _BASE_60.fullmatch(text):
        return f'a number to base 60 to YAML 1.1, a string to YAML 1.2; write "{text}"'
    plain = text.replace("_", "") if text[:1] in set("+-.0123456789") else text
    if _OLD_INTEGER.fullmatch(plain) and not _HEXADECIMAL.fullmatch(text):
        return _old_number(text, plain)
    if plain != text and (_FLOAT.fullmatch(plain) or _OLD_INTEGER.fullmatch(plain)):
        return _old_number(text, plain)
    return None


def _old_number(text: str, plain: str) -> str:
    return f'not the same number to every reader of YAML; write {_as_go(plain)}, or "{text}"'


def _as_go(plain: str) -> str:
    """The decimal spelling of the number that go-yaml would read."""
    sign = "-" if plain.startswith("-") else ""
    digits = plain.lstrip("+-").lower()
    for prefix, base in (("0x", 16), ("0o", 8), ("0b", 2), ("0", 8)):
        if digits.startswith(prefix):
            with contextlib.suppress(ValueError):  # 08 is no octal number: Go takes it as 8
                return f"{sign}{int(digits.removeprefix(prefix), base)}"
    return sign + (digits.lstrip("0") or "0")
