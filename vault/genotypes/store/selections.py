"""Selected sites: everything, regions or a panel, and the chunks and rows of a part that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from policies.loci import Interval
from vault.genotypes.loci import overlapping_rows
from vault.genotypes.panel_loci import Declared, LocusIndex
from vault.genotypes.sites import Sites
from vault.genotypes.store.part_reader import PartReader
from vault.genotypes.store.site_tables import PartDirectory, find_chunks, find_contig


def _anywhere(sites: Sites) -> NDArray[np.bool_]:
    return np.ones(len(sites), np.bool_)


@dataclass(frozen=True)
class PanelLoci:
    """The loci of one version of a panel; blocks that were made of it are read instead of the chunks. ``declared``: where a blanked ALT may be what
    a locus asks about; blocks are made of all that may be.
    """

    panel_id: bytes
    index: LocusIndex
    declared: Declared = _anywhere

    def rows(self, sites: Sites, ends: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64[k], ascending: sites that the loci name."""
        return self.answered(sites, self.index.match(sites, ends).rows)

    def answered(self, sites: Sites, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64[j]: those of ``rows`` that say something of what a locus asks about."""
        some = sites.take(rows)
        return np.delete(rows, self.index.unanswered(some, self.declared))

    def named(self, sites: Sites) -> Sites:
        """The sites, where an ALT was blanked with one that a locus asks about."""
        return self.index.named(sites, self.declared)


@dataclass(frozen=True)
class Selection:
    """The selected sites: all, those overlapping ``regions``, or those that the loci of a panel name."""

    regions: tuple[Interval, ...] | None = None
    panel: PanelLoci | None = None

    def rows(self, sites: Sites, ends: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64[k], ascending: chosen rows. ``ends`` int64[m]: ``sites.site_ends`` of the sites."""
        if self.panel is not None:
            return self.panel.rows(sites, ends)
        if self.regions is not None:
            return overlapping_rows(sites, ends, self.regions).astype(np.int64)
        return np.arange(len(sites))

    def chunks(self, directory: PartDirectory) -> list[int]:
        """Ordinals, ascending, of the chunks that may hold a chosen row."""
        if self.panel is not None:
            touched = self.panel.index.touching(directory.contigs, directory.contig, directory.first, directory.end)
            return np.flatnonzero(touched).tolist()
        if self.regions is not None:
            return find_chunks(directory, self._spelled(directory))
        return list(range(len(directory)))

    def whole(self, directory: PartDirectory) -> NDArray[np.bool_]:
        """bool[chunks]: every site of the chunk is chosen, which is seen without opening its table."""
        if self.panel is None and self.regions is None:
            return np.ones(len(directory), np.bool_)
        inside = np.zeros(len(directory), np.bool_)
        if self.panel is None:
            for region in self._spelled(directory):
                here = directory.contig == directory.contigs.index(region.contig)
                inside |= here & (directory.first > region.start) & (directory.last <= region.end)  # positions are 1-based
        return inside

    def _spelled(self, directory: PartDirectory) -> list[Interval]:
        """The regions on contigs that the part has, by its own names."""
        spelled = ((find_contig(directory.contigs, region.contig), region) for region in self.regions or ())
        return [replace(region, contig=contig) for contig, region in spelled if contig is not None]


Chosen = list[tuple[int, NDArray[np.int64] | None]]
"""Chunks and the rows wanted of each; None: all."""


def choose_rows(reader: PartReader, selection: Selection, ordinals: Sequence[int]) -> Chosen:
    """The chosen rows of some chunks; chunks without any are left out."""
    chosen: Chosen = []
    whole = selection.whole(reader.directory)
    for ordinal in ordinals:
        if whole[ordinal] and not reader.was_rewritten(ordinal):
            chosen.append((ordinal, None))  # its table will be opened with its blocks
            continue
        sites = reader.sites(ordinal)
        rows = selection.rows(sites, reader.ends(ordinal))
        rows = rows[np.diff(sites.alleles.offsets)[rows] > 0]  # a blanked site has no alleles (docs/formats/genotypes.md §5.1)
        if len(rows):
            chosen.append((ordinal, None if len(rows) == len(sites) else rows))
    return chosen
