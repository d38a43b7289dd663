"""How often each allele of each site is carried: AC and AN, and the test whether a site or ALT is carried at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vault.errors import IntegrityError
from vault.genotypes.calls import Codes, Escapes
from vault.genotypes.sites import Sites
from vault.views.arrays import over_rows, plain
from vault.views.view import View


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

    def ac(self, site: int) -> NDArray[np.int64]:
        """AC of one site: int64[number of ALTs]."""
        return self.counts[self.offsets[site] + 1 : self.offsets[site + 1]]


def allele_counts(view: View) -> AlleleCounts:
    """AC per ALT and AN over the subjects of a view.

    Raises:
        IntegrityError: ``call_outside_site`` if a call names an allele that its site does not list.
    """
    return count_calls(view.sites, view.codes, view.escapes)


def count_calls(sites: Sites, codes: Codes, escapes: Escapes) -> AlleleCounts:
    """As ``allele_counts``, of the parts of a view. One pass over the codes, two threads."""
    from vault.views import kernels  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command

    m, n = codes.shape
    offsets = np.zeros(m + 1, np.int64)
    np.cumsum(sites.n_alleles(), out=offsets[1:])
    counts = np.zeros(int(offsets[-1]), np.int64)
    an = np.zeros(m, np.int64)
    flags = np.zeros(m, np.uint8)
    matrix = plain(codes, np.uint8)
    over_rows(lambda first, last: kernels.count(matrix, first, last, offsets, counts, an, flags), m, work=m * n)
    if len(escapes):
        site = np.repeat(escapes.site, np.diff(escapes.offset))
        called = escapes.alleles >= 0
        site, allele = site[called], escapes.alleles[called].astype(np.int64)
        flags[site[allele >= np.diff(offsets)[site]]] |= kernels.IS_INVALID
        if not (flags & kernels.IS_INVALID).any():
            np.add.at(counts, offsets[site] + allele, 1)
            np.add.at(an, site, 1)
    if (flags & kernels.IS_INVALID).any():
        raise IntegrityError("call_outside_site", "a call names an allele that its site does not list")
    return AlleleCounts(offsets, counts, an, flags)
