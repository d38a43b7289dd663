"""CSI version 1, the coordinate-sorted index of htslib, for BGZF files of sites (CSIv1 specification; SAM specification §5.1).

CSI rather than TBI because it has no limit of 512 Mb on a contig. Written from virtual offsets that the writer knows anyway.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from vault.errors import IntegrityError
from vault.extracts import bgzf

MIN_SHIFT = 14  # bits of the smallest bin: 16 kb, as bcftools index
MIN_DEPTH = 5


@dataclass(frozen=True)
class Placed:
    """Where the records of a file are.

    ``contig`` int32[m] (number in the file's own dictionary), ``first`` and ``last`` int64[m] (1-based), in file order;
    ``offsets`` uint64[m+1]: virtual offset of each record and of the end of the last.
    """

    contig: NDArray[np.int32]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    offsets: NDArray[np.uint64]


def write_index(file: BinaryIO, placed: Placed, *, contigs: int, names: Sequence[str] | None = None) -> None:
    """The index of ``contigs`` contigs; ``names`` for a text file (BCF has them in its header).

    Raises:
        IntegrityError: ``sites_unsorted`` if records are not sorted by position or a contig's are not together.
    """
    runs = _contig_runs(placed, contigs)
    deepest = int(placed.last.max(initial=0))
    depth = MIN_DEPTH
    while deepest > 1 << (MIN_SHIFT + 3 * depth):
        depth += 1
    meta = b"" if names is None else _text_meta(names)
    parts = [b"CSI\1", struct.pack("<iii", MIN_SHIFT, depth, len(meta)), meta, struct.pack("<i", contigs)]
    parts += [_contig(placed, start, stop, depth) for start, stop in runs]
    parts.append(struct.pack("<Q", 0))  # records without a place
    bgzf.write_whole(file, b"".join(parts))


def _contig_runs(placed: Placed, contigs: int) -> list[tuple[int, int]]:
    """(first, past last) record of each contig."""
    turns = np.flatnonzero(np.diff(placed.contig)) + 1
    starts, stops = [0, *turns.tolist()], [*turns.tolist(), len(placed.contig)]
    back = (np.diff(placed.first) < 0) & (np.diff(placed.contig) == 0)
    if len(placed.contig) and (back.any() or len(np.unique(placed.contig)) != len(starts)):
        raise IntegrityError("sites_unsorted", "sites are not sorted by contig and position")
    runs = [(0, 0)] * contigs
    for start, stop in zip(starts, stops, strict=True):
        if stop > start:
            runs[int(placed.contig[start])] = (start, stop)
    return runs


def _text_meta(names: Sequence[str]) -> bytes:
    """The tabix header: VCF, contig in column 1, position in column 2, comment "#", nothing skipped."""
    listed = b"".join(name.encode() + b"\0" for name in names)
    return struct.pack("<7i", 2, 1, 2, 0, ord("#"), 0, len(listed)) + listed


def _contig(placed: Placed, start: int, stop: int, depth: int) -> bytes:
    if start == stop:
        return struct.pack("<i", 0)
    begin, end = placed.first[start:stop] - 1, placed.last[start:stop]  # half-open, 0-based
    offsets = placed.offsets[start : stop + 1]
    bins = _bins(begin, end, depth)
    order = np.argsort(bins, kind="stable")
    ordered = bins[order]
    # A chunk is a stretch of records of one bin that follow each other in the file.
    breaks = np.flatnonzero((np.diff(ordered) != 0) | (np.diff(order) != 1)) + 1
    chunk_first = order[np.concatenate([[0], breaks])]
    chunk_last = order[np.concatenate([breaks - 1, [len(order) - 1]])]
    chunk_bin = bins[chunk_first]
    bin_starts = np.concatenate([[0], np.flatnonzero(np.diff(chunk_bin)) + 1, [len(chunk_bin)]])
    reach = np.maximum.accumulate(end)
    used = chunk_bin[bin_starts[:-1]]
    least = offsets[
        np.searchsorted(reach, _bin_begin(used, depth), side="right")
    ]  # first record that ends inside or past the bin
    chunks = np.stack([offsets[chunk_first], offsets[chunk_last + 1]], axis=1).astype("<u8")
    parts = [struct.pack("<i", len(used) + 1)]
    for k, (number, loffset) in enumerate(zip(used.tolist(), least.tolist(), strict=True)):
        a, b = bin_starts[k], bin_starts[k + 1]
        parts += [struct.pack("<IQi", number, loffset, b - a), chunks[a:b].tobytes()]
    # The pseudo-bin of htslib: where the contig lies in the file, and how many records it has.
    pseudo = ((1 << (3 * (depth + 1))) - 1) // 7 + 1
    parts.append(struct.pack("<IQi4Q", pseudo, 0, 2, offsets[0], offsets[-1], stop - start, 0))
    return b"".join(parts)


def _bins(begin: NDArray[np.int64], end: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
    """int64[m]: the smallest bin that holds each stretch (reg2bin)."""
    bins = np.zeros(len(begin), np.int64)
    for level in range(1, depth + 1):  # from the coarsest; finer levels overwrite
        shift = MIN_SHIFT + 3 * (depth - level)
        fits = begin >> shift == (end - 1) >> shift
        bins[fits] = ((1 << (3 * level)) - 1) // 7 + (begin[fits] >> shift)
    return bins


def _bin_begin(bins: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
    """int64[k]: first position of each bin, 0-based."""
    level = np.zeros(len(bins), np.int64)
    for deeper in range(1, depth + 1):
        level[bins >= ((1 << (3 * deeper)) - 1) // 7] = deeper
    return (bins - ((1 << (3 * level)) - 1) // 7) << (MIN_SHIFT + 3 * (depth - level))
