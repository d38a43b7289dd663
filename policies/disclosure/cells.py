"""Cells: what of a stored noisy number an answer shows (docs/design/disclosure.md §9).

Everything here is computed from the noisy number, so it costs nothing beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass

from policies.disclosure.noise import SHOWN

FLOOR = 100
"""People below whom a cohort is not counted."""


@dataclass(frozen=True)
class Cell:
    """An answer about one allele. ``carriers`` is None for fewer than 21, masked or absent alike, and where all but 20 may carry it."""

    exists: bool
    carriers: int | None


def cell(noisy: int, *, people: int, counted: bool) -> Cell:
    """Cell of a noisy number of carriers among ``people``. ``counted``: the number was asked for, not presence alone."""
    exists = noisy >= SHOWN
    shown = counted and exists and noisy <= people - SHOWN
    return Cell(exists, noisy if shown else None)
