"""Degrees of kinship by the cuts of KING's robust estimator, and when it may be told at all (docs/design/disclosure.md §15).

Cuts: Manichaikul and others, Bioinformatics 26:2867, 2010, table 1: halfway, on the scale of powers of two, between what the degrees
are expected to have (1/2, 1/4, 1/8, 1/16).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CUTS: Mapping[str, float] = MappingProxyType({"same": 0.354, "first": 0.177, "second": 0.0884, "third": 0.0442})
"""Least φ of each degree, the closest first; ``same``: one person twice, or identical twins."""

LEAST_SITES = 2_000
LEAST_CHROMOSOMES = 5
MOST_PEOPLE = 5_000


def why_not(*, people: int, sites: int, chromosomes: int) -> str | None:
    """Reason in words why kinship is not assessed; None where it is. ``sites``: common ones of autosomes."""
    if people < 2:
        return "there are fewer than two people"
    if people > MOST_PEOPLE:
        return f"there are more than {MOST_PEOPLE:,} people"
    if sites < LEAST_SITES or chromosomes < LEAST_CHROMOSOMES:
        have = f"{sites:,} on {chromosomes}"
        return f"it takes {LEAST_SITES:,} common sites on {LEAST_CHROMOSOMES} chromosomes, and there are {have}"
    return None
