"""The calls of a view: the calls of the shown sites, renumbered, masked and unphased (docs/design/disclosure.md §8.2, §11). Pure.

Missing stays missing, and a site that a subject's part does not assay is missing too: the view must not tell parts apart.
Where phase is dropped, the alleles of a call are sorted, missing first ("1|0" and "1/0" become "0/1", "1|." becomes "./1"), because
the written order of an unphased call may be what is left of a haplotype.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.call_codes import DIPLOID_STRIDE, HAPLOID_BASE, MAX_CODED_ALLELE, PHASED_OFFSET, Codes, Escapes
from vault.genotypes.codec.format_constants import HAS_ABSENT
from vault.genotypes.compute.threads import over_rows
from vault.views import kernels
from vault.views.site_selection import Shown


@dataclass(frozen=True, eq=False)
class Rewriting:
    """Steps of the shown rows, made once for ``shown`` and ``holds`` (bool[k]: the site keeps its phase)."""

    shown: Shown
    holds: NDArray[np.bool_]

    @cached_property
    def steps(self) -> NDArray[np.uint8]:
        """uint8[k]: the kernel's step of each shown row."""
        rows = self.shown.rows
        absent = (self.shown.counts.flags[rows] & HAS_ABSENT).astype(np.bool_)
        steps = np.full(len(rows), kernels.TRANSLATE, np.uint8)
        steps[self.holds & ~absent] = kernels.AS_IS
        steps[self.shown.moved()] = kernels.RENUMBER
        steps[self.shown.masked] = kernels.BLANK
        return steps

    @cached_property
    def leaves(self) -> bool:
        """True if no row is altered."""
        return not (self.steps != kernels.AS_IS).any()

    def of(self, codes: Codes, escapes: Escapes) -> tuple[Codes, Escapes]:
        """(codes uint8[k, n], escapes): the calls of the shown sites, as ``rewrite`` gives them and from the same."""
        calls = self._arrange(codes)
        if not len(escapes):
            return calls, escapes
        kept = _translate(self.shown, escapes)
        if len(kept):
            kept = _fold(_unphase(kept, np.searchsorted(self.shown.rows, kept.site), self.holds), calls)
        return calls, kept

    def _arrange(self, codes: Codes) -> Codes:
        """uint8[k, n]: the codes of the shown rows, translated; in place where every row is shown."""
        rows, steps = self.shown.rows, self.steps
        in_place = len(rows) == len(codes)
        out = codes if in_place else np.empty((len(rows), codes.shape[1]), np.uint8)
        if in_place and self.leaves:
            return codes

        def kernel(first: int, last: int) -> None:
            offsets = self.shown.counts.offsets
            kernels.arrange(codes, rows, first, last, in_place, steps, self.holds, self.shown.renumber, offsets, out)

        over_rows(kernel, len(rows), work=out.size)
        return out


def rewrite(shown: Shown, codes: Codes, escapes: Escapes, *, holds: NDArray[np.bool_]) -> tuple[Codes, Escapes]:
    """(codes uint8[k, n], escapes): the calls of the shown sites, as the view has them.

    ``codes`` uint8[m, n] and ``escapes``: of the sites that ``shown`` was settled of; ``codes`` may be written to, and become part of the
    result. ``holds`` bool[k]: the shown site keeps its phase.
    """
    return Rewriting(shown, holds).of(codes, escapes)


def _translate(shown: Shown, escapes: Escapes) -> Escapes:
    """The escapes of the rows shown, alleles renumbered. Sites keep the numbers they came with."""
    stays = np.zeros(len(shown.counts.an), np.bool_)
    stays[shown.rows[~shown.masked]] = True
    kept = escapes.take(np.flatnonzero(stays[escapes.site]))
    where = shown.counts.offsets[np.repeat(kept.site, np.diff(kept.offset))] + np.maximum(kept.alleles, 0)
    return replace(kept, alleles=np.where(kept.alleles >= 0, shown.renumber[where], -1).astype(np.int16))


def _unphase(escapes: Escapes, position: NDArray[np.intp], holds: NDArray[np.bool_]) -> Escapes:
    """The escapes at row ``position`` of the view, sorted and unphased where phase does not hold."""
    lengths = np.diff(escapes.offset)
    call = np.repeat(np.arange(len(escapes)), lengths)
    kept = np.repeat(holds[position], lengths)
    place = np.arange(len(call))
    key = np.where(kept, place, escapes.alleles)  # within a call either the written order or the order of alleles
    arranged = np.lexsort((key, call))
    phased = np.where(kept, escapes.phased, 0).astype(np.uint8)
    return Escapes(position.astype(np.int64), escapes.sample, escapes.offset, escapes.alleles[arranged], phased)


def _fold(escapes: Escapes, codes: Codes) -> Escapes:
    """Calls that now fit one byte go into ``codes`` (so that a call has one form only); the others are returned.

    Calls that did not fit before are escapes in ``codes`` already.
    """
    lengths = np.diff(escapes.offset)
    small = (lengths <= 2) & (np.maximum.reduceat(escapes.alleles, escapes.offset[:-1]) <= MAX_CODED_ALLELE)
    first = escapes.alleles[escapes.offset[:-1]].astype(np.int64)
    last = escapes.alleles[escapes.offset[1:] - 1].astype(np.int64)
    phase = escapes.phased[escapes.offset[1:] - 1].astype(np.int64) * PHASED_OFFSET
    code = np.where(lengths == 1, HAPLOID_BASE + 1 + last, phase + (first + 1) * DIPLOID_STRIDE + last + 1)
    if small.any():
        codes[escapes.site[small], escapes.sample[small]] = code[small]
    return escapes.take(np.flatnonzero(~small))
