from __future__ import annotations

import gzip
import subprocess
import sys

import numpy as np
import pytest

from tests.support.outside import extra, tool
from tests.support.vcf_reading import batch_rows, our_rows, vcf_text
from vault.errors import InputError, UnavailableError
from vault.genotypes.ingest.gzip_streams import BGZF_EOF
from vault.genotypes.ingest.open_source import open_source
from vault.genotypes.ingest.source import reorder

LINES = [
    "1 5 rs1 A C . PASS . GT 0/1 1|1 0/1/1",
    "1 6 . G T,A . . . GT:DP .:1 0:2 2|1:3",
    "X 2 . A <DEL> . . END=9 GT 1/1/0 0/0/1 1",
]


@pytest.fixture
def vcf(tmp_path):
    path = tmp_path / "cohort.vcf"
    meta = ["##contig=<ID=1>", "##contig=<ID=X>", '##INFO=<ID=END,Number=1,Type=Integer,Description="e">']
    meta += ['##FORMAT=<ID=DP,Number=1,Type=Integer,Description="d">', '##ALT=<ID=DEL,Description="d">']
    path.write_bytes(vcf_text(LINES, samples="A B C", meta=meta))
    return path


@pytest.fixture
def batch(vcf):
    with open_source(vcf) as source:
        (only,) = source.batches()
    return only


@pytest.fixture
def bcf(vcf, tmp_path):
    pysam = extra("pysam")
    path = tmp_path / "cohort.vcf.gz"  # content decides, not the name
    with pysam.VariantFile(str(vcf)) as source, pysam.VariantFile(str(path), "wb", header=source.header) as sink:
        for record in source:
            sink.write(record)
    return path


def test_bcf_reads_as_the_vcf_it_was_made_of(vcf, bcf):
    assert our_rows(bcf) == our_rows(vcf)
    with open_source(bcf) as source:
        (batch,) = source.batches()
        assert batch.sites.info.items() == [b"", b"", b"END=9"]
        assert source.samples == ("A", "B", "C")
        assert source.progress[1] == bcf.stat().st_size


DECLARED = ["##contig=<ID=22>", '##INFO=<ID=NOTE,Number=1,Type=String,Description="x">']


def as_bcf(text, folder):
    """The VCF and the BCF that bcftools makes of it."""
    vcf, bcf = folder / "a.vcf", folder / "a.bcf"
    vcf.write_bytes(text)
    subprocess.run([tool("bcftools"), "view", "-Ob", "-o", bcf, vcf], check=True, capture_output=True)
    return vcf, bcf


@pytest.mark.parametrize("calls", ["0|1 1|1 .|.", "0/1 1|0 0", "1 0/1/2 ./."])
def test_bcf_of_a_vcf_44_reads_as_the_vcf(tmp_path, calls):
    vcf, bcf = as_bcf(vcf_text([f"22 5 . A C,G . . . GT {calls}"], samples="A B C", minor=4, meta=DECLARED), tmp_path)
    assert our_rows(bcf) == our_rows(vcf)


@pytest.mark.parametrize(("where", "place"), [("source", "the header"), ("note", "record 2")])
def test_a_bcf_in_another_encoding_is_refused_by_its_reason(tmp_path, where, place):
    text = {"source": "c", "note": "b", where: "Caf\u00e9"}
    lines = ["22 5 . A C . . NOTE=a GT 0/1", f"22 6 . A C . . NOTE={text['note']} GT 0/1"]
    written = vcf_text(lines, samples="A", meta=[*DECLARED, f"##source={text['source']}"])
    _, bcf = as_bcf(written.decode().encode("latin-1"), tmp_path)
    with pytest.raises(InputError) as caught:
        our_rows(bcf)
    assert caught.value.code == "bad_utf8"
    assert place in caught.value.message


def test_bcf_needs_pysam(bcf, monkeypatch):
    monkeypatch.setitem(sys.modules, "pysam", None)
    with pytest.raises(UnavailableError) as caught:
        open_source(bcf)
    assert caught.value.code == "bcf_support_missing"
    assert "pip install" in caught.value.hint


def test_damaged_bcf_is_refused(bcf, tmp_path, capfd):
    rows = our_rows(bcf)
    data = bcf.read_bytes()
    path = tmp_path / "broken.bcf"
    path.write_bytes(data[:-28])
    with pytest.raises(InputError) as caught:
        our_rows(path)
    assert caught.value.code == "file_truncated"
    refused = 0
    for place in range(len(data) - 28):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            assert our_rows(path) == rows  # bytes that gzip gives no meaning, such as its time stamp
        except InputError:
            refused += 1
    assert refused >= len(data) - 28 - 2 * 8  # two blocks, eight such bytes each
    assert capfd.readouterr().err == ""


def test_reorder_permutes_columns_and_escapes(batch):
    (moved,) = reorder([batch], [2, 0, 1], 3)
    expected = [(*row[:-1], [row[-1][i] for i in (2, 0, 1)]) for row in batch_rows(batch)]
    assert list(batch_rows(moved)) == expected
    order = np.lexsort((moved.escapes.sample, moved.escapes.site))
    assert order.tolist() == list(range(len(moved.escapes)))


def test_reorder_takes_a_selection(batch):
    one, none, same = (next(reorder([batch], columns, 3)) for columns in ([1], [], [0, 1, 2]))
    assert [row[-1] for row in batch_rows(one)] == [["1|1"], ["0"], ["0/0/1"]]
    assert [row[-1] for row in batch_rows(none)] == [[], [], []]
    assert same is batch


@pytest.mark.parametrize("columns", [[0, 0, 1], [0, 1, 3], [-1, 0, 1]])
def test_reorder_wants_distinct_columns(batch, columns):
    with pytest.raises(ValueError, match="distinct"):
        next(reorder([batch], columns, 3))


@pytest.mark.parametrize("suffix", [".csi", ".tbi"])
@pytest.mark.parametrize("content", [b"", b"rubbish", BGZF_EOF])
def test_a_lying_index_is_not_looked_at(vcf, bcf, suffix, content, capfd):
    packed = vcf.with_name("packed.vcf.gz")
    packed.write_bytes(gzip.compress(vcf.read_bytes()))
    expected = our_rows(vcf)
    for path in (vcf, packed, bcf):
        path.with_name(path.name + suffix).write_bytes(content)
        assert our_rows(path) == expected
    assert capfd.readouterr().err == ""
