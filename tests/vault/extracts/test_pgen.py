"""The PGEN writer, read back by plink2 and pgenlib."""

from __future__ import annotations

import io
import re
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.gt_text import calls_of, sites_of
from tests.support.outside import extra, tool
from tests.support.views import InPages
from vault.errors import InputError, UnavailableError
from vault.extracts import pgen
from vault.extracts.pgen import write_pgen
from vault.genotypes.codec.call_codes import Escapes
from vault.genotypes.ingest.open_source import open_source
from vault.views.view import View

pgenlib = extra("pgenlib")

FIELDS = {"ID": "v1", "Kind": "region"}


class ForwardOnly(io.RawIOBase):
    """A file that can be written on and nothing else, as a sealed one."""

    def __init__(self):
        self.data = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.data += data
        return len(bytes(data))


def view_of(records, rows, n=2, **columns) -> View:
    codes, escapes = calls_of(rows, n)
    return View(tuple(f"demo1{i}" for i in range(n)), sites_of(records, **columns), codes, escapes, "GRCh38")


def save(view: View, folder, size=1 << 30):
    """Path of the .pgen and what was changed."""
    files = {end: ForwardOnly() for end in ("pgen", "pvar", "psam")}
    changed = write_pgen(InPages(view, size), *files.values(), n_sites=len(view.sites), vault_view=FIELDS)
    for end, file in files.items():
        (folder / f"genotypes.{end}").write_bytes(file.data)
    return folder / "genotypes.pgen", changed


def plink2(path, *options):
    """What plink2 says of a fileset, which is nothing that begins with "Warning" or "Error"."""
    command = [tool("plink2"), "--pfile", path.with_suffix(""), "--threads", 1, "--out", path.with_name("out"), *options]
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr, done.stderr
    return done.stdout


def exported(path):
    """The eight columns and the calls of each record of plink2's own VCF."""
    plink2(path, "--allow-extra-chr", "--output-chr", "chrM", "--export", "vcf")
    text = path.with_name("out.vcf").read_text()
    lines = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return [line[:8] for line in lines], [line[9:] for line in lines]


def held(text):
    """A call as PGEN holds it: two copies or none, the phase of heterozygous ones."""
    alleles = re.split(r"[/|]", text or ".")
    if "." in alleles:
        return "./."
    a, b = (alleles * 2)[:2]
    if a == b:
        return f"{a}/{b}"
    return f"{a}|{b}" if "|" in text else "/".join(sorted((a, b), key=int))


def unphased_where_equal(text):
    a, _, b = text.partition("|")
    return f"{a}/{b}" if a == b else text


@st.composite
def odd_calls(draw):
    """(records, rows of GT texts or None) with half-calls, calls of one copy, missing ones and people whose part lacks the site."""
    n = draw(st.integers(1, 9))
    records, rows = [], []
    for i in range(draw(st.integers(1, 12))):
        alts = draw(st.sampled_from([0, 1, 1, 1, 2, 3, 12]))
        records.append(("chr7", 100 + 10 * i, ",".join(["A", *("A" * k + "C" for k in range(1, alts + 1))])))
        allele = st.one_of(st.just("."), st.integers(0, alts).map(str), st.integers(0, alts).map(str))
        call = st.one_of(st.none(), allele, st.builds("{}{}{}".format, allele, st.sampled_from("/|"), allele))
        rows.append(draw(st.lists(call, min_size=n, max_size=n)))
    return records, rows, n


@settings(max_examples=15, deadline=None)
@given(odd_calls(), st.integers(1, 5))
def test_plink2_reads_every_call_that_pgen_can_hold(tmp_path_factory, odd, size):
    records, rows, n = odd
    view = view_of(records, rows, n)
    path, changed = save(view, tmp_path_factory.mktemp("pgen"), size)
    _, calls = exported(path)
    assert [[unphased_where_equal(text) for text in row] for row in calls] == [[held(text) for text in row] for row in rows]
    texts = [re.split(r"[/|]", text) for row in rows for text in row if text is not None]
    assert changed == {
        "half_calls": sum(len(alleles) == 2 and alleles.count(".") == 1 for alleles in texts),
        "haploid_calls": sum(len(alleles) == 1 for alleles in texts),
    }


RECORDS = [("chr1", 5, "A,C"), ("chr1", 9, "AC,A,ACT"), ("chr1", 9, "T"), ("chrX", 50_000_000, "G,<DEL>"), ("chrM", 7, "C,T")]
ROWS = [["0|1", "1/1"], ["2|1", "1|2"], ["0/0", None], ["1|0", "./."], ["1", "0"]]


def test_plink2_validates_it_and_keeps_the_sites(tmp_path):
    info = ["", "", "", "END=50000500;SVTYPE=DEL", ""]
    path, _ = save(view_of(RECORDS, ROWS, ids=["rs1", ".", ".", ".", "."], info=info), tmp_path)
    assert "done" in plink2(path, "--validate")
    sites, calls = exported(path)
    assert [(line[0], int(line[1]), line[2]) for line in sites[:2]] == [("chr1", 5, "rs1"), ("chr1", 9, ".")]
    assert [",".join([line[3], line[4]]) for line in sites] == ["A,C", "AC,A,ACT", "T,.", "G,<DEL>", "C,T"]
    assert sites[3][7] == "AC=1;AN=2;END=50000500;SVTYPE=DEL"
    assert calls[1] == ["2|1", "1|2"]


def test_pgenlib_reads_it_back(tmp_path):
    path, _ = save(view_of(RECORDS, ROWS), tmp_path)
    offsets = np.cumsum([0, 2, 3, 2, 2, 2]).astype(np.uintp)
    alleles, phased = np.empty((5, 4), np.int32), np.empty((5, 2), np.uint8)
    with pgenlib.PgenReader(str(path).encode(), raw_sample_ct=2, variant_ct=5, allele_idx_offsets=offsets) as reader:
        reader.read_alleles_and_phasepresent_range(0, 5, alleles, phased)
    assert alleles.tolist() == [[0, 1, 1, 1], [2, 1, 1, 2], [0, 0, -9, -9], [1, 0, -9, -9], [1, 1, 0, 0]]
    assert phased[:2].tolist()[0][0] == 1
    assert phased[1].tolist() == [1, 1]


def test_a_vault_takes_it_in_again(tmp_path):
    path, _ = save(view_of(RECORDS[:2], ROWS[:2]), tmp_path)
    with open_source(path) as source:
        assert source.samples == ("demo10", "demo11")
        assert sum(len(batch.sites) for batch in source.batches()) == 2


def test_a_call_of_three_copies_is_refused(tmp_path):
    with pytest.raises(InputError) as caught:
        save(view_of(RECORDS[:1], [["0/0/1", "0/0"]]), tmp_path)
    assert caught.value.code == "pgen_ploidy"


def test_a_site_of_more_alleles_than_pgen_has_is_refused(tmp_path):
    alts = ",".join("A" * k + "C" for k in range(1, 256))
    with pytest.raises(InputError) as caught:
        save(view_of([("chr1", 5, f"A,{alts}")], [["0/255", "0/0"]]), tmp_path)
    assert caught.value.code == "pgen_alleles"


def test_the_most_alleles_that_pgen_has_are_kept(tmp_path):
    alts = ",".join("A" * k + "C" for k in range(1, 255))
    path, _ = save(view_of([("chr1", 5, f"A,{alts}")], [["0|254", "254/7"]]), tmp_path)
    assert exported(path)[1] == [["0|254", "7/254"]]


def test_a_file_beyond_the_limit_is_refused_before_it_is_whole(tmp_path, monkeypatch):
    m, n = 8_000, 200
    codes = np.random.default_rng(3).choice(np.array([133, 134, 144, 145], np.uint8), (m, n))  # 0|0, 0|1, 1|0, 1|1
    sites = sites_of([("chr1", 5 + i, "A,C") for i in range(m)])
    view = View(tuple(f"demo1{i}" for i in range(n)), sites, codes, Escapes.empty(), "GRCh38")
    monkeypatch.setattr(pgen, "_BATCH_CALLS", 100 * n)
    monkeypatch.setattr(pgen, "MAX_PGEN_BYTES", 50_000)
    files = [ForwardOnly() for _ in range(3)]
    with pytest.raises(UnavailableError) as caught:
        write_pgen(InPages(view, 500), *files, n_sites=m, vault_view=FIELDS)
    assert caught.value.code == "pgen_too_large"
    assert not files[0].data
    assert files[1].data.count(b"\n") < m // 2  # nor was much of it made
