"""Diplotypes of many people at a gene: worked out once for each distinct row of calls (``policies.criteria.diplotypes``). Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from policies.criteria.diplotypes import ALTERNATE, REFERENCE, UNREAD, ShownCall
from policies.criteria.expressions import Pair
from policies.criteria.packs import GeneHaplotypes
from vault.views.locus_states import CODES, ONLY, States, parts


@dataclass(frozen=True)
class GeneRows:
    """Distinct rows of calls at a gene's loci: ``which`` intp[n], the row of each person; ``fits`` bool[pairs, r]: which pairs a row allows."""

    pairs: Sequence[Pair]
    fits: NDArray[np.bool_]
    which: NDArray[np.intp]

    def truths(self, named: Collection[Pair]) -> NDArray[np.uint8]:
        """uint8[n]: 1 for whom all pairs that are allowed are ``named``, 2 for whom none is, 0 where that is open."""
        wanted = np.array([pair in named for pair in self.pairs])
        inside, outside = self.fits[wanted].any(axis=0), self.fits[~wanted].any(axis=0)
        said = np.where(inside & ~outside, 1, np.where(outside & ~inside, 2, 0)).astype(np.uint8)
        found: NDArray[np.uint8] = said[self.which]
        return found


def gene_rows(gene: GeneHaplotypes, states: Mapping[str, States]) -> GeneRows:
    """Rows of calls of all people at a gene, and what they allow. ``states``: uint8[n] of each locus, n at least 1."""
    which, rows = np.zeros(len(states[gene.loci[0]]), np.intp), 1
    for locus in gene.loci:
        key = which * CODES + states[locus]
        there = np.zeros(rows * CODES, np.bool_)
        there[key] = True
        number = np.cumsum(there) - 1
        which, rows = number[key], int(number[-1]) + 1
    example = np.zeros(rows, np.intp)
    example[which] = np.arange(len(which))
    pairs = [(one, two) if one <= two else (two, one) for one, two in combinations_with_replacement(gene.haplotypes, 2)]
    shown = [states[locus][example] for locus in gene.loci]
    return GeneRows(pairs, np.array([_fits(gene, pair, shown) for pair in pairs]), which)


def _fits(gene: GeneHaplotypes, pair: Pair, shown: Sequence[States]) -> NDArray[np.bool_]:
    """bool[r]: rows of calls that allow a pair of haplotypes."""
    alone, straight, turned = (np.ones(len(shown[0]), np.bool_) for _ in range(3))
    first, second = (gene.haplotypes[name] for name in pair)
    for locus, states in zip(gene.loci, shown, strict=True):
        in_order, reversed_, either = _allowed(
            ALTERNATE if locus in first else REFERENCE, ALTERNATE if locus in second else REFERENCE
        )
        straight &= in_order[states]
        turned &= reversed_[states]
        alone &= either[states]
    return alone & (straight | turned)


@cache
def _allowed(one: int, two: int) -> NDArray[np.bool_]:
    """bool[3, 64]: whether a state allows two alleles in order and in reverse, where it is phased, and in any order, where it is not; else True."""
    table = np.ones((3, CODES), np.bool_)
    for code in range(CODES):
        first, second, phased = parts(code)
        call = ShownCall(first, UNREAD if second == ONLY else second, phased)
        said = call.allows(one, two), call.allows(two, one)
        if phased:
            table[:2, code] = said
        else:
            table[2, code] = any(said)
    return table
