from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.loci import Interval
from tests.vault.genotypes.chunks import integrity_code, simple_sites
from vault.errors import IntegrityError, UsageError
from vault.genotypes.loci import overlapping_rows
from vault.genotypes.sites import Sites, TextColumn, site_ends
from vault.genotypes.store.site_tables import PartDirectory, SiteTable, find_chunks, find_contig
from vault.limits import MAX_POSITION

span = Interval.from_positions


def sites_of(pos, alleles, *, contig="chr1", info=None):
    m = len(pos)
    return Sites(
        (contig,),
        np.zeros(m, np.int32),
        np.array(pos, np.int64),
        TextColumn.from_items(alleles),
        TextColumn.from_items([b"rs%d" % p for p in pos]),
        TextColumn.from_items([b"PASS"] * m),
        TextColumn.from_items(info or [b""] * m),
    )


def same_sites(a: Sites, b: Sites) -> bool:
    texts = all(
        x.items() == y.items()
        for x, y in zip((a.alleles, a.ids, a.filters, a.info), (b.alleles, b.ids, b.filters, b.info), strict=True)
    )
    names = [a.contigs[i] for i in a.contig] == [b.contigs[i] for i in b.contig]
    return texts and names and np.array_equal(a.pos, b.pos)


texts = st.binary(max_size=300)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, MAX_POSITION), texts, texts, texts, texts), min_size=1, max_size=30),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
    st.binary(max_size=50),
)
def test_a_table_comes_back_whole(rows, contig, coding):
    rows.sort(key=lambda r: r[0])
    columns = [TextColumn.from_items([r[i] for r in rows]) for i in range(1, 5)]
    sites = Sites((contig,), np.zeros(len(rows), np.int32), np.array([r[0] for r in rows], np.int64), *columns)
    back = SiteTable.from_bytes(SiteTable(sites, coding).to_bytes())
    assert same_sites(back.sites, sites)
    assert back.coding == coding


@given(
    st.lists(st.tuples(st.sampled_from(["1", "chr2", "X", "é"]), st.integers(0, MAX_POSITION), texts), min_size=1, max_size=20)
)
def test_a_table_of_several_contigs_comes_back_whole(rows):
    rows.sort(key=lambda r: r[:2])
    sites = Sites.concat([sites_of([pos], [text], contig=contig) for contig, pos, text in rows])
    raw = SiteTable(sites, b"coding").to_bytes()
    back = SiteTable.from_bytes(raw)
    assert raw[0] == (2 if len({r[0] for r in rows}) > 1 else 1)
    assert same_sites(back.sites, sites)
    assert back.coding == b"coding"


def several() -> bytes:
    return SiteTable(Sites.concat([sites_of([7, 9], [b"A,T"] * 2, contig=c) for c in ("1", "2", "X")]), b"coding").to_bytes()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_altered_tables_of_several_contigs_are_refused_or_tables(data):
    raw = bytearray(several())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert integrity_code(lambda: SiteTable.from_bytes(bytes(raw))) in {None, "site_table_malformed"}


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b"\x02\0\0\0\x01\0" + b"X", b"\x03\0\0\0\x01\0" + b"X"),  # more sites than the table has
        lambda raw: raw.replace(b"\x01\0" + b"2", b"\x01\0" + b"1"),  # one name twice
        lambda raw: raw.replace(b"\x01\0" + b"X", b"\x02\0" + b"X"),  # a name that runs on
    ],
)
def test_runs_that_do_not_fit_are_refused(change):
    raw = several()
    assert change(raw) != raw
    assert integrity_code(lambda: SiteTable.from_bytes(change(raw))) == "site_table_malformed"


def test_long_alleles_survive():
    sites = sites_of([5, 6, 7], [b"A" * 254 + b",T", b"C" * 255 + b",G", b"G" * 100_000 + b",<DEL>"])
    assert same_sites(SiteTable.from_bytes(SiteTable(sites, b"").to_bytes()).sites, sites)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_altered_tables_are_refused_or_tables(data):
    raw = bytearray(SiteTable(simple_sites(20), b"coding").to_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw))) :]
    assert integrity_code(lambda: SiteTable.from_bytes(bytes(raw))) in {None, "site_table_malformed"}


@given(st.binary(max_size=200))
def test_noise_is_refused(raw):
    for parse in (SiteTable.from_bytes, PartDirectory.from_bytes):
        with pytest.raises(IntegrityError) as refused:
            parse(raw)
        assert refused.value.code == "site_table_malformed"


@pytest.mark.parametrize(
    "sites",
    [
        sites_of([], []),
        sites_of([5, 4], [b"A,T"] * 2),
        sites_of([MAX_POSITION + 1], [b"A,T"]),
        Sites.concat([sites_of([p], [b"A,T"], contig=c) for p, c in [(1, "chr1"), (2, "chr2"), (3, "chr1")]]),
    ],
)
def test_a_table_without_order_is_refused(sites):
    with pytest.raises(UsageError) as refused:
        SiteTable(sites, b"").to_bytes()
    assert refused.value.code == "site_table_shape"


def directory() -> PartDirectory:
    return PartDirectory.from_rows(("1", "chr2"), [(0, 100, 200, 450, 10), (0, 200, 300, 300, 7), (1, 5, 5, 5, 1)])


def test_a_directory_comes_back_whole():
    back = PartDirectory.from_bytes(directory().to_bytes())
    assert back.contigs == ("1", "chr2")
    assert back.end.tolist() == [450, 300, 5]
    assert back.n_sites.tolist() == [10, 7, 1]


def test_an_empty_directory_comes_back():
    assert len(PartDirectory.from_bytes(PartDirectory.from_rows((), []).to_bytes())) == 0


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_altered_directories_are_refused_or_directories(data):
    raw = bytearray(directory().to_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert integrity_code(lambda: PartDirectory.from_bytes(bytes(raw))) in {None, "site_table_malformed"}


@pytest.mark.parametrize(
    ("regions", "chunks"),
    [
        ([span("1", 1, 99)], []),
        ([span("1", 100, 100)], [0]),
        ([span("1", 200, 200)], [0, 1]),
        ([span("1", 301, 450)], [0]),
        ([span("1", 451, 10_000)], []),
        ([span("chr2", 5, 5), span("1", 1, 99)], [2]),
        ([span("2", 5, 5)], []),
        ([], []),
    ],
)
def test_chunks_of_regions(regions, chunks):
    assert find_chunks(directory(), regions) == chunks


def test_rows_of_regions_overlap_by_ref_length():
    sites = sites_of([10, 20, 30], [b"A,T", b"ACGTACGTACGT,A", b"C,G"])
    ends = site_ends(sites)
    assert overlapping_rows(sites, ends, [span("chr1", 31, 31), span("chr1", 10, 11)]).tolist() == [0, 1]
    assert overlapping_rows(sites, ends, [span("chr1", 11, 19)]).tolist() == []
    assert overlapping_rows(sites, ends, [span("2", 1, 100)]).tolist() == []


def test_contigs_are_found_with_and_without_prefix():
    assert find_contig(("chr1", "chrM"), "1") == "chr1"
    assert find_contig(("1", "MT"), "chrM") == "MT"
    assert find_contig(("1", "chr1"), "chr1") == "chr1"
    assert find_contig(("1",), "2") is None
