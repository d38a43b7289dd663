"""The VCF writer, read back by other people's programs."""

from __future__ import annotations

import gzip
import io
import subprocess

import numpy as np
import pysam
import pytest
from cyvcf2 import VCF
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.gt_text import calls_of, sites_of, texts_of
from tests.support.outside import tool
from tests.support.vcf_text import SmallVcf, small_vcfs
from tests.support.views import InPages
from vault.errors import IntegrityError, UsageError
from vault.extracts import bgzf
from vault.extracts.csi import TABIX_REACH
from vault.extracts.vcf import write_vcf
from vault.genotypes.codec.call_codes import Escapes
from vault.views.view import View

FIELDS = {"ID": "v1", "Kind": "region", "Note": 'pseudonymised "personal" data, a\\b'}


def view_of(records, rows, n=2, **columns) -> View:
    codes, escapes = calls_of(rows, n)
    return View(tuple(f"demo1{i}" for i in range(n)), sites_of(records, **columns), codes, escapes, "GRCh38")


def from_file(file: SmallVcf) -> View:
    records = [(r.contig, r.pos, ",".join([r.ref, *r.alts])) for r in file.records]
    columns = {
        "ids": [r.id for r in file.records],
        "filters": [r.filter for r in file.records],
        "info": [r.info.removeprefix(".") for r in file.records],
    }
    return view_of(records, [r.gts for r in file.records], len(file.samples), **columns)


def save(view: View, folder):
    path = folder / "genotypes.vcf.gz"
    with path.open("wb") as vcf, (folder / "genotypes.vcf.gz.csi").open("wb") as index:
        write_vcf(InPages(view), vcf, index, vault_view=FIELDS)
    return path


def run(*command) -> str:
    done = subprocess.run([tool(command[0]), *map(str, command[1:])], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode()


def lines_of(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


@settings(max_examples=60, deadline=None)
@given(small_vcfs(max_alts=12, fields=False))
def test_bcftools_reads_what_was_written_without_a_warning(tmp_path_factory, file: SmallVcf):
    folder = tmp_path_factory.mktemp("vcf")
    view = from_file(file)
    path = save(view, folder)
    lines = lines_of(run("bcftools", "view", path))
    assert [line[9:] for line in lines] == texts_of(view.codes, view.escapes)
    assert [line[:5] for line in lines] == [[r.contig, str(r.pos), r.id, r.ref, ",".join(r.alts) or "."] for r in file.records]
    assert [line[6] for line in lines] == [r.filter for r in file.records]
    for line, record in zip(lines, file.records, strict=True):
        info = dict(part.split("=") for part in line[7].split(";"))
        called = [a for text in record.gts for a in text.replace("|", "/").split("/") if a != "."]
        assert info["AN"] == str(len(called))
        counts = ",".join(str(called.count(str(a))) for a in range(1, len(record.alts) + 1))
        assert info.get("AC", "") == counts
        assert info.get("END") == (str(record.pos + 50) if "END=" in record.info else None)


@settings(max_examples=20, deadline=None)
@given(small_vcfs(max_ploidy=2, max_alts=3, fields=False))
def test_cyvcf2_and_pysam_see_the_same_alleles(tmp_path_factory, file: SmallVcf):
    view = from_file(file)
    path = save(view, tmp_path_factory.mktemp("vcf"))
    reader = VCF(str(path))
    assert tuple(reader.samples) == view.pseudonyms
    if len(view.sites):  # cyvcf2 pads the calls of a haploid record by -2 beyond its widest call
        expected = view.genotypes
        for i, variant in enumerate(reader):
            got = np.full(expected.shape[1:], -2)
            matrix = variant.genotype.array()[:, :-1]
            got[:, : matrix.shape[1]] = matrix
            assert np.array_equal(got, expected[i])
    with pysam.VariantFile(str(path)) as opened:
        assert [record.pos for record in opened] == view.sites.pos.tolist()


def test_one_subject_and_no_sites():
    out, index = io.BytesIO(), io.BytesIO()
    write_vcf(InPages(view_of([], [], 1)), out, index, vault_view=FIELDS)
    text = gzip.decompress(out.getvalue()).decode()
    assert text.splitlines()[-1].split("\t")[-2:] == ["FORMAT", "demo10"]
    assert "##contig" not in text


def test_a_file_without_sites_is_readable_and_indexed(tmp_path):
    path = save(view_of([], [], 1), tmp_path)
    assert lines_of(run("bcftools", "view", path)) == []
    assert run("bcftools", "index", "-n", path) == "0\n"


def test_the_header_holds_nothing_but_the_allow_list(tmp_path):
    view = view_of(
        [("22", 5, "A,<DEL>,<INS:ME>"), ("22", 5, "A,C")],
        [["0|1", "2|2"], ["0/0", "0/1"]],
        info=["END=9;SVTYPE=DEL", ""],
        filters=["q10;s50", "PASS"],
    )
    header = [line for line in gzip.decompress(save(view, tmp_path).read_bytes()).decode().splitlines() if line.startswith("#")]
    assert [line.split(",")[0] for line in header] == [
        "##fileformat=VCFv4.3",
        "##vault_view=<ID=v1",
        "##FILTER=<ID=PASS",
        "##FILTER=<ID=q10",
        "##FILTER=<ID=s50",
        "##ALT=<ID=DEL",
        "##ALT=<ID=INS:ME",
        "##contig=<ID=22",
        "##INFO=<ID=AC",
        "##INFO=<ID=AN",
        "##INFO=<ID=END",
        "##INFO=<ID=SVTYPE",
        "##FORMAT=<ID=GT",
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tdemo10\tdemo11",
    ]
    run("bcftools", "view", "-h", path := tmp_path / "genotypes.vcf.gz")
    run("bcftools", "query", "-f", "%CHROM", path)


@pytest.mark.parametrize("fields", [{"ID": "v", "bad key": "x"}, {"ID": "v", "A": "a\nb"}, {"ID": "a,b"}, {}])
def test_a_value_that_would_break_the_header_is_refused(fields):
    with pytest.raises(UsageError) as caught:
        write_vcf(InPages(view_of([], [])), io.BytesIO(), io.BytesIO(), vault_view=fields)
    assert caught.value.code == "header_value"


def test_a_view_without_subjects_is_refused():
    with pytest.raises(UsageError) as caught:
        write_vcf(InPages(view_of([], [], 0)), io.BytesIO(), io.BytesIO(), vault_view=FIELDS)
    assert caught.value.code == "view_empty"


def test_plink2_reads_a_diploid_file(tmp_path):
    rng = np.random.default_rng(1)
    path = save(_random(rng, sites=300, subjects=40), tmp_path)
    done = subprocess.run(
        [tool("plink2"), "--vcf", path, "--export", "vcf", "--out", tmp_path / "again"], capture_output=True, check=True
    )
    assert b"Warning" not in done.stderr + done.stdout
    again = [line[9:] for line in lines_of((tmp_path / "again.vcf").read_text())]
    assert again == [line[9:] for line in lines_of(run("bcftools", "view", path))]


def _random(rng, *, sites, subjects, gap=40, contigs=("22",)) -> View:
    """A diploid view with enough text for several members and batches."""
    per = sites // len(contigs)
    records = [(c, 1000 + gap * i + (i % 3 == 0), "A,C") for c in contigs for i in range(per)]
    codes = (121 + rng.integers(1, 3, (len(records), subjects)) * 11 + rng.integers(1, 3, (len(records), subjects))).astype(
        np.uint8
    )
    return View(tuple(f"x1{i}" for i in range(subjects)), sites_of(records), codes, Escapes.empty(), "GRCh38")


@pytest.mark.parametrize(("gap", "sites"), [(40, 6000), (9000, 6000), (300_000, 600)])
def test_index_queries_equal_a_full_scan(tmp_path, gap, sites):
    rng = np.random.default_rng(2)
    view = _random(rng, sites=sites, subjects=400, gap=gap, contigs=("chr2", "chr10"))
    path = save(view, tmp_path)
    assert run("tabix", "--list-chroms", path) == "chr2\nchr10\n"
    assert run("bcftools", "index", "-s", path) == f"chr2\t.\t{sites // 2}\nchr10\t.\t{sites // 2}\n"
    everything = run("bcftools", "query", "-f", "%CHROM %POS\\n", path).split("\n")[:-1]
    last = int(view.sites.pos[-1])
    for contig in ("chr2", "chr10"):
        for first in [1, 1000, *rng.integers(1, last, 8).tolist(), last, last + 1]:
            stop = int(first + rng.choice([0, 100, 20_000, last]))
            wanted = [e for e in everything if e.split()[0] == contig and first <= int(e.split()[1]) <= stop]
            got = run("bcftools", "query", "-f", "%CHROM %POS\\n", "-r", f"{contig}:{first}-{stop}", path).split("\n")[:-1]
            assert got == wanted
            assert len(lines_of(run("tabix", path, f"{contig}:{first}-{stop}"))) == len(wanted)


def test_a_long_allele_is_found_by_any_position_it_covers(tmp_path):
    records = [("22", 100, "A,C"), ("22", 200, "A,<DEL>"), ("22", 40_000, "A,C"), ("22", 700_000, "A,C")]
    view = view_of(records, [["0|1", "0|0"]] * 4, info=["", "END=900000", "", ""])
    path = save(view, tmp_path)
    assert _starts(path, "22:650000-660000") == [200]
    assert _starts(path, "22:30000-800000") == [200, 40_000, 700_000]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 2**31 - 3), st.integers(0, 10**6)), min_size=1, max_size=30), st.data())
def test_index_finds_stretches_of_any_size(tmp_path_factory, stretches, data):
    stretches = sorted((first, min(first + size, 2**31 - 2)) for first, size in stretches)
    view = view_of(
        [("22", first, "A,<DEL>") for first, _ in stretches],
        [["0|1", "0|0"]] * len(stretches),
        info=[f"END={last}" for _, last in stretches],
    )
    path = save(view, tmp_path_factory.mktemp("index"))
    first = data.draw(st.integers(1, 2**31 - 3))
    last = data.draw(st.integers(first, 2**31 - 2))
    assert _starts(path, f"22:{first}-{last}") == [a for a, b in stretches if a <= last and b >= first]


@settings(max_examples=25, deadline=None)
@given(
    st.data(), st.lists(st.tuples(st.integers(1, TABIX_REACH), st.sampled_from([0, 1, 20_000, 10**6])), min_size=1, max_size=30)
)
def test_a_tabix_index_finds_what_the_other_finds(tmp_path_factory, data, stretches):
    placed = sorted((data.draw(st.sampled_from(["1", "22"])), first, min(first + size, TABIX_REACH)) for first, size in stretches)
    view = view_of(
        [(contig, first, "A,<DEL>") for contig, first, _ in placed],
        [["0|1", "0|0"]] * len(placed),
        info=[f"END={last}" for _, _, last in placed],
    )
    path = tabix_only(view, tmp_path_factory.mktemp("tabix"))
    first = data.draw(st.integers(1, TABIX_REACH))
    last = data.draw(st.integers(first, TABIX_REACH))
    assert _starts(path, f"22:{first}-{last}") == [a for contig, a, b in placed if contig == "22" and a <= last and b >= first]


def test_a_tabix_index_counts_records_and_finds_them_in_any_batch(tmp_path):
    path = tabix_only(_random(np.random.default_rng(4), sites=6000, subjects=400, gap=9000, contigs=("chr2", "chr10")), tmp_path)
    assert run("tabix", "--list-chroms", path) == "chr2\nchr10\n"
    assert run("bcftools", "index", "-s", path) == "chr2\t.\t3000\nchr10\t.\t3000\n"
    everything = [int(line[1]) for line in lines_of(run("bcftools", "view", "-H", path)) if line[0] == "chr10"]
    for first in (1, 5_000_000, 20_000_000, everything[-1]):
        assert _starts(path, f"chr10:{first}-{first + 500_000}") == [at for at in everything if first <= at <= first + 500_000]


def test_what_lies_beyond_the_reach_of_tabix_has_no_such_index():
    view = view_of([("22", TABIX_REACH + 1, "A,C")], [["0|1", "0|0"]])
    made = write_vcf(InPages(view), io.BytesIO(), io.BytesIO(), vault_view=FIELDS)
    assert not made.fits_tabix
    with pytest.raises(UsageError):
        made.write_tabix(io.BytesIO())


def tabix_only(view, folder):
    """The file with no other index beside it."""
    path = folder / "genotypes.vcf.gz"
    with path.open("wb") as vcf, (folder / "genotypes.vcf.gz.tbi").open("wb") as index:
        write_vcf(InPages(view), vcf, io.BytesIO(), vault_view=FIELDS).write_tabix(index)
    return path


def _starts(path, region):
    """Positions of the records that overlap a region ("query -r" would leave out those that begin before it)."""
    return [int(line[1]) for line in lines_of(run("bcftools", "view", "-H", "-r", region, path))]


def test_unsorted_sites_are_an_integrity_error():
    for records in ([("22", 9, "A,C"), ("22", 5, "A,C")], [("1", 5, "A,C"), ("2", 5, "A,C"), ("1", 9, "A,C")]):
        with pytest.raises(IntegrityError) as caught:
            write_vcf(InPages(view_of(records, [["0|1", "0|0"]] * len(records))), io.BytesIO(), io.BytesIO(), vault_view=FIELDS)
        assert caught.value.code == "sites_unsorted"


def test_size_is_within_reach_of_bgzip(tmp_path):
    rng = np.random.default_rng(3)
    n = 600
    frequency = rng.beta(0.3, 2, 2000)[:, None]
    first, second = (rng.random((2, 2000, n)) < frequency).astype(int)
    codes = (121 + (first + 1) * 11 + second + 1).astype(np.uint8)
    sites = sites_of([("22", 100 + 40 * i, "A,C") for i in range(2000)])
    path = save(View(tuple(f"x1{i}" for i in range(n)), sites, codes, Escapes.empty(), "GRCh38"), tmp_path)
    text = gzip.decompress(path.read_bytes())
    peer = subprocess.run([tool("bgzip"), "-c"], input=text, capture_output=True, check=True).stdout
    # Random calls are the hardest to pack; the benchmarks measure a cohort with linkage (1.16 x).
    assert path.stat().st_size < 1.35 * len(peer)
    assert path.read_bytes().endswith(bgzf.EOF_BLOCK)
