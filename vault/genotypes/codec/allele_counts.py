"""Allele counts by site: AC and AN, from a matrix of calls or from the fields that ``decoder.count_chunk`` counts without one.

Both ways give the same counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vault.errors import IntegrityError
from vault.genotypes.codec.call_codes import Codes, Escapes
from vault.genotypes.codec.format_constants import IS_INVALID
from vault.genotypes.compute.threads import over_rows
from vault.genotypes.sites import Sites

if TYPE_CHECKING:
    from vault.genotypes.codec.decoder import DecodePlan, FieldCounts


@dataclass(frozen=True)
class AlleleCounts:
    """Counts by site and allele.

    ``offsets`` int64[m+1]; ``counts`` int64[offsets[m]]: copies of allele a of site i at ``offsets[i] + a`` (REF is a = 0).
    ``an`` int64[m]: called alleles. ``flags`` uint8[m]: HAS_ABSENT, HAS_UNEVEN.
    """

    offsets: NDArray[np.int64]
    counts: NDArray[np.int64]
    an: NDArray[np.int64]
    flags: NDArray[np.uint8]

    @staticmethod
    def none(n_alleles: NDArray[np.int64]) -> AlleleCounts:
        """Zeros, for sites with so many alleles each."""
        m = len(n_alleles)
        offsets = np.zeros(m + 1, np.int64)
        np.cumsum(n_alleles, out=offsets[1:])
        return AlleleCounts(offsets, np.zeros(int(offsets[-1]), np.int64), np.zeros(m, np.int64), np.zeros(m, np.uint8))

    @staticmethod
    def concat(parts: Sequence[AlleleCounts]) -> AlleleCounts:
        """Counts of runs of sites, one run after another."""
        sizes = [np.zeros(1, np.int64), *(np.diff(part.offsets) for part in parts)]
        return AlleleCounts(
            np.cumsum(np.concatenate(sizes)),
            np.concatenate([np.zeros(0, np.int64), *(part.counts for part in parts)]),
            np.concatenate([np.zeros(0, np.int64), *(part.an for part in parts)]),
            np.concatenate([np.zeros(0, np.uint8), *(part.flags for part in parts)]),
        )

    def carried(self) -> NDArray[np.bool_]:
        """bool[m]: somebody carries an ALT."""
        alts = self.counts > 0
        alts[self.offsets[:-1]] = False
        return np.logical_or.reduceat(alts, self.offsets[:-1]) if len(self.an) else np.zeros(0, np.bool_)

    def ac(self, site: int) -> NDArray[np.int64]:
        """AC of one site: int64[number of ALTs]."""
        return self.counts[self.offsets[site] + 1 : self.offsets[site + 1]]

    def take(self, rows: NDArray[np.int64]) -> AlleleCounts:
        """The counts of the chosen sites, in the order given; ``rows`` int64[k]."""
        sizes = np.diff(self.offsets)[rows]
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        source = np.repeat(self.offsets[:-1][rows] - offsets[:-1], sizes) + np.arange(offsets[-1])
        return AlleleCounts(offsets, self.counts[source], self.an[rows], self.flags[rows])

    def add(self, other: AlleleCounts, rows: NDArray[np.int64]) -> None:
        """Add the counts of other subjects at the sites ``rows`` int64[k] (distinct), whose alleles are the same here."""
        shift = np.repeat(self.offsets[rows] - other.offsets[:-1], np.diff(other.offsets))
        self.counts[np.arange(len(other.counts)) + shift] += other.counts
        self.an[rows] += other.an
        self.flags[rows] |= other.flags

    def add_escapes(self, escapes: Escapes) -> None:
        """Count the calls that fit no byte, and refuse what no site can have.

        Raises:
            IntegrityError: ``call_outside_site`` if a call names an allele that its site does not list.
        """
        if len(escapes):
            site = np.repeat(escapes.site, np.diff(escapes.offset))
            called = escapes.alleles >= 0
            site, allele = site[called], escapes.alleles[called].astype(np.int64)
            self.flags[site[allele >= np.diff(self.offsets)[site]]] |= IS_INVALID
            if not (self.flags & IS_INVALID).any():
                np.add.at(self.counts, self.offsets[site] + allele, 1)
                np.add.at(self.an, site, 1)
        if (self.flags & IS_INVALID).any():
            raise IntegrityError("call_outside_site", "a call names an allele that its site does not list")


def count_calls(sites: Sites, codes: Codes, escapes: Escapes) -> AlleleCounts:
    """Count a matrix of calls: ``codes`` uint8[m, n] in C order. One pass, two threads.

    Raises:
        IntegrityError: ``call_outside_site`` if a call names an allele that its site does not list.
    """
    from vault.genotypes.codec.kernels import allele_counts  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command

    found = AlleleCounts.none(sites.n_alleles())
    matrix = np.ascontiguousarray(codes)

    def kernel(first: int, last: int) -> None:
        allele_counts.count_codes(matrix, first, last, found.offsets, found.counts, found.an, found.flags)

    over_rows(kernel, len(matrix), work=matrix.size)
    found.add_escapes(escapes)
    return found


def count_fields(plan: DecodePlan, fields: FieldCounts, n_alleles: NDArray[np.int64]) -> AlleleCounts:
    """Count the sites of a plan from their fields: the same as ``count_calls`` of the decoded calls.

    Raises:
        IntegrityError: ``call_outside_site``, as ``count_calls``.
    """
    from vault.genotypes.codec.kernels import allele_counts  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command

    found = AlleleCounts.none(n_alleles)
    allele_counts.count_fields(
        fields.tally,
        plan.alphabet,
        plan.coding.alphabets,
        fields.row,
        fields.value,
        found.offsets,
        found.counts,
        found.an,
        found.flags,
    )
    found.add_escapes(fields.escapes)
    return found
