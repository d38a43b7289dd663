"""Carrier counts of a part: the plain bytes of the one object that holds those of every chunk (docs/formats/genotypes.md §12).

    u8 version = 1 ‖ u8 0 ‖ u32 chunks ‖ u32 bytes of each chunk's counts ‖ the counts of each chunk (``codec.carrier_counts``)

A chunk's counts are unpacked when they are asked for, so that of a large part a few are in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vault.genotypes.codec.carrier_counts import CarrierCounts, damaged
from vault.genotypes.store.site_tables import MAX_CHUNKS

VERSION = 1

_HEAD = np.dtype([("version", "u1"), ("reserved", "u1"), ("chunks", "<u4")])


@dataclass(frozen=True)
class PartCarriers:
    """Counts of a part's chunks in order, each as bytes."""

    chunks: tuple[bytes, ...]

    @staticmethod
    def from_chunks(chunks: Iterable[CarrierCounts]) -> PartCarriers:
        """Counts of every chunk, in order."""
        return PartCarriers(tuple(chunk.to_bytes() for chunk in chunks))

    def __len__(self) -> int:
        return len(self.chunks)

    def chunk(self, ordinal: int) -> CarrierCounts:
        """Counts of one chunk.

        Raises:
            IntegrityError: ``counts_damaged``.
        """
        if not 0 <= ordinal < len(self.chunks):
            raise damaged()
        return CarrierCounts.from_bytes(self.chunks[ordinal])

    def replaced(self, counts: Mapping[int, CarrierCounts]) -> PartCarriers:
        """The same with other counts of some chunks, by ordinal."""
        return PartCarriers(tuple(counts[at].to_bytes() if at in counts else one for at, one in enumerate(self.chunks)))

    def to_bytes(self) -> bytes:
        """The serialised form."""
        head = np.array([(VERSION, 0, len(self.chunks))], _HEAD)
        return b"".join([head.tobytes(), np.array([len(one) for one in self.chunks], "<u4").tobytes(), *self.chunks])

    @staticmethod
    def from_bytes(data: bytes) -> PartCarriers:
        """The reverse of ``to_bytes``; the counts of a chunk are checked when they are asked for.

        Raises:
            IntegrityError: ``counts_damaged``.
        """
        if len(data) < _HEAD.itemsize:
            raise damaged()
        head = np.frombuffer(data[: _HEAD.itemsize], _HEAD)[0]
        n = int(head["chunks"])
        start = _HEAD.itemsize + 4 * n
        if head["version"] != VERSION or head["reserved"] or n > MAX_CHUNKS or start > len(data):
            raise damaged()
        ends = start + np.cumsum(np.frombuffer(data[_HEAD.itemsize : start], "<u4").astype(np.int64))
        if len(data) != (int(ends[-1]) if n else start):
            raise damaged()
        edges = [start, *ends.tolist()]
        return PartCarriers(tuple(data[first:end] for first, end in pairwise(edges)))
