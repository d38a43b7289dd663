"""Classes of allele counts, by which a spectrum of them is told."""

from __future__ import annotations

FIRST = (0, 1, 2, 3, 6, 11, 21, 51, 101, 1_001)
"""Least count of each class; the last has no end."""


def _name(at: int) -> str:
    if at + 1 == len(FIRST):
        return f"{FIRST[at]}+"
    last = FIRST[at + 1] - 1
    return str(last) if last == FIRST[at] else f"{FIRST[at]}-{last}"


NAMES = tuple(_name(at) for at in range(len(FIRST)))
