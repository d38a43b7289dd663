"""Counts of indels in an import that are not left-aligned: others who carry the same variant elsewhere would be read as reference there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vault.genotypes.codec.encoded_chunk import SiteChunk
from vault.genotypes.ingest.left_alignment import ends_alike, is_indel
from vault.genotypes.sites import Sites


@dataclass
class IndelCounts:
    """Counts of sites whose REF and ALTs are sequences of several lengths or bases. ``apart``: not left-aligned, which their alleles tell."""

    sites: int = 0
    apart: int = 0

    def counted(self, chunks: Iterator[SiteChunk]) -> Iterator[SiteChunk]:
        """The chunks, each counted before it is handed on."""
        for chunk in chunks:
            self.add(chunk.sites)
            yield chunk

    def add(self, sites: Sites) -> None:
        """Count further sites."""
        lengths, alts = np.diff(sites.alleles.offsets), sites.n_alleles() - 1
        for row in np.flatnonzero(lengths > 2 * alts + 1).tolist():
            alleles = sites.alleles[row].upper()
            if is_indel(alleles):
                self.sites += 1
                self.apart += ends_alike(alleles.split(b","))
