"""Attacks that decide whether somebody takes part: likelihood ratios of allele frequencies and of yes/no answers.

    frequencies   Λ = Σ g ln(p̂/p) + (2 - g) ln((1 - p̂)/(1 - p))          Sankararaman and others, Nat Genet 41:965, 2009
    yes/no        Λ = Σ x ln((1 - D_N)/(1 - δ D_(N-1))) + (1 - x) ln(D_N/(δ D_(N-1)))      Shringarpure and Bustamante, AJHG 97:631, 2015

Large Λ speaks for membership in the first, small in the second, as published. D_N is the chance that none of N people carries the allele,
δ that a copy of it is missed.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MISSED = 1e-6
"""δ of the published program."""

Floats = NDArray[np.float64]


def frequency_ratio(genotypes: NDArray[np.int8], released: Floats, reference: Floats) -> Floats:
    """Λ of each person: genotypes int8[m] or int8[k, m] copies, frequencies float64[m] or of the genotypes' shape, 0 < reference < 1.

    A released frequency of 0 or 1 is read as half a copy of a thousand, so that one rare site does not decide alone.
    """
    told = np.clip(released, 5e-4, 1 - 5e-4)
    up, down = np.log(told / reference), np.log((1 - told) / (1 - reference))
    return np.asarray((genotypes * up + (2 - genotypes) * down).sum(axis=-1), np.float64)


def nobody_carries(frequency: Floats | float, people: int) -> Floats:
    """D_N where the allele's frequency is known: (1 - f)^2N, as exp(2N log1p(-f))."""
    return np.asarray(np.exp(2 * people * np.log1p(-np.asarray(frequency))), np.float64)


def nobody_carries_unknown(people: int, a: float = 1.0, b: float = 1.0) -> float:
    """D_N where f ~ Beta(a, b) is not known: Γ(a+b) Γ(b+2N) / (Γ(b) Γ(a+b+2N)); 1/(2N + 1) for a = b = 1."""
    return math.exp(math.lgamma(a + b) + math.lgamma(b + 2 * people) - math.lgamma(b) - math.lgamma(a + b + 2 * people))


def beacon_ratio(
    answers: NDArray[np.bool_], nobody: Floats | float, nobody_else: Floats | float, missed: float = MISSED
) -> Floats:
    """Λ = L_H0 - L_H1 of yes/no answers bool[…, n] with D_N and D_(N-1); small for members."""
    none, others = np.asarray(nobody), missed * np.asarray(nobody_else)
    said_yes = np.log1p(-none) - np.log1p(-others)
    said_no = np.log(none) - np.log(others)
    return np.asarray(np.where(answers, said_yes, said_no).sum(axis=-1), np.float64)


def power(members: Floats, others: Floats, alpha: float) -> float:
    """Share of members above the highest threshold that no more than ``alpha`` of the others exceed; large speaks for membership."""
    threshold = np.quantile(others, 1 - alpha, method="higher")
    return float((members > threshold).mean())


def auc(members: Floats, others: Floats) -> float:
    """Chance that a member's statistic is above another's, ties counted half."""
    ranked = np.sort(others)
    below, upto = np.searchsorted(ranked, members, "left"), np.searchsorted(ranked, members, "right")
    return float((below + upto).mean() / (2 * len(others)))


def most_auc(epsilon: float) -> float:
    """Largest AUC of any attack on answers that cost ``epsilon`` nats together: e^ε/(1 + e^ε).

    Of an ε-private answer every point of the ROC curve lies under both lines from (0, 0) and (1, 1) of slopes e^ε and e^-ε (Wasserman and Zhou,
    JASA 105:375, 2010); the area below them is that.
    """
    return 1 / (1 + math.exp(-epsilon))


def most_power(epsilon: float, alpha: float) -> float:
    """Largest power at level ``alpha`` of any attack on answers that cost ``epsilon`` nats together (as ``most_auc``)."""
    return min(math.exp(epsilon) * alpha, 1 - math.exp(-epsilon) * (1 - alpha))
