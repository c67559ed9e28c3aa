"""Quantities of Kubernetes, as its API writes them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from bundler.core.preflight.quantity import in_bytes, quantity, spelled


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500m", Fraction(1, 2)),
        ("2", 2),
        (3, 3),
        (0.5, Fraction(1, 2)),
        ("1.5Gi", 3 * 2**29),
        ("16Gi", 16 * 2**30),
        ("10G", 10**10),
        ("1k", 1000),
        ("1e3", 1000),
        ("2E2", 200),
        ("2E", 2 * 10**18),
        ("100n", Fraction(1, 10**7)),
        ("+4", 4),
        (".5", Fraction(1, 2)),
        ("", 0),
        ("plenty", 0),
        ("1 Gi", 0),
        ("1Zi", 0),
        (None, 0),
        (["1"], 0),
    ],
)
def test_a_quantity_is_an_exact_number(text: object, number: Fraction | int) -> None:
    assert quantity(text) == number


@pytest.mark.parametrize(
    ("resource", "amount", "words"),
    [
        ("cpu", Fraction(1, 2), "0.5"),
        ("nvidia.com/gpu", Fraction(8), "8"),
        ("memory", Fraction(16 * 2**30), "16 GiB"),
        ("ephemeral-storage", Fraction(3 * 2**29), "1.5 GiB"),
        ("requests.storage", Fraction(100), "100 B"),
    ],
)
def test_an_amount_reads_as_its_resource_does(resource: str, amount: Fraction, words: str) -> None:
    assert spelled(resource, amount) == words


def test_bytes_have_the_unit_that_fits() -> None:
    assert [in_bytes(size) for size in (1, 1024, 5 * 2**20, 3 * 2**40)] == [
        "1 B",
        "1 KiB",
        "5 MiB",
        "3 TiB",
    ]
