"""Counts of structural variants in an import, for the person who imports: nothing that defines a variant is left out in silence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from vault.genotypes.codec.encoded_chunk import SiteChunk
from vault.genotypes.sites import Sites, TextColumn, site_ends, site_extents


@dataclass
class StructuralCounts:
    """Counts of sites. ``sites``: with a symbolic ALT or a breakend; ``ends_from_lengths``: END is made of SVLEN; ``ends_left_out``: END lies
    before POS; ``unplaced``: something does not say where it lies or ends, so it is hidden where a mask may hold it.
    """

    sites: int = 0
    ends_from_lengths: int = 0
    ends_left_out: int = 0
    unplaced: int = 0

    def counted(self, chunks: Iterator[SiteChunk]) -> Iterator[SiteChunk]:
        """The chunks, each counted before it is handed on."""
        for chunk in chunks:
            self.add(chunk.sites)
            yield chunk

    def add(self, sites: Sites) -> None:
        """Count further sites."""
        special = np.isin(sites.alleles.data, np.frombuffer(b"<[].", np.uint8))
        if not special.any():
            return
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(special)])
        extents = site_extents(sites)
        nothing = TextColumn(np.zeros(0, np.uint8), np.zeros(len(sites) + 1, np.int64))
        told = np.diff(sites.info.offsets) > 0
        has_end = told.copy()
        has_end[told] = sites.info.data[sites.info.offsets[:-1][told]] == ord("E")  # END is the first field
        self.sites += int((before[sites.alleles.offsets[1:]] > before[sites.alleles.offsets[:-1]]).sum())
        self.ends_from_lengths += int((~has_end & (extents.ends > site_ends(replace(sites, info=nothing)))).sum())
        self.ends_left_out += int(extents.backward.sum())
        self.unplaced += int((extents.endless | extents.joined | extents.unplaced).sum())
