"""Bands of counts, for leaves: whoever reads two leaves must not learn from their difference that one person came or went.

exact   0   1 to 20   21 to 50   51 to 100   101 to 200   201 to 500   501 to 1,000   1,001 to 2,000 …
leaf    0   1         21         51          101          201          501            1001
"""

from __future__ import annotations

from collections.abc import Mapping

SMALLEST = 20  # as few people are never told apart (docs/design/disclosure.md §9)


def band(count: int) -> int:
    """The first number of the band that a count lies in."""
    if count <= SMALLEST:
        return min(count, 1)
    edge, steps = SMALLEST, 0
    while True:
        wider = edge * 5 // 2 if steps % 3 == 0 else edge * 2  # 20, 50, 100, 200, 500 …
        if count <= wider:
            return edge + 1
        edge, steps = wider, steps + 1


def banded(counts: Mapping[str, int]) -> dict[str, int]:
    """Each count's band."""
    return {name: band(count) for name, count in counts.items()}
