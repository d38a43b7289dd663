"""Bits of a view: what its genotypes tell its people apart by, counted while its pages are made (docs/design/disclosure.md §7). Pure.

Frequencies are those among the people of the view. Calls that a view does not show (masked, missing, no part's) tell nothing.
"""

from __future__ import annotations

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.codec.call_codes import Codes, Escapes
from vault.genotypes.codec.format_constants import HAS_UNEVEN
from vault.genotypes.compute.threads import over_rows
from vault.views import bit_kernels
from vault.views.genotype_bits import allele_bits, orders, site_bits


class ReleasedBits:
    """Sums over the sites of a view; add each of them once.

    ``n_people``: columns of its pages.
    """

    def __init__(self, n_people: int) -> None:
        self._people = np.zeros(n_people)
        self._sites = 0.0

    @property
    def mean(self) -> float:
        """Sum of the sites' bits: 2 to the minus that is the chance that two unrelated people share all genotypes, were the sites independent."""
        return self._sites

    @property
    def largest(self) -> float:
        """The largest surprisal of anybody's genotypes."""
        return float(self._people.max(initial=0.0))

    def add(self, counts: AlleleCounts, codes: Codes, escapes: Escapes) -> NDArray[np.float64]:
        """Add sites as they are shown; the bits of each, float64[m]. ``counts`` of m sites, ``codes`` uint8[m, n people]."""
        alleles = allele_bits(counts.counts, counts.offsets)
        found = site_bits(counts.counts, counts.offsets, _haploid(counts, codes, escapes))
        self._sites += float(found.sum())
        matrix, lock = np.ascontiguousarray(codes), Lock()

        def kernel(first: int, last: int) -> None:
            own = np.zeros(len(self._people))
            bit_kernels.add_person_bits(matrix, first, last, alleles, counts.offsets, own)
            with lock:
                self._people += own

        over_rows(kernel, len(matrix), work=matrix.size)
        if len(escapes):
            self._add_escapes(alleles, counts, escapes)
        return found

    def _add_escapes(self, alleles: NDArray[np.float64], counts: AlleleCounts, escapes: Escapes) -> None:
        lengths = np.diff(escapes.offset)
        where = counts.offsets[np.repeat(escapes.site, lengths)] + np.maximum(escapes.alleles, 0)
        single = np.where(escapes.alleles >= 0, alleles[where], 0.0)
        surprisal = np.add.reduceat(single, escapes.offset[:-1]) - orders(lengths, escapes.alleles)
        np.add.at(self._people, escapes.sample, surprisal)


def _haploid(counts: AlleleCounts, codes: Codes, escapes: Escapes) -> NDArray[np.bool_]:
    """bool[m]: all who are called at the site are haploid."""
    found = np.zeros(len(counts.an), np.bool_)
    rows = np.flatnonzero(counts.flags & HAS_UNEVEN)
    if len(rows):
        escaped = np.zeros(len(found), np.bool_)
        escaped[escapes.site] = True
        bit_kernels.find_haploid(np.ascontiguousarray(codes), rows, escaped, found)
    return found
