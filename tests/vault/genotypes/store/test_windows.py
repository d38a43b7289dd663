"""Reading in windows gives what one read gives, however the parts' chunks, people and positions lie."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.gt_text import calls_of, sites_of, texts_of
from tests.support.views import rows_of
from vault.errors import UnavailableError
from vault.genotypes.codec.allele_counts import AlleleCounts, count_calls
from vault.genotypes.sites import Sites
from vault.genotypes.store.block_access import BlockAccess
from vault.genotypes.store.part_merge import Calls
from vault.genotypes.store.part_reader import join_escapes
from vault.genotypes.store.windows import Choice, PartChoice

TEXTS = ("0|0", "0|1", "1/1", "./.", "1", "0|1|1", "0|2", "2")
NOBODY = BlockAccess((), 0)


@dataclass(frozen=True)
class Record:
    """What the window planner asks of a chunk's record."""

    n_sites: int
    version: int = 1


@dataclass
class FakeReader:
    """A part in memory, as ``PartReader`` gives it: ``chunks`` of calls, each on one contig unless it is a panel's build."""

    chunks: list[Calls]
    columns: int = 1
    build: bool = False
    reads: list[int] = field(default_factory=list)
    version: int = 1

    def known(self, ordinal):
        return Record(len(self.chunks[ordinal].sites), self.version)

    def contig(self, ordinal):
        return None if self.build else self.chunks[ordinal].sites.contigs[0]

    def sites(self, ordinal):
        return self.chunks[ordinal].sites

    def read(self, ordinals, rows, _access, *, held=None):
        assert held is not None
        self.reads += ordinals
        pieces = [self._rows(ordinal, picked) for ordinal, picked in zip(ordinals, rows, strict=True)]
        edges = np.cumsum([0, *(len(piece.sites) for piece in pieces)]).tolist()
        codes = np.concatenate([np.zeros((0, self.columns), np.uint8), *(piece.codes for piece in pieces)])
        return Sites.concat([piece.sites for piece in pieces]), codes, join_escapes([piece.escapes for piece in pieces], edges)

    def count(self, ordinals, rows, access, *, held=None):
        sites, codes, escapes = self.read(ordinals, rows, access, held=held)
        return sites, count_calls(sites, codes, escapes)

    def read_and_count(self, ordinals, rows, access, *, held=None):
        found = self.read(ordinals, rows, access, held=held)
        return *found, count_calls(*found)

    def _rows(self, ordinal, picked):
        chunk = self.chunks[ordinal]
        if picked is None:
            return chunk
        single = [rows_of(chunk, row, row + 1) for row in picked.tolist()]
        escapes = join_escapes([piece.escapes for piece in single], list(range(len(single) + 1)))
        return Calls(chunk.sites.take(picked), chunk.codes[picked], escapes)


def calls(records, rows, n):
    return Calls(sites_of(records), *calls_of(rows, n))


def everything(reader, columns):
    chosen = [(ordinal, None) for ordinal in range(len(reader.chunks))]
    return PartChoice.from_reader(reader, chosen, NOBODY, np.array(columns, np.int64))


@st.composite
def parts(draw, n_columns):
    """A part's chunks and which rows of them are chosen: contigs in any order, positions ascending, some of them several times."""
    columns = draw(st.lists(st.integers(0, n_columns - 1), min_size=1, unique=True))
    size, build = draw(st.integers(1, 4)), draw(st.booleans())
    records = [
        (contig, pos, alleles)
        for contig in draw(st.lists(st.sampled_from(["1", "2", "X"]), unique=True, max_size=3))
        for pos in sorted(draw(st.lists(st.integers(10, 16), max_size=8)))
        for alleles in [draw(st.sampled_from(["A,C,G", "A,G,C", "AT,A,G"]))]
    ]
    rows = [[draw(st.sampled_from(TEXTS)) for _ in columns] for _ in records]
    cuts, at = [], 0
    while at < len(records):
        end = (
            len(records)
            if build
            else min(at + size, next((i for i in range(at, len(records)) if records[i][0] != records[at][0]), len(records)))
        )
        cuts.append((at, end))
        at = end
    reader = FakeReader([calls(records[a:b], rows[a:b], len(columns)) for a, b in cuts], len(columns), build)
    chosen = []
    for ordinal, (a, b) in enumerate(cuts):
        some = None if build else draw(st.none() | st.lists(st.integers(0, b - a - 1), min_size=1, unique=True))
        chosen.append((ordinal, None if some is None else np.array(sorted(some), np.int64)))
    return PartChoice.from_reader(reader, chosen, NOBODY, np.array(columns, np.int64))


def shown(sites, codes, escapes):
    places = [(sites.contigs[c], p) for c, p in zip(sites.contig.tolist(), sites.pos.tolist(), strict=True)]
    return list(zip(places, sites.alleles.items(), texts_of(codes, escapes), codes.tolist(), strict=True))


@settings(max_examples=120, deadline=None)
@given(st.data(), st.integers(1, 5), st.integers(1, 9))
def test_windows_put_together_are_one_read(data, n_columns, n_sites):
    choice = Choice([data.draw(parts(n_columns)) for _ in range(data.draw(st.integers(0, 3)))], n_columns)
    whole, counts = choice.whole.read()
    read = [window.read() for window in choice.windows(n_sites)]
    assert [row for calls, _ in read for row in shown(calls.sites, calls.codes, calls.escapes)] == shown(
        whole.sites, whole.codes, whole.escapes
    )
    counted = [window.count() for window in choice.windows(n_sites)]
    assert [p for some, _ in counted for p in some.pos.tolist()] == whole.sites.pos.tolist()
    slow = count_calls(whole.sites, whole.codes, whole.escapes)
    for found in (counts, AlleleCounts.concat([c for _, c in read]), AlleleCounts.concat([c for _, c in counted])):
        for name in ("offsets", "counts", "an", "flags"):
            assert np.array_equal(getattr(found, name), getattr(slow, name))
    assert len(whole.sites) <= choice.n_sites
    names = [whole.sites.contigs[c] for c in dict.fromkeys(whole.sites.contig.tolist())]
    assert [name for name in choice.contigs if name in names] == names


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(1, 9))
def test_no_window_is_larger_than_asked_for_but_for_one_position(data, n_sites):
    choice = Choice([data.draw(parts(3)) for _ in range(data.draw(st.integers(1, 3)))], 3)
    for window in choice.windows(n_sites):
        calls, _ = window.read()
        places = {(calls.sites.contigs[c], p) for c, p in zip(calls.sites.contig.tolist(), calls.sites.pos.tolist(), strict=True)}
        most = max((len([r for r in calls.sites.pos.tolist() if r == p]) for _, p in places), default=0)
        assert len(calls.sites) <= n_sites or len(places) == 1 or len(calls.sites) <= n_sites + most * len(choice.parts)


def test_whole_chunks_stay_whole_and_are_read_once():
    reader = FakeReader([calls([("1", 10 * k + i, "A,C") for i in range(4)], [["0|1"]] * 4, 1) for k in range(5)])
    windows = list(Choice([everything(reader, [0])], 1).windows(8))
    assert [piece for window in windows for _, piece in window.pieces] == [
        [(0, None), (1, None)],
        [(2, None), (3, None)],
        [(4, None)],
    ]
    for window in windows:
        window.read()
    assert reader.reads == [0, 1, 2, 3, 4]


def test_a_chunk_that_is_rewritten_between_two_windows_is_refused():
    reader = FakeReader([calls([("1", i, "A,C") for i in range(1, 5)], [["0|1"]] * 4, 1)])
    first, second = Choice([everything(reader, [0])], 1).windows(2)
    first.count()
    reader.version = 2
    for act in (second.read, second.count):
        with pytest.raises(UnavailableError) as caught:
            act()
        assert caught.value.code == "sites_rewritten"


def test_counting_may_take_the_calls_where_parts_meet():
    first, meets, apart = (
        everything(FakeReader([calls([(contig, 5, "A,G")], [["0/1"]], 1)]), [column])
        for contig, column in (("1", 0), ("1", 1), ("2", 1))
    )
    assert Choice([first, meets], 2).overlaps
    assert not Choice([first, apart], 2).overlaps
