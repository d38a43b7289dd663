"""Residual inference: what a shown site still tells of a sensitive one that is linked with it (docs/design/disclosure.md §8.3)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from policies.errors import PolicyInputError

TOLERATED = 1.5
"""Ratio of posterior to prior up to which a single tag tells little."""


@dataclass(frozen=True)
class ResidualInference:
    """Chances of the sensitive allele on a haplotype: ``prior``, and given that the tag allele is there, or is not.

    ``disequilibrium`` is D; ``accuracy`` and ``baseline`` are the shares of haplotypes that are guessed right with the tag and without it.
    """

    prior: float
    disequilibrium: float
    given_tag: float
    given_no_tag: float
    accuracy: float
    baseline: float

    @property
    def ratio(self) -> float:
        """Posterior by prior: how much likelier the tag makes the sensitive allele."""
        return self.given_tag / self.prior


def residual_inference(*, sensitive: float, tag: float, r2: float) -> ResidualInference:
    """Inference from a tag allele: what one of frequency ``tag``, correlated by ``r2``, tells of a sensitive allele of frequency ``sensitive``: both found together
    more often than by chance. ``r2`` beyond what the frequencies allow is taken as the most that they do.

    D = sqrt(r² pA qA pB qB); P(A|B) = pA + D/pB; P(A|not B) = pA - D/qB (Hill and Robertson, Theor Appl Genet 38:226, 1968).

    Raises:
        PolicyInputError: ``not_a_share``: a frequency that is not between 0 and 1, or ``r2`` that is not from 0 to 1.
    """
    if not (0 < sensitive < 1 and 0 < tag < 1 and 0 <= r2 <= 1):
        raise PolicyInputError("not_a_share", "frequencies lie between 0 and 1, r² from 0 to 1")
    most = min(sensitive * (1 - tag), tag * (1 - sensitive))
    found = min(sqrt(r2 * sensitive * (1 - sensitive) * tag * (1 - tag)), most)
    given, otherwise = sensitive + found / tag, sensitive - found / (1 - tag)
    right = tag * max(given, 1 - given) + (1 - tag) * max(otherwise, 1 - otherwise)
    return ResidualInference(sensitive, found, given, otherwise, right, max(sensitive, 1 - sensitive))
