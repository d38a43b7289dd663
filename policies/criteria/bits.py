"""Bits of a list of matches: how well an answer tells its people apart (docs/design/disclosure.md §10).

A criterion that a share q of the people match tells -log2 q bits of each who is listed and -log2(1-q) of each who is not. Who is not
listed does not match or is unknown, and nobody can tell which: the share is of all.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import log2


def surprisals(matched: int, people: int) -> tuple[float, float]:
    """Bits of (each who is listed, each who is not). 0 of those that nobody is."""
    listed = log2(people / matched) if matched else 0.0
    others = log2(people / (people - matched)) if matched < people else 0.0
    return listed, others


def worst(matched: int, people: int) -> float:
    """Bits of the person of whom an answer tells most; 0 where all are alike."""
    return max(surprisals(matched, people))


def bound(counts: Iterable[int], people: int) -> float:
    """Bits that some answers tell together of one person at most, each counted by its worst."""
    return sum(worst(matched, people) for matched in counts)
