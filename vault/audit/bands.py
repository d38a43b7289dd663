"""Bands of counts, for leaves: whoever reads two leaves must not learn from their difference that one person came or went.

exact   0   1 to 20   21 to 50   51 to 100   101 to 200   201 to 500   501 to 1,000   1,001 to 2,000 …
leaf    0   1         21         51          101          201          501            1001
"""

from __future__ import annotations

from collections.abc import Mapping

SMALLEST = 20  # as few people are never told apart (docs/design/disclosure.md §9)


def band(count: int) -> int:
    """The first number of the band that a count lies in."""
    return _edges(count)[0] if count else 0


def spoken(count: int) -> str:
    """The band of a count in words, none and the smallest as one: "20 or fewer", "2,001 to 5,000"."""
    first, last = _edges(count)
    return f"{last} or fewer" if first <= 1 else f"{first:,} to {last:,}"


def banded(counts: Mapping[str, int]) -> dict[str, int]:
    """Each count's band."""
    return {name: band(count) for name, count in counts.items()}


def _edges(count: int) -> tuple[int, int]:
    """First and last number of a count's band; of the smallest 1 and 20."""
    first, last, steps = 1, SMALLEST, 0
    while count > last:
        wider = last * 5 // 2 if steps % 3 == 0 else last * 2  # 20, 50, 100, 200, 500 …
        first, last, steps = last + 1, wider, steps + 1
    return first, last
