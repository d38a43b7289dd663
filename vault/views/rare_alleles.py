"""ALTs that fewer of the released people carry than a view may show (docs/design/disclosure.md §8.4). Pure.

Their carriers' calls are missing, never reference, before anything else is settled: whatever a view says, of sites, alleles, counts or
bits, it says of calls without them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.allele_counts import AlleleCounts, count_calls
from vault.genotypes.compute.threads import over_rows
from vault.genotypes.store.part_merge import Calls
from vault.views import rare_kernels


def without_rare(calls: Calls, counts: AlleleCounts, fewest: int) -> tuple[Calls, AlleleCounts, NDArray[np.bool_]]:
    """(calls, their counts, bool[m]): every ALT has no carrier or at least ``fewest``; the third says where nothing but rarer ones was.

    Where somebody carries two ALTs of which one goes, the other loses a carrier too, so it is looked at again. ``calls.codes`` may be
    written to.
    """
    nothing = np.zeros(len(calls.sites), np.bool_)
    few = (counts.counts > 0) & (counts.counts < _most_copies(calls, fewest))
    few[counts.offsets[:-1]] = False
    if fewest <= 1 or not few.any():
        return calls, counts, nothing
    codes, escapes = np.require(calls.codes, np.uint8, ["C", "W"]), calls.escapes
    ends = np.searchsorted(escapes.site, np.arange(len(calls.sites) + 1))
    gone, blanked = np.zeros(len(escapes), np.bool_), nothing.copy()

    def kernel(first: int, last: int) -> None:
        rare_kernels.blank_rare(
            codes,
            first,
            last,
            fewest,
            counts.offsets,
            ends,
            escapes.sample,
            escapes.offset,
            escapes.alleles,
            gone,
            blanked,
        )

    over_rows(kernel, len(codes), work=codes.size)
    left = replace(calls, codes=codes, escapes=escapes.take(np.flatnonzero(~gone)))
    again = count_calls(left.sites, left.codes, left.escapes)
    return left, again, blanked & ~again.carried()


def _most_copies(calls: Calls, fewest: int) -> int:
    """Fewer copies than these may be of fewer than ``fewest`` people."""
    ploidy = max(2, int(np.diff(calls.escapes.offset).max(initial=0)))
    return (fewest - 1) * ploidy + 1
