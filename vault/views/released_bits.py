"""Bits of a view: what its genotypes tell its people apart by, counted while its pages are made (docs/design/disclosure.md §7). Pure.

Frequencies are those among the people of the view. Calls that a view does not show (masked, missing, no part's) tell nothing.
"""

from __future__ import annotations

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from vault.crypto.primitives import sha256
from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.codec.call_codes import Codes, Escapes
from vault.genotypes.codec.format_constants import HAS_UNEVEN
from vault.genotypes.compute.threads import over_rows
from vault.genotypes.contigs import normal_contig
from vault.genotypes.sites import Sites
from vault.views import bit_kernels
from vault.views.genotype_bits import allele_bits, orders, site_bits
from vault.views.site_bits import SiteBits


class ReleasedBits:
    """Sums over the sites of a view; add each of them once.

    ``n_people``: columns of its pages. ``assembly``: of its positions.
    """

    def __init__(self, n_people: int, assembly: str = "") -> None:
        self._people = np.zeros(n_people)
        self._assembly = assembly
        self._sites = 0.0
        self.n_sites = 0
        self._named: list[SiteBits] = []

    @property
    def mean(self) -> float:
        """Sum of the sites' bits: 2 to the minus that is the chance that two unrelated people share all genotypes, were the sites independent."""
        return self._sites

    @property
    def largest(self) -> float:
        """The largest surprisal of anybody's genotypes."""
        return float(self._people.max(initial=0.0))

    def sites(self) -> SiteBits:
        """The sites that tell anything, by name, bits rounded up."""
        return SiteBits.union(self._named, add=True)

    def add(self, sites: Sites, counts: AlleleCounts, codes: Codes, escapes: Escapes) -> NDArray[np.float64]:
        """Add sites; the bits of each, float64[m].

        ``sites``: the m records of the source, whose names do not depend on who is released; the rest as they are shown: ``counts``
        of m sites, ``codes`` uint8[m, n people].
        """
        alleles = allele_bits(counts.counts, counts.offsets)
        found = site_bits(counts.counts, counts.offsets, _haploid(counts, codes, escapes))
        self._sites += float(found.sum())
        self.n_sites += len(found)
        telling = np.flatnonzero(found)
        milli = np.ceil(found[telling] * 1000 - 1e-6).astype(np.uint16)
        one_each = SiteBits(_names(sites, self._assembly)[telling], milli)
        self._named.append(SiteBits.union([one_each], add=True))
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


def _names(sites: Sites, assembly: str) -> NDArray[np.uint64]:
    """uint64[m]: a number for each record, of assembly, contig by any of its names, POS and alleles."""
    seeds = [sha256(f"{assembly}\0{normal_contig(name)}".encode())[:8] for name in sites.contigs]
    out = np.empty(len(sites), np.uint64)
    texts = np.ascontiguousarray(sites.alleles.data, np.uint8), np.ascontiguousarray(sites.alleles.offsets, np.int64)
    pos, contig = np.ascontiguousarray(sites.pos), np.ascontiguousarray(sites.contig)
    bit_kernels.name_sites(np.frombuffer(b"".join(seeds), "<u8").astype(np.uint64), contig, pos, *texts, out)
    return out


def _haploid(counts: AlleleCounts, codes: Codes, escapes: Escapes) -> NDArray[np.bool_]:
    """bool[m]: all who are called at the site are haploid."""
    found = np.zeros(len(counts.an), np.bool_)
    rows = np.flatnonzero(counts.flags & HAS_UNEVEN)
    if len(rows):
        escaped = np.zeros(len(found), np.bool_)
        escaped[escapes.site] = True
        bit_kernels.find_haploid(np.ascontiguousarray(codes), rows, escaped, found)
    return found
