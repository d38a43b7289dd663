from __future__ import annotations

import gzip

import numpy as np
import pytest

from tests.support.vcf_reading import our_rows, vcf_text
from vault.genotypes.codec.call_codes import ESCAPE, MISSING_HAPLOID, diploid, haploid
from vault.genotypes.ingest import lines as line_blocks
from vault.genotypes.ingest import vcf
from vault.genotypes.ingest.open_source import open_source


@pytest.fixture
def batch_of(tmp_path):
    def read(*lines, **options):
        path = tmp_path / "in.vcf"
        path.write_bytes(vcf_text(lines, **options))
        with open_source(path) as source:
            batches = list(source.batches())
        assert len(batches) == 1
        return batches[0]

    return read


@pytest.fixture
def calls_of(tmp_path):
    """GT texts of one line, given its FORMAT and sample columns."""

    def read(form, *columns, alt="C", minor=3):
        path = tmp_path / "in.vcf"
        samples = " ".join(f"S{i}" for i in range(len(columns)))
        path.write_bytes(vcf_text([f"1 5 . A {alt} . . . {form} {' '.join(columns)}"], samples=samples, minor=minor))
        return our_rows(path)[0][-1]

    return read


def test_fields_of_a_site_are_kept_as_written(batch_of):
    batch = batch_of("chr1 100 rs1;rs2 aC ATG,* 12.5 q10;s50 AF=0.1 GT 0/1 1|2", "chr1 100 . G . . PASS . GT 0/0 ./.")
    sites = batch.sites
    assert sites.contigs == ("chr1",)
    assert sites.pos.tolist() == [100, 100]
    assert sites.alleles.items() == [b"aC,ATG,*", b"G"]
    assert sites.ids.items() == [b"rs1;rs2", b"."]
    assert sites.filters.items() == [b"q10;s50", b"PASS"]
    assert sites.info.items() == [b"", b""]
    assert batch.codes.tolist() == [
        [diploid(0, 1, phased=False), diploid(1, 2, phased=True)],
        [diploid(0, 0, phased=False), diploid(-1, -1, phased=False)],
    ]


@pytest.mark.parametrize(
    ("alt", "info", "kept"),
    [
        ("<DEL>", "SVTYPE=DEL;X=1;END=200", b"END=200;SVTYPE=DEL"),
        ("<DEL>", "XEND=7;END=200", b"END=200"),
        ("C,<NON_REF>", "SVTYPE=DUP", b"SVTYPE=DUP"),
        ("C[2:7[", "SVTYPE=BND;MATEID=x", b"SVTYPE=BND"),
        ("C", "END=200;SVTYPE=DEL", b""),
        ("*", "END=200", b""),
        ("<DEL>", ".", b""),
        ("<DEL>", "ENDX=3;SVTYPES=x;END", b""),
    ],
)
def test_info_keeps_end_and_svtype_of_symbolic_alleles_only(batch_of, alt, info, kept):
    assert batch_of(f"1 100 . A {alt} . . {info} GT 0/1 0/0").sites.info.items() == [kept]


@pytest.mark.parametrize(
    "alt", ["C", "acgtn", "*", "<DEL>", "<INS:ME:ALU>", "G]17:198982]", "]13:123456]T", "C[<ctg1>:1[", "C<ctg1>", ".A", "G."]
)
def test_alt_forms_of_the_specification_are_accepted(batch_of, alt):
    assert batch_of(f"1 100 . A {alt} . . . GT 0/1 0/0").sites.alleles.items() == [b"A," + alt.encode()]


@pytest.mark.parametrize(
    "call", ["0/1", "1|0", "./.", ".|.", "0/.", ".|1", "0", "1", ".", "0/1/1", "0|1|1", "0/1|1", "./.|1|0", "1/1/1/1/1/1/1/1"]
)
def test_every_shape_of_call_comes_back(calls_of, call):
    assert calls_of("GT", call, "0|0", call) == [call, "0|0", call]
    assert calls_of("GT:DP", f"{call}:3", "0|0:4", call) == [call, "0|0", call]


def test_alleles_above_nine_escape(batch_of, calls_of):
    alt = ",".join(["C"] * 255)
    calls = ["9/9", "10/0", "0|255", "10", "9", "100/20/3"]
    assert calls_of("GT", *calls, alt=alt) == calls
    batch = batch_of(f"1 5 . A {alt} . . . GT 10|0 9/9")
    assert batch.codes[0].tolist() == [ESCAPE, diploid(9, 9, phased=False)]
    assert len(batch.escapes) == 1


def test_gt_is_found_anywhere_in_format(calls_of):
    assert calls_of("DP:GT", "3:0/1", "4:1|1", "5") == ["0/1", "1|1", "."]


def test_no_gt_is_a_missing_call(batch_of):
    batch = batch_of("1 5 . A C . . . DP 3 4", "1 6 . A C . . . . . .", "1 7 . A C . . . GT . 1")
    assert batch.codes.tolist() == [[MISSING_HAPLOID] * 2, [MISSING_HAPLOID] * 2, [MISSING_HAPLOID, haploid(1)]]


def test_phase_is_dropped_only_where_a_phase_set_is_given(calls_of):
    columns = ["0|1:77", "0|1:.", "0|1", "0/1:77", "1:77", "0|1|1:77", ".|.:77"]
    assert calls_of("GT:PS", *columns) == ["0/1", "0|1", "0|1", "0/1", "1", "0/1/1", "./."]
    assert calls_of("PS:GT", "77:0|1", ".:0|1") == ["0/1", "0|1"]
    assert calls_of("GT:PSL:DP", "0|1:a,b:3", "0|1:.:3") == ["0/1", "0|1"]


@pytest.mark.parametrize(("written", "read"), [("|0|1", "0|1"), ("/0/1", "0/1"), ("/0/1|1", "0/1|1"), ("|1", "1"), ("|.", ".")])
def test_leading_phase_marks_that_say_the_default(calls_of, written, read):
    assert calls_of("GT", written, minor=4) == [read]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("final", [True, False])
def test_line_ends(tmp_path, ending, final):
    text = vcf_text(["1 5 . A C . . . GT 0/1 1|1", "1 6 . A C . . . GT:DP 0/1:3 1|1:4", "1 7 . A C . . . GT 0|0 1"]).decode()
    text = text.replace("\n", ending)
    path = tmp_path / "in.vcf"
    path.write_bytes((text if final else text.removesuffix(ending)).encode())
    assert [row[-1] for row in our_rows(path)] == [["0/1", "1|1"], ["0/1", "1|1"], ["0|0", "1"]]


def test_a_file_without_samples_has_sites_only(batch_of):
    batch = batch_of("1 5 . A C . . .", "1 6 . A <DEL> . . END=9", samples="")
    assert batch.codes.shape == (2, 0)
    assert batch.sites.info.items() == [b"", b"END=9"]


def test_a_file_without_sites_has_no_batches(tmp_path):
    (tmp_path / "in.vcf").write_bytes(vcf_text([]))
    with open_source(tmp_path / "in.vcf") as source:
        assert list(source.batches()) == []


def test_contigs_keep_their_spelling_and_order(batch_of):
    sites = batch_of(
        "chr2 5 . A C . . . GT 0 1", "chr2 5 . A G . . . GT 0 1", "HLA-A*01:01 1 . A C . . . GT 0 1", "1 0 . A C . . . GT 0 1"
    ).sites
    assert sites.contigs == ("chr2", "HLA-A*01:01", "1")
    assert sites.contig.tolist() == [0, 0, 1, 2]


def test_utf8_in_kept_columns_is_accepted(batch_of):
    assert batch_of("1 5 é A C . . . GT 0 1").sites.ids.items() == ["é".encode()]


def test_header_is_exposed(tmp_path):
    meta = ["##contig=<ID=1,length=249250621>", "##contig=<length=5,ID=2>", "##contig=<ID=3>"]
    (tmp_path / "in.vcf").write_bytes(vcf_text(["1 5 . A C . . . GT 0 1"], meta=meta, samples="NA1 NA2"))
    with open_source(tmp_path / "in.vcf") as source:
        assert source.samples == ("NA1", "NA2")
        assert dict(source.contigs) == {"1": 249250621, "2": 5, "3": None}


def _many(sites, samples):
    rng = np.random.default_rng(5)
    forms = np.array(["0|0", "0|1", "1|1", "0/1", "1", ".", "0/1/1", "10|0", "./."])
    alt = ",".join(["C"] * 12)
    lines = []
    for i in range(sites):
        pick = forms[rng.integers(0, 2 if i % 3 else len(forms), samples)]
        lines.append(f"{1 + i // 700} {1000 + i} id{i} A {alt} . . . GT {' '.join(pick)}")
    return vcf_text(lines, samples=" ".join(f"S{i}" for i in range(samples))), [line.split()[9:] for line in lines]


@pytest.mark.parametrize(
    "bounds",
    [(1 << 21, 12 << 20, 8 << 20, 1 << 18), (100, 500, 4096, 64), (4000, 12 << 20, 4096, 8)],
)
def test_block_and_batch_bounds_do_not_show(tmp_path, monkeypatch, bounds):
    """The same rows whatever the sizes of text blocks and batches, and compressed or not."""
    monkeypatch.setattr(line_blocks, "_BLOCK", bounds[0])
    for name, bound in zip(("BATCH_CODES", "BATCH_TEXT", "BATCH_ESCAPES"), bounds[1:], strict=True):
        monkeypatch.setattr(vcf, name, bound)
    data, expected = _many(1500, 40)
    (tmp_path / "in.vcf").write_bytes(data)
    (tmp_path / "in.vcf.gz").write_bytes(gzip.compress(data, 1))
    rows = our_rows(tmp_path / "in.vcf")
    assert [row[-1] for row in rows] == expected
    assert [row[1] for row in rows] == [str(1000 + i) for i in range(1500)]
    assert [row[0] for row in rows] == [str(1 + i // 700) for i in range(1500)]
    assert our_rows(tmp_path / "in.vcf.gz") == rows


def test_batches_are_bounded_and_progress_reaches_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(vcf, "BATCH_CODES", 4000)
    data, _ = _many(1500, 40)
    (tmp_path / "in.vcf").write_bytes(data)
    with open_source(tmp_path / "in.vcf") as source:
        assert max(batch.codes.size for batch in source.batches()) <= 4000
        assert source.progress == (len(data), len(data))
