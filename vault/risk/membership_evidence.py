"""Evidence of membership: what allele frequencies of a view's common sites would tell about who is in it, if a recipient published them.

Of each person Λ against the frequencies among the others (``vault.views.member_evidence``), added up page after page. Linked sites count in
full: a bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from policies.disclosure import membership
from vault.genotypes.codec.call_codes import DIPLOID_STRIDE, HAPLOID_BASE, PHASED_OFFSET, Codes
from vault.views.member_evidence import MISSING, member_evidence

CALLS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class PublishedFrequencies:
    """Evidence in the frequencies of ``m`` sites: ``mu`` and ``power`` over all members, and the largest and the 95th-percentile member's Λ, nats."""

    m: int
    mu: float
    power: float
    lambda_max: float
    lambda_p95: float


class MembershipEvidence:
    """Sum of each person's Λ; add the sites once. ``n_people``: one and more."""

    def __init__(self, n_people: int) -> None:
        self._sum = np.zeros(n_people)
        self._sites = 0

    def add(self, codes: Codes) -> None:
        """Add sites of two alleles, both carried by several people: ``codes`` uint8[m, n]."""
        copies, called = _copies()
        step = max(1, CALLS_AT_ONCE // len(self._sum))
        for first in range(0, len(codes), step):
            some = codes[first : first + step]
            self._sum += member_evidence(copies[some], called=called[some])
        self._sites += len(codes)

    def found(self) -> PublishedFrequencies:
        """The evidence of all that was added."""
        n = len(self._sum)
        return PublishedFrequencies(
            self._sites,
            membership.strength(self._sites, n),
            membership.power(self._sites, n),
            float(self._sum.max(initial=0.0)),
            float(np.quantile(self._sum, 0.95, method="higher")),
        )


@cache
def _copies() -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """(copies of the ALT int8[256], ``MISSING`` without a whole call; called alleles int8[256]) of each call code at a site of two alleles."""
    copies, called = np.full(256, MISSING, np.int8), np.full(256, 2, np.int8)
    for a in (0, 1):
        copies[HAPLOID_BASE + a + 1], called[HAPLOID_BASE + a + 1] = a, 1
        for b in (0, 1):
            code = (a + 1) * DIPLOID_STRIDE + b + 1
            copies[[code, code + PHASED_OFFSET]] = a + b
    return copies, called
