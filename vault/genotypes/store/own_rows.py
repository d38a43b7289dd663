"""One person's records of a compacted part, read as a part of that person's own: what the others' imports list is left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.codec.call_codes import ABSENT, Codes, Escapes
from vault.genotypes.sites import Sites
from vault.genotypes.store.block_access import BlockAccess
from vault.genotypes.store.part_reader import PartReader
from vault.genotypes.store.part_records import PartRecord
from vault.genotypes.store.site_tables import PartDirectory

KEPT = 8  # chunks of which the person's rows are kept

Rows = Sequence[NDArray[np.int64] | None] | None
"""Of each chunk int64[k] numbers among the person's records, None for all; None for all of every chunk."""


class OwnRows:
    """Reads a person's records. ``access``: to that person's blocks alone. Rows are numbers among the person's own records of a chunk.

    Raises as ``PartReader``.
    """

    def __init__(self, reader: PartReader, access: BlockAccess) -> None:
        self._reader, self._access = reader, access
        self._rows: dict[int, NDArray[np.int64]] = {}

    @property
    def part(self) -> PartRecord:
        """The record of the part."""
        return self._reader.part

    @property
    def directory(self) -> PartDirectory:
        """The part's directory, whose chunks may hold none of the person's records."""
        return self._reader.directory

    def rows(self, ordinal: int) -> NDArray[np.int64]:
        """int64[k]: rows of a chunk at which the person has a record."""
        if ordinal not in self._rows:
            while len(self._rows) >= KEPT:
                del self._rows[next(iter(self._rows))]
            _, codes, _ = self._reader.read([ordinal], None, self._access)
            self._rows[ordinal] = np.flatnonzero(codes[:, 0] != ABSENT)
        return self._rows[ordinal]

    def sites(self, ordinal: int) -> Sites:
        """The person's sites of a chunk."""
        return self._reader.sites(ordinal).take(self.rows(ordinal))

    def read(self, chunks: Sequence[int], rows: Rows, access: BlockAccess) -> tuple[Sites, Codes, Escapes]:
        """Sites and calls: ``codes`` uint8[sites, 1], as ``PartReader.read``."""
        return self._reader.read(chunks, self._chosen(chunks, rows), access)

    def count(self, chunks: Sequence[int], rows: Rows, access: BlockAccess) -> tuple[Sites, AlleleCounts]:
        """Sites and allele counts, as ``PartReader.count``."""
        return self._reader.count(chunks, self._chosen(chunks, rows), access)

    def forget(self) -> None:
        """Let go of what was opened."""
        self._rows.clear()
        self._reader.forget()

    def _chosen(self, chunks: Sequence[int], rows: Rows) -> list[NDArray[np.int64]]:
        some = rows if rows is not None else [None] * len(chunks)
        return [self.rows(at) if picked is None else self.rows(at)[picked] for at, picked in zip(chunks, some, strict=True)]


AnyRows = PartReader | OwnRows
"""Reader of a part's records, or of one person's of a compacted part."""
