"""Exact frequency tables: what of an approved panel is shown, how finely, at which price, and of which cohorts (docs/design/disclosure.md §3).

Price and fineness are worked out from the number of alleles that the panel names and from ``floor``, the lower end of the band in which the
number of people is told: public facts. The number of people itself shows in neither.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from fractions import Fraction

from policies.disclosure import cells, membership
from policies.disclosure.nats import UNIT, Micronats
from policies.disclosure.noise import SHOWN

RAREST = Fraction(1, 20)
"""Frequency of the rarer allele below which a site is not shown."""

NEAR = 20
"""People in whom two cohorts may not differ, if both are to have tables: the difference of two tables is a table of those people."""

_PRICE_STEP = UNIT // 100
_CHROMOSOMES = 8  # of the smallest cohort of a band, that share one written frequency


def shown(copies: int, called: int, *, carriers: int, people: int) -> bool:
    """True if a site may stand in a table.

    Args:
        copies: of the allele, among ``called`` alleles of ``people`` with a call, of whom ``carriers`` carry it.
    """
    if people < cells.FLOOR or min(carriers, people - carriers) < SHOWN:
        return False
    return min(copies, called - copies) >= RAREST * called


def step(floor: int) -> Fraction:
    """Steps in which frequencies are written: the smallest of 0.5, 0.2, 0.1, 0.05 … in which 8 chromosomes of ``floor`` people share one.

    So as many chromosomes or more lie behind each written number, and how many people there are cannot be worked out from which numbers occur.
    """
    least = Fraction(_CHROMOSOMES, 2 * floor)
    fits = (size for tenth in range(1, 18) for size in (Fraction(5, 10**tenth), Fraction(2, 10**tenth), Fraction(1, 10**tenth)))
    return min(size for size in fits if size >= least)


def written(copies: int, called: int, floor: int) -> str:
    """A frequency as a table has it: to the nearest step, halves up."""
    size = step(floor)
    places = next(tenth for tenth in range(18) if (size * 10**tenth).denominator == 1)
    whole = math.floor(Fraction(copies, called) / size + Fraction(1, 2)) * size
    return f"{float(whole):.{places}f}"


def price(alleles: int, floor: int) -> Micronats:
    """Evidence that a table is charged with: the mean of Λ for somebody heterozygous at every site, all at the rarest frequency that is shown.

    (1 - 2f)² / (4 n f (1 - f)) for each allele: half of the variance of §3. Rounded up to a hundredth of a nat.
    """
    f = RAREST
    exact = alleles * (1 - 2 * f) ** 2 / (4 * floor * f * (1 - f))
    return math.ceil(exact * UNIT / _PRICE_STEP) * _PRICE_STEP


def covered(evidence: float, paid: Micronats) -> bool:
    """True if a price covers the mean of Λ for a member whose Λ against the other members is ``evidence``, of which it is half."""
    return evidence / 2 <= paid / UNIT


def together(tables: Iterable[tuple[int, int]]) -> float:
    """μ of all tables of a family, each as (alleles, people): evidence of different tables adds up, of one cohort's or of several."""
    return math.sqrt(math.fsum(m / n for m, n in tables))


def within(mu: float, declared: int | None = None) -> bool:
    """True if the test may be as strong as ``mu``; ``declared``: millionths, of a project that allows less."""
    most = membership.strength_at() if declared is None else min(declared / UNIT, membership.strength_at())
    return mu <= most * (1 + 1e-12)


def most_alleles(n: int, declared: int | None = None) -> int:
    """Alleles that all tables of one cohort of ``n`` people may name together."""
    usual = membership.m_max(n)
    return usual if declared is None else min(usual, math.floor(Fraction(declared, UNIT) ** 2 * n))


def too_near(people: AbstractSet[bytes], other: Collection[bytes], *, gone: int = 0) -> bool:
    """True if two cohorts differ, and by ``NEAR`` people or fewer. ``gone``: people of the other who were erased, and are in neither set."""
    return 1 <= differing(people, other, gone=gone) <= NEAR


def differing(people: AbstractSet[bytes], other: Collection[bytes], *, gone: int = 0) -> int:
    """Number of people in whom two cohorts differ. ``gone``: as of ``too_near``."""
    both = len(people & frozenset(other))
    return len(people) + len(other) - 2 * both + gone
