"""Quantities of Kubernetes: ``500m``, ``16Gi``, ``1e3``.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from fractions import Fraction

_FORM = re.compile(r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)([A-Za-z]?i?|[eE][+-]?[0-9]{1,2})")
_POWERS = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_FACTORS = {suffix: Fraction(1000) ** power for suffix, power in _POWERS.items()} | {
    suffix: Fraction(1024) ** power for power, suffix in enumerate(_BINARY, 1)
}
_BYTES = ("memory", "storage", "hugepages")


def quantity(value: object) -> Fraction:
    """What `value`, a string or a number, stands for; 0 for what no API server would take."""
    found = _FORM.fullmatch(str(value)) if isinstance(value, str | int | float) else None
    if found is None:
        return Fraction(0)
    sign, digits, suffix = found.groups()
    if suffix[:1] in ("e", "E") and suffix[1:]:
        factor = Fraction(10) ** int(suffix[1:])
    else:
        factor = _FACTORS.get(suffix, Fraction(0))
    return Fraction(f"{sign}{digits}") * factor


def spelled(resource: str, amount: Fraction) -> str:
    """`amount` of `resource` for a reader: ``1.5 GiB`` of memory, ``0.5`` of cpu."""
    if not any(word in resource for word in _BYTES):
        return f"{float(amount):g}"
    return in_bytes(amount)


def in_bytes(amount: Fraction | int) -> str:
    """So many bytes in the largest binary unit of which there is at least one."""
    size, unit = float(amount), "B"
    for larger in _BINARY:
        if abs(size) < 1024:
            break
        size, unit = size / 1024, f"{larger}B"
    return f"{size:.1f}".removesuffix(".0") + f" {unit}"
