"""Callable tracks: where one person was confidently assayed as reference, so that "no record" means 0/0 there and nowhere else.

A level keeps how confident, in bands of genotype quality, so that a threshold can be raised later without the files; and whether the
person has one copy there. Bytes: docs/formats/genotypes.md §10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import zstandard
from numpy.typing import ArrayLike, NDArray

from vault.errors import IntegrityError
from vault.genotypes.codec.format_constants import TRACK_BAND as BAND
from vault.genotypes.codec.format_constants import TRACK_BIN_SHIFT as BIN_SHIFT
from vault.genotypes.codec.kernels import callable_track as kernels
from vault.genotypes.codec.kernels import track_bytes, track_fill
from vault.limits import MAX_POSITION

TWO_COPIES: Final = 1  # of ``CallableTrack.covered``
ONE_COPY: Final = 2

_TOKENS = 2  # the version of a bin that is written; ``track_bytes.PAIRS`` are read
_MAX_PAIRS_BYTES = 2 << BIN_SHIFT  # a pair is two bytes at least, and tells of one base at least


@dataclass(frozen=True)
class CallableTrack:
    """Confident reference intervals of one person on one contig: sorted, disjoint, none next to another of its level.

    ``start``, ``end`` int64[k]: 1-based, inclusive. ``level`` uint8[k]: 1, 2, 3 for GQ from 10, 20, 30 on with two copies, 5, 6, 7 with one.
    (A rule that takes less than GQ 10 has it at level 1.)
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    level: NDArray[np.uint8]

    @staticmethod
    def empty() -> CallableTrack:
        """A track without an interval."""
        return CallableTrack(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8))

    @staticmethod
    def lowest(start: ArrayLike, end: ArrayLike, level: ArrayLike) -> CallableTrack:
        """The track of any intervals, sorted by start: of those over a base the lowest level counts.

        Level 0 is not confident. A base under one copy and two is not confident either.
        """
        first, last = np.ascontiguousarray(start, np.int64), np.ascontiguousarray(end, np.int64)
        levels = np.ascontiguousarray(level, np.uint8)
        if (last[:-1] < first[1:]).all():
            kept = np.flatnonzero(levels & BAND)
            return _joined(first[kept], last[kept], levels[kept])
        out = _room(2 * len(first))
        count = kernels.lowest_levels(first, last, levels, np.argsort(last, kind="stable"), out.start, out.end, out.level)
        return _head(out, count)

    def __len__(self) -> int:
        return len(self.start)

    def covered(self, start: ArrayLike, end: ArrayLike, *, at_least: int) -> NDArray[np.uint8]:
        """uint8[m]: TWO_COPIES or ONE_COPY where every base from ``start`` to ``end`` (1-based, inclusive) has it in this band or a higher.

        0 where some base is not confident, or the copies differ within the run.
        """
        first, last = np.ascontiguousarray(start, np.int64), np.ascontiguousarray(end, np.int64)
        copies = np.empty(len(first), np.uint8)
        kernels.covered_runs(self.start, self.end, self.level, first, last, max(1, at_least), copies)
        return copies

    def cut(self, start: ArrayLike, end: ArrayLike) -> CallableTrack:
        """The track without the bases from each ``start`` to its ``end`` (1-based, inclusive)."""
        first = np.concatenate([self.start, np.asarray(start, np.int64)])
        last = np.concatenate([self.end, np.asarray(end, np.int64)])
        level = np.concatenate([self.level, np.zeros(len(first) - len(self), np.uint8)])
        meant = np.flatnonzero(first <= last)
        order = meant[np.argsort(first[meant], kind="stable")]
        return CallableTrack.lowest(first[order], last[order], level[order])

    def encode(self) -> dict[int, bytes]:
        """Bytes of each bin that has an interval, by its number, ascending."""
        crossed = ((self.end - 1) >> BIN_SHIFT) - ((self.start - 1) >> BIN_SHIFT)
        pieces = len(self) + int(crossed.sum())
        data = np.empty(track_bytes.TOKEN_BYTES * pieces, np.uint8)
        numbers, ends = np.empty(pieces, np.int64), np.empty(pieces, np.int64)
        bins = track_bytes.write_bins(self.start, self.end, self.level, data, numbers, ends)
        bounds = [0, *ends[:bins].tolist()]
        return {
            number: bytes([_TOKENS]) + data[a:b].tobytes()
            for number, a, b in zip(numbers[:bins].tolist(), bounds, bounds[1:], strict=False)
        }

    @staticmethod
    def decode(bins: Mapping[int, bytes]) -> CallableTrack:
        """The track of these bins, some or all of a contig's.

        Raises:
            IntegrityError: ``track_malformed``.
        """
        pieces = _JoinedBins.of([bins])
        out = _room(len(pieces.data))  # an interval is a byte at least
        found = 0
        for at, (version, number) in enumerate(zip(pieces.versions.tolist(), pieces.numbers.tolist(), strict=True)):
            data = pieces.data[pieces.edges[at] : pieces.edges[at + 1]]
            found = track_bytes.read_bin(data, version, number, found, out.start, out.end, out.level)
            if found < 0:
                raise _malformed()
        kept = _head(out, found)
        return _joined(kept.start, kept.end, kept.level)


@dataclass(frozen=True)
class _JoinedBins:
    """Bins of several people, person after person and by number: their bytes as kernels read them, one's behind another's in ``data`` uint8[], and ``BEHIND`` more.

    int64[k]: ``versions``, ``numbers``, and ``owners``, whose each is; ``edges`` int64[k + 1]: where each begins, and the end.
    """

    data: NDArray[np.uint8]
    edges: NDArray[np.int64]
    versions: NDArray[np.int64]
    numbers: NDArray[np.int64]
    owners: NDArray[np.int64]

    @staticmethod
    def of(people: Sequence[Mapping[int, bytes]]) -> _JoinedBins:
        """The bins of each one. Raises IntegrityError ``track_malformed``."""
        unpack = zstandard.ZstdDecompressor().decompress
        found = [(at, number, bins[number]) for at, bins in enumerate(people) for number in sorted(bins)]
        owners, numbers = (np.array([one[place] for one in found], np.int64) for place in (0, 1))
        if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) <= MAX_POSITION >> BIN_SHIFT:
            raise _malformed()
        versions = np.array([bins[0] if bins else 0 for _, _, bins in found], np.int64)
        if not np.isin(versions, (track_bytes.PAIRS, _TOKENS)).all():
            raise _malformed()
        texts = [bins[1:] if bins[0] == _TOKENS else _unpacked(bins[1:], unpack) for _, _, bins in found]
        edges = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(list(map(len, texts)), out=edges[1:])
        return _JoinedBins(
            np.frombuffer(b"".join([*texts, bytes(track_bytes.BEHIND)]), np.uint8), edges, versions, numbers, owners
        )


@dataclass(frozen=True)
class PeoplesTracks:
    """Tracks of several people on one contig, in some of its bins, still in bytes."""

    _pieces: _JoinedBins

    @staticmethod
    def of(people: Sequence[Mapping[int, bytes]]) -> PeoplesTracks:
        """The tracks of each one's bins. Raises as ``CallableTrack.decode``."""
        return PeoplesTracks(_JoinedBins.of(people))

    def fill(
        self,
        codes: NDArray[np.uint8],
        columns: NDArray[np.int64],
        rows: NDArray[np.int64],
        runs: tuple[NDArray[np.int64], NDArray[np.int64]],
        *,
        at_least: int,
        calls: tuple[int, int, int],
    ) -> None:
        """Write into ``codes`` uint8[sites, all people] the calls of who is covered: ``columns`` int64[k] of these people, ascending, ``rows``
        int64[j] with the first and last base of each, ``runs``. ``calls``: of two copies, of one, and the call that stands for none.

        Raises:
            IntegrityError: ``track_malformed``.
        """
        order = np.argsort(runs[0], kind="stable")
        first, last = (np.ascontiguousarray(run[order], np.int64) for run in runs)
        told, pieces = np.array(calls, np.uint8), self._pieces
        bins = (pieces.data, pieces.edges, pieces.versions, pieces.numbers, pieces.owners)
        if track_fill.fill_people(*bins, columns, rows[order], first, last, max(1, at_least), told, codes):
            raise _malformed()


def bins_over(start: int, end: int) -> range:
    """Numbers of the bins that hold the bases from ``start`` to ``end`` (1-based, inclusive)."""
    return range(max(0, start - 1) >> BIN_SHIFT, ((end - 1) >> BIN_SHIFT) + 1)


def _room(size: int) -> CallableTrack:
    """Uninitialised columns for a kernel to fill."""
    return CallableTrack(np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.uint8))


def _head(track: CallableTrack, count: int) -> CallableTrack:
    return CallableTrack(track.start[:count].copy(), track.end[:count].copy(), track.level[:count].copy())


def _joined(start: NDArray[np.int64], end: NDArray[np.int64], level: NDArray[np.uint8]) -> CallableTrack:
    """The track of disjoint intervals, those of one level next to each other made one."""
    breaks = np.ones(len(start), np.bool_)
    breaks[1:] = (start[1:] != end[:-1] + 1) | (level[1:] != level[:-1])
    first = np.flatnonzero(breaks)
    if len(first) == len(start):
        return CallableTrack(start, end, level)
    last = np.append(first[1:] - 1, len(start) - 1)
    return CallableTrack(start[first], end[last], level[first])


def _unpacked(frame: bytes, unpack: Callable[..., bytes]) -> bytes:
    """The pairs of a bin."""
    try:
        if not 2 <= zstandard.frame_content_size(frame) <= _MAX_PAIRS_BYTES:
            raise _malformed()
        return unpack(frame, max_output_size=_MAX_PAIRS_BYTES, allow_extra_data=False)
    except zstandard.ZstdError:
        raise _malformed() from None


def _malformed() -> IntegrityError:
    """The error of a track that does not have the form of its version. It is authenticated, so this is a writer's defect."""
    return IntegrityError("track_malformed", "a callable track does not have the form of its version")
