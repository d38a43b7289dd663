"""The oracle of callable tracks: one number for each base, as plainly as can be."""

from __future__ import annotations

from collections.abc import Sequence

Interval = tuple[int, int, int]
"""(start, end, level): 1-based, inclusive; level 0 is not confident, 1 to 3 with two copies, 5 to 7 with one."""


def per_base(intervals: Sequence[Interval], size: int) -> list[int]:
    """The level of bases 1 to ``size``, at [0] of nothing: the lowest of those over it; 0 where copies differ."""
    over: list[list[int]] = [[] for _ in range(size + 1)]
    for start, end, level in intervals:
        for base in range(start, min(end, size) + 1):
            over[base].append(level)
    return [0 if not found or len({level // 4 for level in found}) > 1 else min(found) for found in over]


def copies(bases: Sequence[int], start: int, end: int, band: int) -> int:
    """1 for two copies at every base in the band or above, 2 for one copy, else 0."""
    run = bases[start : end + 1]
    if not run or len(run) < end - start + 1 or any(level % 4 < band for level in run) or len({level // 4 for level in run}) > 1:
        return 0
    return 1 + run[0] // 4


def intervals_of(bases: Sequence[int]) -> list[Interval]:
    """The longest runs of one level, those of 0 left out."""
    found: list[Interval] = []
    for base, level in enumerate(bases):
        if level and found and found[-1][1] == base - 1 and found[-1][2] == level:
            found[-1] = (found[-1][0], base, level)
        elif level:
            found.append((base, base, level))
    return found
