"""One person's calls and tracks as bytes, contig by contig, between the two processes of one run (never stored).

u32 length of the head ‖ head: JSON {"contig": name, "sizes": [bytes of each array]} ‖ arrays
arrays = pos int64[m] ‖ for alleles, ids, filters, info: offsets int64[m + 1] ‖ text ‖ codes uint8[m]
‖ escapes: site, sample int64[k], offset int64[k + 1], alleles int16[], phased uint8[] ‖ track: start, end int64[], level uint8[]
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.call_codes import Escapes
from vault.genotypes.codec.callable_track import CallableTrack
from vault.genotypes.codec.packed_calls import CallRows
from vault.genotypes.ingest.personal_calls import GvcfCounts, PersonalCalls
from vault.genotypes.ingest.source import SiteBatch
from vault.genotypes.sites import Sites, TextColumn

_HEAD_BYTES = 4
_TEXTS: Final = 4
_DTYPES: Final[tuple[type[np.generic], ...]] = (
    np.int64,
    *(np.int64, np.uint8) * _TEXTS,
    *(np.uint8, np.int64, np.int64, np.int64, np.int16, np.uint8),
    *(np.int64, np.int64, np.uint8),
)

_T = TypeVar("_T", bound=np.generic)


def contig_parts(calls: PersonalCalls, contig: str) -> list[bytes | memoryview]:
    """The bytes of one contig, as pieces to be written one after another."""
    batch = calls.calls.get(contig) or _nothing(contig)
    track = calls.tracks.get(contig) or CallableTrack.empty()
    sites, escapes = batch.sites, batch.escapes
    texts = [part for text in (sites.alleles, sites.ids, sites.filters, sites.info) for part in (text.offsets, text.data)]
    arrays: list[NDArray[Any]] = [sites.pos, *texts, batch.rows.codes]
    arrays += [escapes.site, escapes.sample, escapes.offset, escapes.alleles, escapes.phased, track.start, track.end, track.level]
    head = json.dumps({"contig": contig, "sizes": [array.nbytes for array in arrays]}).encode()
    parts = [np.ascontiguousarray(array).data.cast("B") for array in arrays if array.size]
    return [len(head).to_bytes(_HEAD_BYTES, "little"), head, *parts]


class PersonalFrames:
    """The calls and tracks of contigs as they arrive."""

    def __init__(self) -> None:
        self._batches: dict[str, SiteBatch] = {}
        self._tracks: dict[str, CallableTrack] = {}

    def add(self, data: bytearray) -> None:
        """Add a contig, on the memory of its bytes.

        Raises:
            ValueError: the parts do not fit each other.
        """
        try:
            contig, batch, track = _parsed(memoryview(data))
        except (KeyError, TypeError, IndexError, RecursionError, StopIteration) as error:
            raise ValueError("the bytes of a person's contig are malformed") from error
        if len(batch.sites):
            self._batches[contig] = batch
        if len(track):
            self._tracks[contig] = track

    def finish(self, counts: dict[str, int]) -> PersonalCalls:
        """All of it.

        Raises:
            TypeError: the counts are others.
        """
        return PersonalCalls(self._batches, self._tracks, GvcfCounts(**counts))


def _nothing(contig: str) -> SiteBatch:
    empty = TextColumn.from_items([])
    sites = Sites((contig,), np.zeros(0, np.int32), np.zeros(0, np.int64), empty, empty, empty, empty)
    return SiteBatch(sites, CallRows.from_codes(np.zeros((0, 1), np.uint8)), Escapes.empty())


def _parsed(data: memoryview) -> tuple[str, SiteBatch, CallableTrack]:
    start = _HEAD_BYTES + int.from_bytes(data[:_HEAD_BYTES], "little")
    head = json.loads(bytes(data[_HEAD_BYTES:start]))
    contig, sizes = str(head["contig"]), [int(size) for size in head["sizes"]]
    if len(sizes) != len(_DTYPES) or min(sizes) < 0 or start + sum(sizes) != len(data):
        raise ValueError("the sizes are not those of the bytes")
    places = pairwise(accumulate(sizes, initial=start))
    arrays: Iterator[Any] = (_array(data[a:b], dtype) for (a, b), dtype in zip(places, _DTYPES, strict=True))
    pos = next(arrays)
    m = len(pos)
    texts = [_column(next(arrays), next(arrays), m) for _ in range(_TEXTS)]
    codes = next(arrays)
    escapes = Escapes(*(next(arrays) for _ in range(5)))
    track = CallableTrack(*(next(arrays) for _ in range(3)))
    fits = len(codes) == m and len(escapes.sample) == len(escapes.site) == len(escapes.offset) - 1
    fits = fits and len(escapes.alleles) == len(escapes.phased) == escapes.offset[-1]
    if not fits or not len(track.start) == len(track.end) == len(track.level):
        raise ValueError("the arrays do not fit each other")
    sites = Sites((contig,), np.zeros(m, np.int32), pos, *texts)
    return contig, SiteBatch(sites, CallRows.from_codes(codes[:, None]), escapes), track


def _array(part: memoryview, dtype: type[_T]) -> NDArray[_T]:
    """dtype[k]: the array of these bytes, on their memory."""
    return np.frombuffer(part, dtype) if len(part) else np.empty(0, dtype)


def _column(offsets: NDArray[np.int64], data: NDArray[np.uint8], m: int) -> TextColumn:
    if len(offsets) != m + 1 or offsets[0] != 0 or offsets[-1] != len(data) or (np.diff(offsets) < 0).any():
        raise ValueError("a text column is malformed")
    return TextColumn(data, offsets)
