"""Encoded chunks: the reader of a file hands them to the process that seals them, in one process or between two.

As bytes (between the two processes of one run, never stored)::

    u32 length of the head ‖ head: JSON {"contig": name, "sites": m, "end": position, "sizes": [bytes of each part]} ‖ parts
    parts = pos int64[m] ‖ for alleles, ids, filters, info: offsets int64[m + 1] ‖ text ‖ lengths uint32[n] ‖ coding ‖ carriers ‖ payloads
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.sites import Sites, TextColumn

_HEAD_BYTES = 4

_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True)
class EncodedChunk:
    """``payloads``: every subject's payload, one after another; ``lengths`` uint32[n]; ``coding`` goes to the site table.

    ``carriers``: how many of the people carry each ALT, as ``carrier_counts.CarrierCounts`` has it in bytes.
    """

    n_sites: int
    payloads: bytes
    lengths: NDArray[np.uint32]
    coding: bytes
    carriers: bytes

    def split(self) -> list[bytes]:
        """The payload of each subject."""
        whole = self.payloads  # slices of bytes are cheaper to make, and to seal, than views
        ends = np.cumsum(self.lengths, dtype=np.int64).tolist()
        return [whole[a:b] for a, b in zip([0, *ends], ends, strict=False)]


@dataclass(frozen=True)
class SiteChunk:
    """Consecutive sites of one contig, the only one of their dictionary, with the calls of all columns at them.

    ``end``: the largest position that one of them reaches (``sites.site_ends``).
    """

    sites: Sites
    end: int
    encoded: EncodedChunk

    @property
    def contig(self) -> str:
        """The contig, spelled as in the file."""
        return self.sites.contigs[0]

    def to_parts(self) -> list[bytes | memoryview]:
        """The bytes, as pieces to be written one after another."""
        sites, encoded = self.sites, self.encoded
        arrays: list[NDArray[np.generic]] = [sites.pos]
        for column in (sites.alleles, sites.ids, sites.filters, sites.info):
            arrays += [column.offsets, column.data]
        arrays.append(encoded.lengths)
        parts: list[bytes | memoryview] = [np.ascontiguousarray(array).data.cast("B") for array in arrays if array.size]
        sizes = [array.nbytes for array in arrays] + [len(encoded.coding), len(encoded.carriers), len(encoded.payloads)]
        head = json.dumps({"contig": self.contig, "sites": len(sites), "end": self.end, "sizes": sizes}).encode()
        return [len(head).to_bytes(_HEAD_BYTES, "little"), head, *parts, encoded.coding, encoded.carriers, encoded.payloads]

    @staticmethod
    def from_bytes(data: bytearray) -> SiteChunk:
        """The chunk of these bytes, on their memory.

        Raises:
            ValueError: the parts do not fit each other.
        """
        try:
            return _parsed(memoryview(data))
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            raise ValueError("an encoded chunk is malformed") from error


def _parsed(data: memoryview) -> SiteChunk:
    start = _HEAD_BYTES + int.from_bytes(data[:_HEAD_BYTES], "little")
    head = json.loads(bytes(data[_HEAD_BYTES:start]))
    contig, m, end, sizes = str(head["contig"]), int(head["sites"]), int(head["end"]), [int(size) for size in head["sizes"]]
    if m < 1 or min(sizes) < 0 or start + sum(sizes) != len(data):
        raise ValueError
    parts = _cut(data[start:], sizes)
    pos = _array(next(parts), np.int64)
    texts = [_column(_array(next(parts), np.int64), _array(next(parts), np.uint8), m) for _ in range(4)]
    lengths = _array(next(parts), np.uint32)
    coding, carriers, payloads = (bytes(next(parts)) for _ in range(3))
    if len(pos) != m or int(lengths.sum(dtype=np.int64)) != len(payloads):
        raise ValueError
    sites = Sites((contig,), np.zeros(m, np.int32), pos, *texts)
    return SiteChunk(sites, end, EncodedChunk(m, payloads, lengths, coding, carriers))


def _cut(data: memoryview, sizes: Sequence[int]) -> Iterator[memoryview]:
    return (data[a:b] for a, b in pairwise((0, *accumulate(sizes))))


def _array(part: memoryview, dtype: type[_T]) -> NDArray[_T]:
    """dtype[k]: the array of these bytes, on their memory."""
    return np.frombuffer(part, dtype) if len(part) else np.empty(0, dtype)


def _column(offsets: NDArray[np.int64], data: NDArray[np.uint8], m: int) -> TextColumn:
    if len(offsets) != m + 1 or offsets[0] != 0 or offsets[-1] != len(data) or (np.diff(offsets) < 0).any():
        raise ValueError
    return TextColumn(data, offsets)
