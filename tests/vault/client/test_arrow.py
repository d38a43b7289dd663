"""Genotypes as Arrow streams: what the server writes is what the client reads, any library reads it, and a bomb is no answer."""

from __future__ import annotations

import io
import struct

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.vcf_text import vcf
from tests.support.views import view_of
from vault.client.arrow_reading import read_genotypes, read_sites
from vault.client.panel_genotypes import PanelGenotypes, call_texts
from vault.errors import UnavailableError
from vault.server.panels import arrow_answers

CALLS = ("0/0", "0/1", "1|1", "./.", ".", "0", "1", "0/.", "2|10", "0/0/1", "0|1|2|3", "./././.", "130/0", ".|1")


def stream(view, **said):
    return b"".join(arrow_answers.genotype_stream(view, said))


def some_view(calls=("0/1", "1|0", "./.", "1", "0/0/1", "11/2")):
    samples = " ".join(f"p{at}" for at in range(len(calls)))
    return view_of(vcf(samples, f"22 100 A G,T {' '.join(calls)}", f"22 200 C T {' '.join(reversed(calls))}"))


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(1, 5), st.integers(1, 4), st.integers(1, 40))
def test_what_is_written_is_what_is_read(data, people, sites, batch):
    calls = data.draw(
        st.lists(st.lists(st.sampled_from(CALLS), min_size=people, max_size=people), min_size=sites, max_size=sites)
    )
    alts = ",".join(["G"] * 131)
    view = view_of(
        vcf(" ".join(f"p{at}" for at in range(people)), *(f"1 {at + 1} A {alts} {' '.join(row)}" for at, row in enumerate(calls)))
    )
    before, arrow_answers.BATCH_BYTES = arrow_answers.BATCH_BYTES, batch
    try:
        read = read_genotypes(stream(view))
    finally:
        arrow_answers.BATCH_BYTES = before
    assert read.pseudonyms == view.pseudonyms
    held = view.genotypes
    assert np.array_equal(read.alleles.transpose(1, 0, 2)[:, :, : held.shape[2]], held)
    assert np.array_equal(read.phased.T, view.phased)
    for at, name in enumerate(view.pseudonyms):
        assert call_texts(read.alleles[at], read.phased[at]) == view.calls_of(name)


def test_any_library_reads_it():
    body = stream(some_view(), sites_id="x")
    table = pa.ipc.open_stream(body).read_all()
    assert table.schema.metadata[b"genovault.format"] == b"genotypes/1"
    assert table.schema.metadata[b"genovault.ploidy"] == b"3"
    frame = pl.read_ipc_stream(io.BytesIO(body))
    assert frame["pseudonym"].to_list() == [f"p{at}" for at in range(6)]
    read = read_genotypes(body)
    assert frame["alleles"].to_list() == read.alleles.reshape(6, -1).tolist() == table["alleles"].to_pylist()
    assert frame["phased"].to_list() == read.phased.tolist()


@pytest.mark.parametrize("calls", [(), ("0/1",)])
def test_nobody_and_no_site_are_streams_too(calls):
    view = view_of(vcf(" ".join(f"p{at}" for at in range(len(calls))), *([f"1 5 A G {' '.join(calls)}"] if not calls else [])))
    read = read_genotypes(stream(view))
    assert len(read.pseudonyms) == len(calls)
    assert read.alleles.shape[:2] == (len(calls), len(view.sites))


def test_a_site_table_comes_back_whole():
    view = view_of(vcf("p", "22 100 A G,T 0/0", "X 200 C . 0/0", "22 7 T <DEL> 0/1"))
    sites = read_sites(arrow_answers.site_stream(view.sites, "GRCh38"))
    for column in ("alleles", "ids", "filters", "info"):
        assert getattr(sites, column).items() == getattr(view.sites, column).items()
    assert [sites.contigs[one] for one in sites.contig] == ["22", "X", "22"]
    assert sites.pos.tolist() == [100, 200, 7]


def test_a_data_frame_has_the_columns_of_a_view_s():
    view = some_view(("0/1", "1|0"))
    read = read_genotypes(stream(view))
    given_ = PanelGenotypes(read.pseudonyms, view.sites, read.alleles, read.phased, "GRCh38", (), "", 1)
    assert given_.to_polars().equals(view.to_polars())
    assert given_.to_pandas().equals(view.to_pandas())
    assert np.array_equal(given_.genotypes, view.genotypes)
    assert np.array_equal(given_.phased, view.phased)
    assert "0/1" not in repr(given_)


def compressed(view):
    sink = io.BytesIO()
    table = pa.ipc.open_stream(stream(view)).read_all()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return sink.getvalue()


def dictionary():
    sink = io.BytesIO()
    table = pa.table({"pseudonym": pa.array(["a", "a"]).dictionary_encode()})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def longer(body, *, by):
    """The stream with the number of rows of its batch raised, which no buffer bears out."""
    length = struct.pack("<q", 6)
    at = body.rindex(length + struct.pack("<q", 0)) if body.count(length + struct.pack("<q", 0)) else body.rindex(length)
    return body[:at] + struct.pack("<q", 6 + by) + body[at + 8 :]


BOMBS = {
    "compressed": lambda: compressed(some_view()),
    "dictionary": dictionary,
    "more rows than there are": lambda: longer(stream(some_view()), by=1 << 40),
    "cut": lambda: stream(some_view())[:-20],
    "without its end": lambda: stream(some_view())[:-8],
    "with a tail": lambda: stream(some_view()) + b"x",
    "a head that claims 2 GiB": lambda: struct.pack("<Ii", 0xFFFFFFFF, 0x7FFFFFF8) + b"x" * 64,
    "a negative head": lambda: struct.pack("<Ii", 0xFFFFFFFF, -8),
    "nothing": lambda: b"",
    "json": lambda: b'{"calls": {}}',
    "another table": lambda: arrow_answers.site_stream(some_view().sites, "GRCh38"),
    "sites that do not fit": lambda: stream(some_view(), sites="1000000"),
    "a ploidy of thousands": lambda: stream(some_view(), ploidy="9999"),
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_stream_that_is_none_is_no_answer(what):
    body = BOMBS[what]()
    with pytest.raises(UnavailableError) as caught:
        read_genotypes(body)
    assert caught.value.code == "answer_malformed"


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_whatever_is_changed_in_a_stream_it_is_read_or_refused(data):
    body = bytearray(stream(some_view()))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = read_genotypes(bytes(body))
    except UnavailableError as error:
        assert error.code == "answer_malformed"
    else:
        assert read.alleles.shape[:2] == read.phased.shape
