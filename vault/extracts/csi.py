"""CSI version 1 and TBI, the coordinate-sorted indexes of htslib, for BGZF files of sites (CSIv1 and tabix specifications; SAM specification §5.1).

CSI has no limit of 512 Mb on a contig; TBI is what htsjdk finds beside a VCF (GATK, Picard, IGV). Made while the file is written, from virtual offsets that the writer
knows anyway; of a batch of records stays what the index says of it, not where each lies.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from vault.errors import IntegrityError, UsageError
from vault.extracts import bgzf

MIN_SHIFT = 14  # bits of the smallest bin: 16 kb, as bcftools index
MIN_DEPTH = 5
TABIX_REACH = 1 << (MIN_SHIFT + 3 * MIN_DEPTH)  # bases of a contig that TBI can speak of


class Index:
    """The index of ``contigs`` contigs; ``names`` for a text file (BCF has them in its header)."""

    def __init__(self, contigs: int, names: Sequence[str] | None = None) -> None:
        self._names = names
        self._contigs: list[_Contig | None] = [None] * contigs
        self._at = -1

    def add(
        self, contig: NDArray[np.int32], first: NDArray[np.int64], last: NDArray[np.int64], offsets: NDArray[np.uint64]
    ) -> None:
        """The next k records: number of the contig, first and last position (1-based), uint64[k+1] virtual offset of each and of the end.

        Position 0, before the first base, is indexed as the first base, as htslib does it.

        Raises:
            IntegrityError: ``sites_unsorted`` if records are not sorted by position or a contig's are not together.
        """
        begin, end = np.maximum(first - 1, 0), np.maximum(last, 1)
        edges = [0, *(np.flatnonzero(np.diff(contig)) + 1).tolist(), len(contig)]
        for start, stop in pairwise(edges):
            if start < stop:
                self._on(int(contig[start])).add(begin[start:stop], end[start:stop], offsets[start : stop + 1])

    def write(self, file: BinaryIO) -> None:
        """The whole index, once every record was added."""
        deepest = max((contig.reach for contig in self._contigs if contig), default=0)
        depth = MIN_DEPTH
        while deepest > 1 << (MIN_SHIFT + 3 * depth):
            depth += 1
        meta = b"" if self._names is None else _text_meta(self._names)
        parts = [b"CSI\1", struct.pack("<iii", MIN_SHIFT, depth, len(meta)), meta, struct.pack("<i", len(self._contigs))]
        parts += [struct.pack("<i", 0) if contig is None else contig.to_bytes(depth) for contig in self._contigs]
        parts.append(struct.pack("<Q", 0))  # records without a place
        bgzf.write_whole(file, b"".join(parts))

    @property
    def fits_tabix(self) -> bool:
        """True for a text file of which no record reaches beyond the bases that TBI can speak of."""
        return self._names is not None and all(contig.reach <= TABIX_REACH for contig in self._contigs if contig)

    def write_tabix(self, file: BinaryIO) -> None:
        """The same index as TBI, once every record was added.

        Raises:
            UsageError: ``index_reach`` unless ``fits_tabix``.
        """
        if self._names is None or not self.fits_tabix:
            raise UsageError("index_reach", "a record lies where TBI has no bin")
        parts = [b"TBI\1", struct.pack("<i", len(self._contigs)), _text_meta(self._names)]
        parts += [struct.pack("<ii", 0, 0) if contig is None else contig.to_tabix() for contig in self._contigs]
        parts.append(struct.pack("<Q", 0))  # records without a place
        bgzf.write_whole(file, b"".join(parts))

    def _on(self, number: int) -> _Contig:
        found = self._contigs[number]
        if found is None:
            found = self._contigs[number] = _Contig()
        elif number != self._at:
            raise _unsorted()
        self._at = number
        return found


class _Contig:
    """The index of one contig. Its bins are named by height (0: 16 kb) and place until the depth of the index is known."""

    def __init__(self) -> None:
        self.reach = 0  # largest end so far
        self._begin = 0  # of the last record
        self._records = 0
        self._tiles = 0  # 16 kb tiles of which the first record that reaches past their begin is known
        self._least: list[NDArray[np.uint64]] = []
        self._bins: list[NDArray[np.int64]] = []  # height and place of each stretch of records of one bin
        self._stretches: list[NDArray[np.uint64]] = []  # virtual offset of its begin and end

    def add(self, begin: NDArray[np.int64], end: NDArray[np.int64], offsets: NDArray[np.uint64]) -> None:
        """Records on half-open stretches, 0-based. Raises IntegrityError ``sites_unsorted``."""
        if int(begin[0]) < self._begin or bool((np.diff(begin) < 0).any()):
            raise _unsorted()
        reach = np.maximum(np.maximum.accumulate(end), self.reach)
        covered = ((reach - 1) >> MIN_SHIFT) + 1  # tiles that begin before the reach
        self._least.append(offsets[np.searchsorted(covered, np.arange(self._tiles, int(covered[-1])), side="right")])
        bins = _bins(begin, end)
        breaks = np.flatnonzero((np.diff(bins) != 0).any(axis=0)) + 1
        starts, stops = np.concatenate([[0], breaks]), np.concatenate([breaks, [len(begin)]])
        found, stretches = bins[:, starts], np.stack([offsets[starts], offsets[stops]])
        if self._bins and (self._bins[-1][:, -1] == found[:, 0]).all():  # the stretch goes on from the batch before
            self._stretches[-1][1, -1] = stretches[1, 0]
            found, stretches = found[:, 1:], stretches[:, 1:]
        if found.size:
            self._bins.append(found)
            self._stretches.append(stretches)
        self.reach, self._begin = int(reach[-1]), int(begin[-1])
        self._tiles = max(self._tiles, int(covered[-1]))
        self._records += len(begin)

    def to_bytes(self, depth: int) -> bytes:
        """Bins of CSI, each with the offset of the first record that reaches into it."""
        return self._binned(depth, linear=False)

    def to_tabix(self) -> bytes:
        """Bins of TBI and its linear index: for each 16 kb tile the offset of the first record that reaches into it or beyond."""
        least = np.concatenate(self._least)
        return self._binned(MIN_DEPTH, linear=True) + struct.pack("<i", len(least)) + least.astype("<u8").tobytes()

    def _binned(self, depth: int, *, linear: bool) -> bytes:
        height, place = np.concatenate(self._bins, axis=1)
        begins, ends = np.concatenate(self._stretches, axis=1)
        least = np.concatenate(self._least)[place << (3 * height)]  # first record that ends inside or past the bin
        number = ((1 << (3 * (depth - height))) - 1) // 7 + place
        order = np.argsort(number, kind="stable")
        edges = [0, *(np.flatnonzero(np.diff(number[order])) + 1).tolist(), len(order)]
        chunks = np.stack([begins, ends], axis=1)[order].astype("<u8")
        form, none = ("<Ii", ()) if linear else ("<IQi", (0,))
        parts = [struct.pack("<i", len(edges))]
        for a, b in pairwise(edges):
            offset = () if linear else (least[order[a]],)
            parts += [struct.pack(form, number[order[a]], *offset, b - a), chunks[a:b].tobytes()]
        # The pseudo-bin of htslib: where the contig lies in the file, and how many records it has.
        pseudo = ((1 << (3 * (depth + 1))) - 1) // 7 + 1
        parts.append(struct.pack(form + "4Q", pseudo, *none, 2, begins[0], ends[-1], self._records, 0))
        return b"".join(parts)


def _bins(begin: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[2, m]: height and place of the smallest bin that holds each stretch (reg2bin)."""
    height, place = np.zeros(len(begin), np.int64), begin >> MIN_SHIFT
    wide = np.flatnonzero(place != (end - 1) >> MIN_SHIFT)
    while len(wide):
        height[wide] += 1
        place[wide] >>= 3
        wide = wide[place[wide] != (end[wide] - 1) >> (MIN_SHIFT + 3 * height[wide])]
    return np.stack([height, place])


def _text_meta(names: Sequence[str]) -> bytes:
    """The tabix header: VCF, contig in column 1, position in column 2, comment "#", nothing skipped."""
    listed = b"".join(name.encode() + b"\0" for name in names)
    return struct.pack("<7i", 2, 1, 2, 0, ord("#"), 0, len(listed)) + listed


def _unsorted() -> IntegrityError:
    return IntegrityError("sites_unsorted", "sites are not sorted by contig and position")
