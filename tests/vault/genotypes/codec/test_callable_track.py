"""Callable tracks against an array of bases, and their bytes against the documented form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.support.per_base import Interval, copies, intervals_of, per_base
from vault.errors import IntegrityError
from vault.genotypes.codec.callable_track import CallableTrack, bins_over

SIZE = 60
BIN = 1 << 18
LEVELS = st.sampled_from([0, 1, 2, 3, 5, 6, 7])
CONFIDENT = st.sampled_from([1, 2, 3, 5, 6, 7])


def sorted_intervals(levels: st.SearchStrategy[int]) -> st.SearchStrategy[list[Interval]]:
    pairs = st.tuples(st.integers(1, SIZE), st.integers(0, 12), levels)
    return st.lists(pairs.map(lambda p: (p[0], min(SIZE, p[0] + p[1]), p[2])), max_size=25).map(sorted)


def track_of(intervals: list[Interval]) -> CallableTrack:
    start, end, level = zip(*intervals, strict=True) if intervals else ((), (), ())
    return CallableTrack.lowest(start, end, level)


def as_intervals(track: CallableTrack) -> list[Interval]:
    return list(zip(track.start.tolist(), track.end.tolist(), track.level.tolist(), strict=True))


@given(sorted_intervals(LEVELS))
def test_the_lowest_of_overlapping_intervals_counts(intervals):
    assert as_intervals(track_of(intervals)) == intervals_of(per_base(intervals, SIZE))


@given(
    sorted_intervals(LEVELS), st.lists(st.tuples(st.integers(1, SIZE + 3), st.integers(-1, 20)), max_size=20), st.integers(1, 3)
)
def test_a_run_is_covered_where_each_of_its_bases_is(intervals, runs, band):
    track, bases = track_of(intervals), per_base(intervals, SIZE + 30)
    start, end = np.array([r[0] for r in runs], np.int64), np.array([r[0] + r[1] for r in runs], np.int64)
    expected = [copies(bases, a, b, band) for a, b in zip(start.tolist(), end.tolist(), strict=True)]
    assert track.covered(start, end, at_least=band).tolist() == expected


@given(sorted_intervals(LEVELS), st.lists(st.tuples(st.integers(1, SIZE), st.integers(-2, 9)), max_size=8))
def test_cutting_takes_bases_out(intervals, runs):
    bases = per_base(intervals, SIZE)
    for start, length in runs:
        for base in range(start, min(SIZE, start + length) + 1):
            bases[base] = 0
    cut = track_of(intervals).cut([r[0] for r in runs], [r[0] + r[1] for r in runs])
    assert as_intervals(cut) == intervals_of(bases)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 200, BIN - 1, BIN, 3 * BIN + 7]),
            st.sampled_from([1, 2, 15, 16, 5000, BIN, 2 * BIN + 1]),
            CONFIDENT,
        ),
        max_size=12,
    )
)
def test_bytes_hold_the_track_whole_and_by_the_bin(steps):
    at, intervals = 0, []
    for gap, length, level in steps:
        intervals.append((at + gap + 1, at + gap + length, level))
        at += gap + length
    track = track_of(intervals)
    bins = track.encode()
    assert as_intervals(CallableTrack.decode(bins)) == as_intervals(track)
    assert list(bins) == sorted({b for start, end, _ in intervals for b in bins_over(start, end)})
    for number, data in bins.items():
        low, high = number * BIN + 1, (number + 1) * BIN
        inside = [(max(low, a), min(high, b), level) for a, b, level in as_intervals(track) if a <= high and b >= low]
        assert as_intervals(CallableTrack.decode({number: data})) == inside == documented(number, data)


def documented(number: int, data: bytes) -> list[Interval]:
    """A second reader, written from docs/formats/genotypes.md §10."""
    values, value, shift = [], 0, 0
    for byte in zstandard.ZstdDecompressor().decompress(data[1:]) if data[0] == 1 else data[1:]:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            values.append(value)
            value = shift = 0
    base, found = number << 18, []
    for gap, length, level in pairs(values) if data[0] == 1 else tokens(values):
        found.append((base + gap + 1, base + gap + length, level))
        base += gap + length
    return found


def pairs(values: list[int]) -> Iterator[tuple[int, int, int]]:
    for gap, pair in zip(values[::2], values[1::2], strict=True):
        yield gap, pair >> 3, pair & 7


def tokens(values: list[int]) -> Iterator[tuple[int, int, int]]:
    level, given = 3, iter(values)
    for value in given:
        gap, kind = 0, value & 3
        if kind == 0:
            gap = 1
        elif kind == 3:
            more = next(given)
            gap, level = more >> 3, more & 7
        else:
            level = (level & 4) + [band for band in (1, 2, 3) if band != level & 3][kind - 1]
        yield gap, value >> 2, level


def test_frozen_bytes_are_read_back():
    for vector in json.loads((Path(__file__).parent / "vectors" / "tracks.json").read_text()):
        intervals = [tuple(i) for i in vector["intervals"]]
        for name in ("bins", "tokens"):
            held = {int(number): bytes.fromhex(data) for number, data in vector[name].items()}
            assert as_intervals(CallableTrack.decode(held)) == intervals
        assert track_of(intervals).encode() == held


def packed(pairs: bytes) -> bytes:
    return b"\x01" + zstandard.ZstdCompressor().compress(pairs)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        b"\x03" + packed(b"\x00\x09")[1:],  # another version
        packed(b""),  # a bin of nothing
        packed(b"\x00"),  # half a pair
        packed(b"\x00\x09\x05"),
        packed(b"\x00\x01"),  # no base
        packed(b"\x00\x08"),  # class 0
        packed(b"\x00\x0c"),  # class 4
        packed(b"\x80\x00\x09"),  # a number longer than it need be
        packed(b"\x80\x80\x80\x80\x01\x09"),  # five bytes
        packed(b"\x80"),
        packed(b"\x00\x09\x00\x11"),  # one interval as two
        packed(b"\x01\x81\x80\x80\x01"),  # beyond the bin
        packed(b"\x00\x09") + b"x",
        packed(b"\x00\x09")[:-1],
        b"\x01" + zstandard.ZstdCompressor(write_content_size=False).compress(b"\x00\x09"),
        packed(b"\x00\x09" * (1 << 19)),  # more than a bin can hold
        b"\x02",
        b"\x02\x00",  # no base
        b"\x02\x80",
        b"\x02\x84\x00",  # a number longer than it need be
        b"\x02\x07",  # without gap and class
        b"\x02\x07\x04",  # class 0, or 4
        b"\x02\x07\x24",
        b"\x02\x07\x0b",  # what a shorter token says
        b"\x02\x07\x02",
        b"\x02\x04\x07\x03",  # one interval as two
        b"\x02\xfc\xff\xff\x01",  # beyond the bin
    ],
)
def test_other_bytes_are_an_integrity_error(data):
    with pytest.raises(IntegrityError) as error:
        CallableTrack.decode({3: data})
    assert error.value.code == "track_malformed"


@pytest.mark.parametrize("number", [-1, 1 << 13])
def test_a_bin_lies_on_a_contig(number):
    with pytest.raises(IntegrityError):
        CallableTrack.decode({number: packed(b"\x00\x09")})


@given(st.binary(max_size=40))
def test_any_bytes_are_a_track_or_an_integrity_error(pairs):
    try:
        found = as_intervals(CallableTrack.decode({0: packed(pairs)}))
    except IntegrityError:
        return
    assert found == documented(0, packed(pairs))


@given(st.binary(min_size=1, max_size=40))
def test_any_tokens_are_a_track_written_so_or_an_integrity_error(data):
    try:
        found = CallableTrack.decode({0: b"\x02" + data})
    except IntegrityError:
        return
    assert as_intervals(found) == documented(0, b"\x02" + data)
    assert found.encode() == {0: b"\x02" + data}


def test_a_track_of_nothing_has_no_bytes():
    assert CallableTrack.empty().encode() == {}
    assert len(CallableTrack.decode({})) == 0
    assert CallableTrack.empty().covered([5], [5], at_least=1).tolist() == [0]
