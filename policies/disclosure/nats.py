"""Amounts of evidence in whole millionths of a nat, so that sums and comparisons are exact.

A charge of ε nats lets whoever sees the answer multiply the odds that somebody takes part by at most e^ε (docs/design/disclosure.md §6).
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from policies.errors import PolicyInputError

Micronats = int

UNIT = 1_000_000  # micronats of one nat
_FORM = re.compile(r"([0-9]{1,4})(?:\.([0-9]{1,6}))?")


def parse(text: str, *, place: str) -> Micronats:
    """Micronats of a decimal number of nats, at most six digits behind the point.

    Raises:
        PolicyInputError: ``bad_number``.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise PolicyInputError("bad_number", "a number of nats is like 0.1, with at most six digits behind the point", place)
    whole, part = found.groups()
    return int(whole) * UNIT + int((part or "").ljust(6, "0"))


def text(amount: Micronats) -> str:
    """The amount as ``parse`` reads it."""
    whole, part = divmod(amount, UNIT)
    return f"{whole}.{part:06}".rstrip("0").rstrip(".")


def number(amount: Micronats) -> float:
    """Nats, for reports."""
    return amount / UNIT


def exact(amount: Micronats) -> Fraction:
    """Nats as a fraction, for the sampler."""
    return Fraction(amount, UNIT)


def factor(amount: Micronats) -> float:
    """The most by which answers that cost this much together multiply the odds of anybody's taking part; two decimals."""
    return round(math.exp(min(amount / UNIT, 700.0)), 2)
