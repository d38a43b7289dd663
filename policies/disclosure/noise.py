"""Accuracy and price of a noisy number of carriers (docs/design/disclosure.md §4).

One person is one carrier or none, so an answer with noise ε costs ε for each distinct allele.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from policies.disclosure.nats import UNIT, Micronats, factor, number
from policies.errors import PolicyInputError

DEFAULT: Micronats = UNIT // 10
LEAST: Micronats = UNIT // 1_000
MOST: Micronats = 5 * UNIT
SHOWN = 21
"""Carriers from which on an allele is said to exist, and their number told."""

_MISSED = 0.05  # share of answers that are further off than their accuracy says


@dataclass(frozen=True)
class Price:
    """Price of the answers of one request. ``epsilon`` for each of ``alleles`` distinct alleles that was not answered before."""

    epsilon: Micronats
    alleles: int

    @property
    def total(self) -> Micronats:
        """Micronats, if none was answered before."""
        return self.epsilon * self.alleles

    def as_dict(self) -> dict[str, float]:
        """The price as it is shown before it is paid: ``nats`` and ``factor`` at most, ``epsilon`` for each of ``alleles``."""
        return {
            "alleles": self.alleles,
            "epsilon": number(self.epsilon),
            "accuracy95": accuracy95(self.epsilon),
            "nats": number(self.total),
            "factor": factor(self.total),
        }


def accuracy95(epsilon: Micronats) -> int:
    """Smallest a with P(|noise| ≤ a) ≥ 0.95."""
    rate = epsilon / UNIT
    decay = math.exp(-rate)
    # P(|X| > a) = 2 e^(-ε (a + 1)) / (1 + e^-ε)
    return max(0, math.ceil(math.log(2 / (_MISSED * (1 + decay))) / rate - 1 - 1e-9))


def epsilon_for(accuracy: int) -> Micronats:
    """Smallest ε whose answers are within ``accuracy`` carriers in 95 of 100 cases.

    Raises:
        PolicyInputError: ``out_of_range``: so exact, or so vague, nothing is answered.
    """
    if not accuracy95(MOST) <= accuracy <= accuracy95(LEAST):
        text = f"an accuracy is from {accuracy95(MOST)} to {accuracy95(LEAST)} carriers"
        raise PolicyInputError("out_of_range", text, "accuracy")
    low, high = LEAST, MOST  # accuracy95 falls as epsilon grows
    while low < high:
        middle = (low + high) // 2
        if accuracy95(middle) <= accuracy:
            high = middle
        else:
            low = middle + 1
    return low


def chosen(*, epsilon: Micronats | None, accuracy: int | None) -> Micronats:
    """The ε asked for: as it is, or by accuracy; else ``DEFAULT``.

    Raises:
        PolicyInputError: ``out_of_range``; ``contradiction``: both were given.
    """
    if epsilon is not None and accuracy is not None:
        raise PolicyInputError("contradiction", "say how exact by accuracy or by epsilon, not both", "accuracy")
    if accuracy is not None:
        return epsilon_for(accuracy)
    if epsilon is None:
        return DEFAULT
    if not LEAST <= epsilon <= MOST:
        raise PolicyInputError("out_of_range", f"an epsilon is from {LEAST / UNIT:g} to {MOST / UNIT:g} nats", "epsilon")
    return epsilon


def false_exists(epsilon: Micronats) -> float:
    """Share of the answers about an allele that nobody carries which say that it exists: P(noise ≥ 21)."""
    rate = epsilon / UNIT
    return math.exp(-rate * SHOWN) / (1 + math.exp(-rate))
