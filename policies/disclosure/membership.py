"""Membership in exact allele frequencies: what the likelihood-ratio test of a target against a published table can tell.

Of n diploid people, m independent sites, reference frequencies p, published frequencies p^ and a target's genotypes g (0, 1 or 2 copies):

    Λ      = Σ g ln(p^/p) + (2 - g) ln((1 - p^)/(1 - p))          large: the target is a member
    μ      = √(m/n)
    power  = Φ(μ / √(1 + n/n_ref) - z)                             z = Φ⁻¹(1 - level); n_ref people in the attacker's reference
    m_max  = floor(n (z + Φ⁻¹(π))²)                                the most sites at which the power is at most π

After Sankararaman and others (Nat Genet 41:965, 2009), derived again and checked by simulation (docs/design/disclosure.md §3). They hold for
sites chosen without regard to the target: against sites at which the target is rare the power is that of the target's own Λ,
``power_against``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist

ALPHA = 0.05
"""Share of the people who take no part that the test may call members."""

POWER = 0.10
"""Share of the members that it may find, of any one cohort's published tables together."""

MOST_MU = 363_000
"""Millionths: the largest μ that a project can declare, that of ``ALPHA`` and ``POWER``. It can declare less, never more."""

_NORMAL = NormalDist()


def strength(m: int, n: int) -> float:
    """μ of m sites of n people: how far members and others lie apart, in standard deviations of the test."""
    _require(m, n)
    return math.sqrt(m / n)


def power(m: int, n: int, *, n_ref: int | None = None, alpha: float = ALPHA) -> float:
    """Share of the members that the test finds.

    Args:
        n_ref: people of the attacker's reference; None: frequencies are known exactly, which bounds what any attacker can do.
    """
    mu = strength(m, n)
    return power_at(mu if n_ref is None else mu / math.sqrt(1 + n / n_ref), alpha=alpha)


def power_at(mu: float, *, alpha: float = ALPHA) -> float:
    """Share of the members that the test finds at strength μ."""
    return _NORMAL.cdf(mu - _NORMAL.inv_cdf(1 - alpha))


def m_max(n: int, *, alpha: float = ALPHA, power: float = POWER) -> int:
    """Most sites of n people at which the test finds at most a share of ``power`` of them; 0 where that is below ``alpha``."""
    bracket = strength_at(alpha=alpha, power=power)
    return math.floor(n * bracket * bracket)


def strength_at(*, alpha: float = ALPHA, power: float = POWER) -> float:
    """Largest μ at which the test finds at most a share of ``power`` of the members; 0 where that is below ``alpha``."""
    return max(0.0, _NORMAL.inv_cdf(1 - alpha) + _NORMAL.inv_cdf(power))


def evidence(genotypes: Iterable[int], published: Iterable[float], reference: Iterable[float]) -> float:
    """Λ of one target in nats, over sites in parallel: copies of the allele, and frequencies strictly between 0 and 1."""
    return math.fsum(
        g * math.log(seen / known) + (2 - g) * math.log((1 - seen) / (1 - known))
        for g, seen, known in zip(genotypes, published, reference, strict=True)
    )


def power_against(evidence: float, *, alpha: float = ALPHA) -> float:
    """Share of the cohorts with one given member in which the test finds that member, whose Λ without themselves in the reference this is.

    Given the genotypes, the test's statistic has the mean ±v/2 and the variance v = Σ (g - 2p)² / (2 n p (1 - p)), and v is in the first
    order Λ with the other members as the reference (docs/design/disclosure.md §3).
    """
    return power_at(math.sqrt(max(0.0, evidence)), alpha=alpha)


def _require(m: int, n: int) -> None:
    if m < 0 or n < 1:
        raise ValueError("sites are counted from 0, people from 1")
