"""Spelling of contigs in a dataset: one for each, since a view could not merge two."""

from __future__ import annotations

from collections.abc import Iterator

from vault.errors import InputError
from vault.genotypes.catalog import parts
from vault.genotypes.catalog.import_target import Target
from vault.genotypes.codec.encoded_chunk import SiteChunk
from vault.genotypes.contigs import normal_contig
from vault.session.unlocked_vault import UnlockedVault


class ContigSpelling:
    """Spelling of contigs: "chr22" is refused where the dataset's earlier parts say "22", since a view could not merge them."""

    def __init__(self, vault: UnlockedVault, target: Target) -> None:
        held = [] if target.is_new else parts.contigs(vault, target.dataset.dataset_id)
        self._known = {normal_contig(contig): contig for contig in held}

    def require(self, contig: str) -> None:
        """Refuse another spelling. Raises InputError ``contig_spelling``."""
        if self._known.get(normal_contig(contig), contig) != contig:
            raise InputError(
                "contig_spelling",
                "the file spells contigs otherwise than the dataset",
                hint="rename them first (bcftools annotate --rename-chrs)",
            )

    def checked(self, chunks: Iterator[SiteChunk]) -> Iterator[SiteChunk]:
        """The chunks, each of a contig that is spelled as it should be. Raises as ``require``."""
        for chunk in chunks:
            self.require(chunk.contig)
            yield chunk
