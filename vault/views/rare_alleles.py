"""Sites with an ALT that fewer of the released people carry than a view may show (docs/design/disclosure.md §8.4). Pure.

Such a site goes whole: if its carriers alone were without a call beside others who have one, the gap would name them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.compute.threads import over_rows
from vault.genotypes.store.part_merge import Calls
from vault.views import rare_kernels


def rare_sites(calls: Calls, counts: AlleleCounts, fewest: int) -> NDArray[np.bool_]:
    """bool[m]: the site has an ALT that at least one and fewer than ``fewest`` people carry; copies of one person are one carrier."""
    found = np.zeros(len(calls.sites), np.bool_)
    few = (counts.counts > 0) & (counts.counts < _most_copies(calls, fewest))
    few[counts.offsets[:-1]] = False
    if fewest <= 1 or not few.any():
        return found
    rows = np.unique(np.searchsorted(counts.offsets, np.flatnonzero(few), side="right") - 1)
    codes, escapes = np.ascontiguousarray(calls.codes), calls.escapes
    ends = np.searchsorted(escapes.site, np.arange(len(calls.sites) + 1))

    def kernel(first: int, last: int) -> None:
        rare_kernels.find_rare(codes, rows, first, last, fewest, counts.offsets, ends, escapes.offset, escapes.alleles, found)

    over_rows(kernel, len(rows), work=len(rows) * codes.shape[1])
    return found


def _most_copies(calls: Calls, fewest: int) -> int:
    """Fewer copies than these may be of fewer than ``fewest`` people."""
    ploidy = max(2, int(np.diff(calls.escapes.offset).max(initial=0)))
    return (fewest - 1) * ploidy + 1
