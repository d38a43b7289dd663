"""A personal part: what was written is read back with the person's key alone, by ranges of one object; anything else is an error."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vault.genotypes.chunks import integrity_code, mixed_codes, packed_rows, random_escapes, same_escapes, simple_sites
from vault.errors import IntegrityError
from vault.genotypes.codec.callable_track import CallableTrack
from vault.genotypes.ingest.chunking import chunks_of
from vault.genotypes.ingest.source import SiteBatch
from vault.genotypes.store.part_records import Owner
from vault.genotypes.store.personal_index import (
    ChunkAt,
    ContainerAt,
    PersonalIndex,
    Piece,
    TrackAt,
)
from vault.genotypes.store.personal_reader import PersonalPart
from vault.genotypes.store.personal_writer import write_personal
from vault.genotypes.store.selections import Selection, choose_rows
from vault.genotypes.store.site_tables import PartDirectory

KEY = bytes(range(32))
OWNER = Owner(bytes(16), b"d" * 16, b"p" * 16)
TRACK = CallableTrack(
    np.array([1, 300_000, 900_000], np.int64), np.array([250, 600_000, 900_500], np.int64), np.array([3, 2, 5], np.uint8)
)


class Shelf:
    """Objects in memory; ``asked``: how many reads, ``read_bytes``: of how many bytes."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked = self.read_bytes = 0

    def put(self, name: str, data: bytes) -> None:
        assert name not in self.objects
        self.objects[name] = data

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        data = self.objects[name][offset : offset + length]
        self.asked, self.read_bytes = self.asked + 1, self.read_bytes + len(data)
        return data


@pytest.fixture(scope="module")
def made():
    """(shelf, record, sites, codes, escapes) of 120 sites in chunks of 50, with a track on two contigs."""
    rng = np.random.default_rng(3)
    codes = mixed_codes("uniform", rng, 120, 1)
    sites, escapes, shelf = simple_sites(120), random_escapes(codes, rng), Shelf()
    chunks = chunks_of([SiteBatch(sites, packed_rows(codes), escapes)], 1, chunk_sites=50)
    tracks = {"1": TRACK.encode(), "nothing": {}, "Y": TRACK.encode()}
    record = write_personal(OWNER, KEY, chunks, put=shelf.put, random=os.urandom, tracks=tracks)
    return shelf, record, sites, codes, escapes


def opened(made, *, key: bytes = KEY, owner: Owner = OWNER, **changed) -> PersonalPart:
    shelf, record, *_ = made
    return PersonalPart(owner, replace(record, **changed), key, get_range=shelf.get_range)


def read_everything(part: PersonalPart) -> None:
    part.reader.read(range(3), None, part.access)
    for contig in ("1", "Y"):
        part.bins(contig, range(4))


def test_sites_and_calls_are_those_that_were_written(made):
    _, record, sites, codes, escapes = made
    part = opened(made)
    assert (record.n_sites, record.has_track, len(part.index.chunks)) == (120, True, 3)
    found, read, read_escapes = part.reader.read(range(3), None, part.access)
    assert np.array_equal(read, codes)
    assert found.alleles.items() == sites.alleles.items()
    assert found.pos.tolist() == sites.pos.tolist()
    assert same_escapes(read_escapes, escapes)


def test_a_few_rows_read_a_few_ranges(made):
    shelf, record, _, codes, _ = made
    part = opened(made)
    _ = part.index
    before, asked = shelf.read_bytes, shelf.asked
    _, read, _ = part.reader.read([1], [np.array([3, 4])], part.access)
    assert np.array_equal(read, codes[53:55])
    assert shelf.asked - asked <= 3
    assert shelf.read_bytes - before < record.total_bytes / 2


def test_the_directory_is_in_the_index(made):
    part = opened(made)
    chosen = choose_rows(part.reader, Selection(), Selection().chunks(part.reader.directory))
    assert [(ordinal, rows) for ordinal, rows in chosen] == [(0, None), (1, None), (2, None)]
    assert part.reader.contig(0) == "22"


@pytest.mark.parametrize("name", ["1", "chr1", "chrY"])
def test_bins_of_a_track_are_read_alone(made, name):
    wanted = opened(made).bins(name, [0, 1, 2, 3, 9])
    assert sorted(wanted) == [0, 1, 2, 3]
    track = CallableTrack.decode(wanted)
    assert (track.start.tolist(), track.end.tolist()) == (TRACK.start.tolist(), TRACK.end.tolist())
    assert sorted(opened(made).bins(name, [2])) == [2]
    assert opened(made).bins("2", [0]) == {}


def test_nobody_elses_key_and_no_other_place_opens_it(made):
    elsewhere = replace(OWNER, part_id=b"q" * 16)
    for part in (
        opened(made, key=bytes(32)),
        opened(made, owner=elsewhere),
        opened(made, owner=replace(OWNER, dataset_id=b"e" * 16)),
    ):
        assert integrity_code(lambda part=part: part.index) in ("commitment_mismatch", "blob_key_mismatch")


def test_an_object_that_was_edited_anywhere_is_an_error(made):
    shelf, record, *_ = made
    whole = shelf.objects[record.object]
    for at in range(0, len(whole), max(1, len(whole) // 60)):
        shelf.objects[record.object] = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        try:
            with pytest.raises(IntegrityError):
                read_everything(opened(made))
        finally:
            shelf.objects[record.object] = whole


def test_a_file_without_variants_is_a_part_of_tracks_alone():
    shelf = Shelf()
    record = write_personal(OWNER, KEY, iter(()), put=shelf.put, random=os.urandom, tracks={"1": TRACK.encode()})
    part = PersonalPart(OWNER, record, KEY, get_range=shelf.get_range)
    assert (record.n_sites, len(part.index.directory), sorted(part.bins("1", range(9)))) == (0, 0, [0, 1, 2, 3])


pieces = st.builds(Piece, st.integers(0, 1000), st.integers(0, 1000))
containers = st.builds(
    ContainerAt,
    pieces.map(lambda p: Piece(p.at, p.size + 100)),
    st.integers(0, 100),
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=8, max_size=8),
)
tracks = st.lists(
    st.builds(TrackAt, st.text("ab中", min_size=1, max_size=5), st.integers(0, 90), st.integers(1, 90), containers),
    unique_by=lambda track: track.contig,
    max_size=4,
)


@st.composite
def indexes(draw) -> PersonalIndex:
    chunks = tuple(draw(st.lists(st.builds(ChunkAt, pieces, containers), max_size=4)))
    rows = [(0, 10 * at + 1, 10 * at + 5, 10 * at + 9, 3) for at in range(len(chunks))]
    return PersonalIndex(PartDirectory.from_rows(("1",), rows), chunks, tuple(draw(tracks)))


@given(indexes())
def test_an_index_is_read_as_it_was_written(index):
    found = PersonalIndex.from_bytes(index.to_bytes(), size=3000)
    assert (found.chunks, found.tracks) == (index.chunks, index.tracks)
    assert found.directory.first.tolist() == index.directory.first.tolist()


@given(indexes(), st.data())
def test_an_altered_index_is_refused_or_an_index(index, data):
    raw = bytearray(index.to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(raw), len(raw) - 1, len(raw) // 2]))
    try:
        found = PersonalIndex.from_bytes(bytes(raw[:cut]), size=3000)
    except IntegrityError as error:
        assert error.code == "site_table_malformed"
    else:
        assert all(piece.at + piece.size <= 3000 for chunk in found.chunks for piece in (chunk.table, chunk.blocks.place))
