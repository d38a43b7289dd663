from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from policies.loci import Interval
from tests.vault.genotypes.chunks import (
    MIXES,
    integrity_code,
    mixed_codes,
    packed_rows,
    random_escapes,
    same_escapes,
    simple_sites,
    take_escapes,
)
from vault.crypto.envelope import open_blob
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, UsageError
from vault.genotypes.codec.call_codes import Escapes
from vault.genotypes.ingest.chunking import chunks_of, slice_escapes
from vault.genotypes.ingest.source import SiteBatch
from vault.genotypes.sites import Sites
from vault.genotypes.store.block_access import BlockAccess
from vault.genotypes.store.part_counts import PartCarriers
from vault.genotypes.store.part_reader import PartReader
from vault.genotypes.store.part_records import Owner, Place
from vault.genotypes.store.part_writer import PartWriter
from vault.genotypes.store.selections import Selection, choose_rows

CHUNK = 50


class Shelf:
    """Objects and keys in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.keys: dict[bytes, Secret] = {}
        self.read_bytes = 0

    def put(self, name: str, data: bytes) -> None:
        assert name not in self.objects
        self.objects[name] = data

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        data = self.objects[name][offset : offset + length]
        self.read_bytes += len(data)
        return data

    def new_table_key(self):
        key_id = os.urandom(16)
        self.keys[key_id] = Secret(os.urandom(32))
        return key_id, self.keys[key_id]


def make_places(n: int, group_size: int = 7) -> list[Place]:
    rng = np.random.default_rng(n)
    order = rng.permutation(n).tolist()
    return [Place(p // group_size, p % group_size, os.urandom(32)) for p in order]


def batches_of(sites: Sites, codes, escapes: Escapes, size: int):
    for a in range(0, len(sites), size):
        b = min(len(sites), a + size)
        yield SiteBatch(sites.take(np.arange(a, b)), packed_rows(codes[a:b]), slice_escapes(escapes, a, b))


def chunks(sites: Sites, codes, escapes: Escapes, size: int):
    return chunks_of(batches_of(sites, codes, escapes, size), codes.shape[1], chunk_sites=CHUNK)


class Part:
    """A part written from one matrix, and a reader for it."""

    def __init__(self, sites, codes, escapes, *, batch=30, pool=None) -> None:
        self.shelf = Shelf()
        self.sites, self.codes, self.escapes = sites, codes, escapes
        self.places = make_places(codes.shape[1])
        self.owner = Owner(os.urandom(16), os.urandom(16), os.urandom(16))
        with PartWriter(
            self.owner,
            self.places,
            put=self.shelf.put,
            new_table_key=self.shelf.new_table_key,
            random=os.urandom,
        ) as writer:
            self.chunks = list(writer.write(chunks(sites, codes, escapes, batch)))
            self.record = writer.finish()
        self.reader = self.open(pool=pool)

    def open(self, *, owner=None, chunks=None, pool=None) -> PartReader:
        return PartReader(
            owner or self.owner,
            self.record,
            chunks or self.chunks,
            get_range=self.shelf.get_range,
            table_key=self.shelf.keys.__getitem__,
            pool=pool,
        )

    def access(self, n: int | None = None) -> BlockAccess:
        return access_of(self.places[:n])


def access_of(places: Sequence[Place]) -> BlockAccess:
    return BlockAccess.from_places([(p.group, p.slot) for p in places], [p.block_key for p in places])


def make_part(kind="missing", m=2 * CHUNK + 13, n=20, **options) -> Part:
    rng = np.random.default_rng(12)
    codes = mixed_codes(kind, rng, m, n)
    return Part(simple_sites(m), codes, random_escapes(codes, rng), **options)


@pytest.mark.parametrize("kind", MIXES)
@pytest.mark.parametrize("batch", [1, 30, 50, 500])
def test_a_part_comes_back_whole(kind, batch):
    part = make_part(kind, batch=batch)
    sites, codes, escapes = part.reader.read(range(3), None, part.access())
    assert np.array_equal(codes, part.codes)
    assert same_escapes(escapes, part.escapes)
    assert np.array_equal(sites.pos, part.sites.pos)
    assert sites.alleles.items() == part.sites.alleles.items()
    assert [c.n_sites for c in part.chunks] == [50, 50, 13]
    assert (part.record.n_chunks, part.record.n_sites, part.record.n_subjects) == (3, 113, 20)
    assert part.record.total_bytes == sum(map(len, part.shelf.objects.values()))


def chosen_of(part, region):
    selection = Selection(regions=(region,))
    return choose_rows(part.reader, selection, selection.chunks(part.reader.directory))


@pytest.mark.parametrize("threads", [0, 2])
def test_regions_and_chosen_people(threads):
    with ThreadPoolExecutor(2) as pool:
        part = make_part("escapes", pool=pool if threads else None)
        first, last = int(part.sites.pos[45]), int(part.sites.pos[104])
        found = chosen_of(part, Interval.from_positions("22", first, last))
        assert [c for c, _ in found] == [0, 1, 2]
        columns = [19, 3, 7, 0]
        sites, codes, escapes = part.reader.read(
            [c for c, _ in found], [r for _, r in found], access_of([part.places[c] for c in columns])
        )
    rows = np.arange(45, 105)
    assert np.array_equal(codes, part.codes[np.ix_(rows, columns)])
    assert same_escapes(escapes, take_escapes(part.codes, part.escapes, rows, np.array(columns)))
    assert np.array_equal(sites.pos, part.sites.pos[rows])


def test_a_second_read_of_one_subject_costs_one_block_a_chunk():
    part = make_part()
    part.reader.read([0, 1, 2], None, part.access(1))
    part.shelf.read_bytes = 0
    _, codes, _ = part.reader.read([0, 1, 2], None, part.access(1))
    assert np.array_equal(codes, part.codes[:, :1])
    assert part.shelf.read_bytes < 400


def test_several_contigs_cut_chunks():
    sites = Sites.concat([simple_sites(70, contig="1"), simple_sites(20, contig="chrX"), simple_sites(60, contig="2")])
    codes = mixed_codes("linked", np.random.default_rng(1), 150, 20)
    part = Part(sites, codes, Escapes.empty())
    assert [c.n_sites for c in part.chunks] == [50, 20, 20, 50, 10]
    assert part.reader.directory.contigs == ("1", "chrX", "2")
    back, read, _ = part.reader.read(range(5), None, part.access())
    assert np.array_equal(read, codes)
    assert [back.contigs[i] for i in back.contig] == [sites.contigs[i] for i in sites.contig]


def test_a_part_without_sites_is_an_empty_directory():
    part = Part(simple_sites(0), np.zeros((0, 20), np.uint8), Escapes.empty())
    assert part.chunks == []
    assert len(part.reader.directory) == 0
    assert chosen_of(part, Interval.from_positions("22", 1, 10**9)) == []


def test_nothing_readable_lies_in_the_objects():
    part = make_part("linked")
    names = " ".join(part.shelf.objects)
    assert "22" not in {piece for name in part.shelf.objects for piece in name.split("/")}
    assert part.owner.vault_id.hex() not in names
    for data in part.shelf.objects.values():
        assert b"A,G" not in data
        assert b"PASS" not in data


def test_an_owner_that_says_something_else_opens_nothing():
    part = make_part()
    for field in ("vault_id", "dataset_id", "part_id"):
        other = part.open(owner=replace(part.owner, **{field: bytes(16)}))
        with pytest.raises(IntegrityError):
            _ = other.directory
        with pytest.raises(IntegrityError):
            other.sites(0)


def test_blocks_of_another_owner_are_refused_though_their_tables_open():
    part = make_part()
    other = [replace(c, containers=tuple(replace(r, part_id=bytes(16)) for r in c.containers)) for c in part.chunks]
    with pytest.raises(IntegrityError) as broken:
        part.open(chunks=other).read([0], None, part.access())
    assert broken.value.code == "block_broken"


def test_site_tables_and_containers_of_other_chunks_are_noticed():
    part = make_part()
    zero, one = part.chunks[0], part.chunks[1]
    swapped = [
        replace(zero, table_name=one.table_name, table_bytes=one.table_bytes, table_key_id=one.table_key_id),
        *part.chunks[1:],
    ]
    with pytest.raises(IntegrityError):
        part.open(chunks=swapped).sites(0)
    swapped = [replace(zero, containers=one.containers, container_names=one.container_names), *part.chunks[1:]]
    reader = part.open(chunks=swapped)
    with pytest.raises(IntegrityError) as broken:
        reader.read([0], None, part.access())
    assert broken.value.code == "block_broken"


def counts_of(part: Part) -> PartCarriers:
    record = part.record.counts
    binding = part.owner.counts_binding(record.key_id)
    return PartCarriers.from_bytes(open_blob(part.shelf.keys[record.key_id], binding, part.shelf.objects[record.name]))


def test_the_writer_counts_carriers_as_a_reader_does():
    part = make_part()
    found = counts_of(part)
    assert [found.chunk(at).to_bytes() for at in range(len(found))] == [
        part.reader.count_carriers(at, part.access(), listed=False).to_bytes() for at in range(len(part.chunks))
    ]


def test_every_object_cut_short_is_noticed():
    part = make_part()
    for name, data in list(part.shelf.objects.items()):
        part.shelf.objects[name] = data[:-1]
        reader = part.open()
        assert integrity_code(
            lambda reader=reader: (counts_of(part), reader.directory, reader.read([0, 1, 2], None, part.access()))
        )
        part.shelf.objects[name] = data


def test_an_error_while_reading_the_file_stops_the_writer():
    shelf = Shelf()
    codes = mixed_codes("linked", np.random.default_rng(1), 120, 20)

    def broken():
        yield from chunks(simple_sites(120), codes, Escapes.empty(), 60)
        raise OSError("the disk is gone")

    owner = Owner(os.urandom(16), os.urandom(16), os.urandom(16))
    with (
        pytest.raises(OSError, match="gone"),
        PartWriter(owner, make_places(20), put=shelf.put, new_table_key=shelf.new_table_key, random=os.urandom) as writer,
    ):
        list(writer.write(broken()))
    with pytest.raises(UsageError) as refused:
        writer.finish()
    assert refused.value.code == "part_unfinished"


def test_an_error_of_the_store_reaches_the_caller():
    def full(name, data):
        raise OSError("no space left")

    codes = mixed_codes("linked", np.random.default_rng(1), 400, 20)
    owner = Owner(os.urandom(16), os.urandom(16), os.urandom(16))
    with (
        pytest.raises(OSError, match="no space"),
        PartWriter(owner, make_places(20), put=full, new_table_key=Shelf().new_table_key, random=os.urandom) as writer,
    ):
        list(writer.write(chunks(simple_sites(400), codes, Escapes.empty(), 10)))


@pytest.mark.parametrize(
    "sites",
    [
        Sites.concat([simple_sites(3, contig="1"), simple_sites(3, contig="2"), simple_sites(3, contig="1", first=5000)]),
        Sites.concat([simple_sites(3, first=5000), simple_sites(6)]),
    ],
)
def test_files_out_of_order_are_refused(sites):
    with pytest.raises(UsageError) as refused:
        Part(sites, np.full((9, 20), 133, np.uint8), Escapes.empty(), batch=2)
    assert refused.value.code == "part_order"


@pytest.mark.parametrize("places", [[], [(0, 1)], [(1, 0)], [(0, 0), (0, 0)], [(0, 0), (0, 2)]])
def test_places_must_fill_groups(places):
    with pytest.raises(UsageError) as refused:
        PartWriter(
            Owner(b"", b"", b""),
            [Place(g, s, bytes(32)) for g, s in places],
            put=Shelf().put,
            new_table_key=Shelf().new_table_key,
            random=os.urandom,
        )
    assert refused.value.code == "part_places"


def test_chunks_of_other_people_are_refused():
    codes = mixed_codes("linked", np.random.default_rng(1), 5, 3)
    shelf = Shelf()
    with (
        pytest.raises(UsageError) as refused,
        PartWriter(
            Owner(b"", b"", b""),
            make_places(2),
            put=shelf.put,
            new_table_key=shelf.new_table_key,
            random=os.urandom,
        ) as writer,
    ):
        list(writer.write(chunks(simple_sites(5), codes, Escapes.empty(), 5)))
    assert refused.value.code == "part_places"


def test_a_place_does_not_show_its_key():
    assert "key" not in repr(Place(0, 1, b"secret-secret-secret-secret-secr"))
