"""Rows of a panel view that no part need have: one for each exact locus, so that whoever was assayed there reads as reference.

They come as a part without people. Where a part has the site, both are one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.codec.call_codes import Codes, Escapes
from vault.genotypes.sites import Sites
from vault.genotypes.store.block_access import BlockAccess
from vault.genotypes.store.part_merge import PartCalls
from vault.genotypes.store.selections import Chosen
from vault.genotypes.store.windows import PartChoice

if TYPE_CHECKING:
    from vault.genotypes.store.part_reader import Held

_NOBODY = np.zeros(0, np.int64)


def rows_as_calls(sites: Sites) -> PartCalls:
    """The rows with the calls of nobody."""
    return PartCalls(sites, np.zeros((len(sites), 0), np.uint8), Escapes.empty(), _NOBODY)


def rows_as_choice(sites: Sites) -> PartChoice:
    """The rows, to be read in windows beside those of parts."""
    chosen: Chosen = [(0, np.arange(len(sites)))] if len(sites) else []
    return PartChoice.from_reader(_SitesAlone(sites), chosen, BlockAccess((), 0), _NOBODY)


class _SitesAlone:
    """A ``windows.SiteReader`` of sites that are in memory, with nobody's calls."""

    def __init__(self, sites: Sites) -> None:
        self._sites = sites

    def known(self, _ordinal: int, /) -> None:
        return None

    def contig(self, _ordinal: int, /) -> None:
        return None

    def sites(self, _ordinal: int, /) -> Sites:
        return self._sites

    def read(
        self,
        chunks: Sequence[int],
        rows: Sequence[NDArray[np.int64] | None] | None,
        access: BlockAccess,
        *,
        held: Held | None = None,
    ) -> tuple[Sites, Codes, Escapes]:
        sites, _ = self.count(chunks, rows, access, held=held)
        return sites, np.zeros((len(sites), 0), np.uint8), Escapes.empty()

    def read_and_count(
        self,
        chunks: Sequence[int],
        rows: Sequence[NDArray[np.int64] | None] | None,
        access: BlockAccess,
        *,
        held: Held | None = None,
    ) -> tuple[Sites, Codes, Escapes, AlleleCounts]:
        sites, counts = self.count(chunks, rows, access, held=held)
        return sites, np.zeros((len(sites), 0), np.uint8), Escapes.empty(), counts

    def count(
        self,
        chunks: Sequence[int],
        rows: Sequence[NDArray[np.int64] | None] | None,
        access: BlockAccess,  # noqa: ARG002 - as ``SiteReader`` has it
        *,
        held: Held | None = None,  # noqa: ARG002 - the same
    ) -> tuple[Sites, AlleleCounts]:
        picked = [np.arange(len(self._sites)) if some is None else some for some in rows or [None] * len(chunks)]
        sites = self._sites.take(np.concatenate([_NOBODY, *picked]))
        return sites, AlleleCounts.none(sites.n_alleles())
