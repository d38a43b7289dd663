"""The Parquet writer, read back by pyarrow, polars and duckdb."""

from __future__ import annotations

import io
import re
import warnings

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.gt_text import calls_of, sites_of, texts_of
from tests.support.outside import extra
from tests.support.views import InPages, allele_counts
from vault.errors import InputError
from vault.extracts import parquet, parquet_sites
from vault.extracts.parquet import write_long, write_samples, write_wide
from vault.extracts.parquet_file import delta_chunk, delta_packed
from vault.views.view import View

duckdb, polars = extra("duckdb"), extra("polars")


def view_of(records, rows, n, **columns) -> View:
    codes, escapes = calls_of(rows, n)
    return View(tuple(f"demo1{i}" for i in range(n)), sites_of(records, **columns), codes, escapes, "GRCh38")


class ForwardOnly(io.RawIOBase):
    def __init__(self):
        self.data = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.data += data
        return len(bytes(data))


def save(view, folder, size=1 << 30, *, first_site=0):
    files = [ForwardOnly() for _ in range(3)]
    write_long(InPages(view, size), *files[:2], first_site=first_site)
    write_samples(view.pseudonyms, files[2])
    paths = [folder / f"{name}.parquet" for name in ("sites", "calls", "samples")]
    for path, file in zip(paths, files, strict=True):
        path.write_bytes(file.data)
    return paths


def readings(path):
    """The rows of a file as each program reads them, as tuples."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = pq.read_table(path)
        table.validate(full=True)
        yield "pyarrow", list(zip(*(column.to_pylist() for column in table.columns), strict=True))
        yield "polars", polars.read_parquet(path).rows()
        yield "duckdb", duckdb.connect().execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall()


def row_of(text):
    """a1, a2, ploidy and phased of a GT text."""
    alleles = [None if a == "." else int(a) for a in re.split(r"[/|]", text)]
    return (*[*alleles, None][:2], len(alleles), "|" in text)


@st.composite
def odd_views(draw):
    n = draw(st.integers(1, 9))
    records, rows, filters, ids, info = [], [], [], [], []
    for i in range(draw(st.integers(1, 25))):
        alts = draw(st.sampled_from([0, 1, 1, 1, 2, 3, 12, 200]))
        records.append((f"chr{7 + i // 9}", 100 + 10 * i, ",".join(["A", *("A" * k + "C" for k in range(1, alts + 1))])))
        allele = st.one_of(st.just("."), st.integers(0, alts).map(str), st.integers(0, alts).map(str))
        call = st.one_of(st.none(), allele, st.builds("{}{}{}".format, allele, st.sampled_from("/|"), allele))
        rows.append(draw(st.lists(call, min_size=n, max_size=n)))
        filters.append(draw(st.sampled_from(["PASS", ".", "not_passed", "q10;s50"])))
        ids.append(draw(st.sampled_from([".", f"rs{i}"])))
        info.append(draw(st.sampled_from(["", "END=700;SVTYPE=DEL"])))
    return view_of(records, rows, n, filters=filters, ids=ids, info=info)


@settings(max_examples=25, deadline=None)
@given(odd_views(), st.integers(1, 30), st.integers(1, 40), st.integers(1, 12))
def test_every_reader_finds_the_calls_and_sites_of_the_view(tmp_path_factory, view, size, group_calls, group_sites):
    folder = tmp_path_factory.mktemp("parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "GROUP_CALLS", group_calls)
        patch.setattr(parquet_sites, "GROUP_SITES", group_sites)
        sites, calls, samples = save(view, folder, size)
    n = len(view.pseudonyms)
    wanted = [(i, j, *row_of(text)) for i, row in enumerate(texts_of(view.codes, view.escapes)) for j, text in enumerate(row)]
    counts = allele_counts(view)
    places = []
    for i, (filters, name, told) in enumerate(
        zip(view.sites.filters.items(), view.sites.ids.items(), view.sites.info.items(), strict=True)
    ):
        ref, *alts = view.sites.alleles[i].decode().split(",")
        a, b = counts.offsets[i : i + 2].tolist()
        places.append(
            (
                i,
                view.sites.contigs[view.sites.contig[i]],
                int(view.sites.pos[i]),
                None if name == b"." else name.decode(),
                ref,
                alts,
                [] if filters == b"." else filters.decode().split(";"),
                counts.counts[a + 1 : b].tolist(),
                int(counts.an[i]),
                told.decode() or None,
            )
        )
    for program, rows in readings(calls):
        assert rows == wanted, program
    for program, rows in readings(sites):
        assert rows == places, program
    for program, rows in readings(samples):
        assert rows == [(j, view.pseudonyms[j]) for j in range(n)], program


def test_types_are_those_of_the_page(tmp_path):
    sites, calls, samples = save(view_of([("chr1", 5, "A,C")], [["0|1", "1"]], 2), tmp_path)
    types = {field.name: str(field.type) for path in (sites, calls, samples) for field in pq.read_schema(path)}
    numbers = {"site": "uint32", "column": "uint32", "pos": "uint32", "an": "uint32", "ac": "list<element: uint32 not null>"}
    texts = dict.fromkeys(("contig", "id", "ref", "info", "sample"), "string")
    texts |= dict.fromkeys(("alts", "filters"), "list<element: string not null>")
    assert types == {**numbers, **texts, "a1": "int16", "a2": "int16", "ploidy": "uint8", "phased": "bool"}


def test_a_range_of_sites_is_found_without_reading_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP_CALLS", 20)
    view = view_of([("chr1", 5 + i, "A,C") for i in range(100)], [["0|1", "1|1"]] * 100, 2)
    _, calls, _ = save(view, tmp_path, first_site=1_000)
    told = [pq.ParquetFile(calls).metadata.row_group(g).column(0).statistics for g in range(10)]
    assert [(found.min, found.max) for found in told] == [(1_000 + 10 * g, 1_009 + 10 * g) for g in range(10)]
    assert pq.read_table(calls, filters=[("site", ">=", 1_095)]).num_rows == 10


def test_a_table_of_a_million_calls_is_what_was_written(tmp_path):
    m, n = 3_000, 701
    rng = np.random.default_rng(4)
    codes = rng.choice(np.array([0, 12, 13, 24, 133, 134, 145, 243, 244, 255], np.uint8), (m, n))
    sites = sites_of([("chr1", 5 + i, "A,C") for i in range(m)])
    view = View(tuple(f"demo1{i}" for i in range(n)), sites, codes, calls_of([], n)[1], "GRCh38")
    _, calls, _ = save(view, tmp_path, 1_100)
    table = pq.read_table(calls)
    assert (table["site"].to_numpy() == np.repeat(np.arange(m), n)).all()
    assert (table["column"].to_numpy() == np.tile(np.arange(n), m)).all()
    first = table["a1"].to_numpy()
    wanted = view.genotypes.reshape(-1, 2)
    assert (np.nan_to_num(first, nan=-1) == wanted[:, 0]).all()
    assert (np.nan_to_num(table["a2"].to_numpy(), nan=-1) == np.maximum(wanted[:, 1], -1)).all()
    assert (table["ploidy"].to_numpy() == np.where(wanted[:, 1] == -2, 1, 2)).all()
    assert (table["phased"].to_numpy() == view.phased.reshape(-1)).all()
    asked = 'SELECT count(*), sum(a1), sum(a2), sum(site::HUGEINT * "column") FROM read_parquet(?)'
    again = duckdb.connect().execute(asked, [str(calls)])
    columns = table["site"].to_numpy().astype(object), table["column"].to_numpy()
    assert again.fetchone() == (
        m * n,
        int(np.nansum(first)),
        int((wanted == 1)[:, 1].sum()),
        int((columns[0] * columns[1]).sum()),
    )


@given(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=700))
@settings(max_examples=40, deadline=None)
def test_differences_of_any_numbers_are_read_back(values):
    out = io.BytesIO()
    column = parquet.ParquetColumn("x", parquet.INT32)
    file = parquet.ParquetFile(out, [column])
    file.put(column, delta_chunk(delta_packed(np.array(values, np.int64)), len(values)))
    file.end_group(len(values))
    file.close()
    assert pq.read_table(io.BytesIO(out.getvalue()))["x"].to_pylist() == values


def test_a_wide_table_has_a_row_for_each_sample(tmp_path):
    records = [("chr1", 5, "A,C"), ("chr1", 9, "T"), ("chr2", 9, ",".join(["A", *("A" * k + "C" for k in range(1, 13))]))]
    rows = [["0|1", None, "./1"], ["0/0", "0", "."], ["12|3", "0/0/11", "0/1"]]
    view = view_of(records, rows, 3)
    sites, calls = ForwardOnly(), ForwardOnly()
    write_wide(InPages(view, 2), sites, calls, n_sites=3)
    path = tmp_path / "wide.parquet"
    path.write_bytes(calls.data)
    assert pq.read_schema(path).names == ["sample", "0:chr1:5", "1:chr1:9", "2:chr2:9"]
    texts = texts_of(view.codes, view.escapes)
    for program, found in readings(path):
        assert found == [(view.pseudonyms[j], *(texts[i][j] for i in range(3))) for j in range(3)], program
    assert pq.read_table(io.BytesIO(sites.data)).num_rows == 3


def test_more_sites_than_columns_are_refused(monkeypatch):
    monkeypatch.setattr(parquet, "MAX_WIDE_SITES", 1)
    view = view_of([("chr1", 5, "A,C"), ("chr1", 6, "A,C")], [["0/1"], ["0/1"]], 1)
    with pytest.raises(InputError) as caught:
        write_wide(InPages(view), ForwardOnly(), ForwardOnly(), n_sites=2)
    assert caught.value.code == "parquet_too_wide"


def test_a_call_of_three_copies_is_refused_in_the_long_table(tmp_path):
    with pytest.raises(InputError) as caught:
        save(view_of([("chr1", 5, "A,C")], [["0/0/1", "0/0"]], 2), tmp_path)
    assert caught.value.code == "parquet_ploidy"
