"""Evidence of membership of many people at once: Λ of each in a published frequency table (``policies.disclosure.membership``). Pure.

Against its own frequencies a table tells nothing: Λ is 0. So the reference is either somebody's, as of another population, or for each
person the others: (k - g) / (a - c) of k copies of the allele among a called, the person's g and c left out. That is an attacker who knows
everybody else; it rests on no data from outside, and its root is the person's own μ, by which ``membership.power_against`` tells how often
an attacker who knows no more than the true frequencies finds this person.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Copies = NDArray[np.int8]

MISSING = -1
"""Copies of an allele in a call that is missing: it adds nothing."""


def member_evidence(
    copies: Copies, published: Floats | None = None, reference: Floats | None = None, *, called: Copies | None = None
) -> Floats:
    """float64[n]: Λ of each person in nats; infinite where the reference does not have an allele that they carry.

    Args:
        copies: int8[m, n]: copies of the allele at m sites, ``MISSING`` where there is no call.
        published: float64[m]: the frequencies that are told; None: those of ``copies`` exactly.
        reference: float64[m]: the attacker's; None: for each person the frequency among the others.
        called: int8[m, n]: alleles of each call, 1 or 2; None: two each.
    """
    ploidy = np.int8(2) if called is None else called
    known = copies != MISSING
    carried = np.where(known, copies, 0).sum(axis=1, dtype=np.int64)
    alleles = np.where(known, ploidy, 0).sum(axis=1, dtype=np.int64)
    seen = _share(carried, alleles) if published is None else np.asarray(published, np.float64)
    total = np.zeros(copies.shape[1])
    for c, g in product((1, 2), range(3)):
        here = known & (copies == g) & (ploidy == c)
        if g <= c and here.any():
            of_others = _share(carried - g, alleles - c) if reference is None else np.asarray(reference, np.float64)
            told = _weighted(g, seen, of_others) + _weighted(c - g, 1 - seen, 1 - of_others)
            total += np.where(here, told[:, None], 0.0).sum(axis=0)
    return total


def _share(copies: NDArray[np.int64], alleles: NDArray[np.int64]) -> Floats:
    found: Floats = copies / np.maximum(alleles, 1)
    return found


def _weighted(times: int, seen: Floats, known: Floats) -> Floats:
    """float64[m]: times · ln(seen / known); nothing where it is not seen at all."""
    if not times:
        return np.zeros(len(seen))
    with np.errstate(divide="ignore", invalid="ignore"):  # what nobody carries so often is not added
        found: Floats = times * np.where(seen > 0, np.log(np.where(seen > 0, seen, 1.0)) - np.log(known), 0.0)
    return found
