"""The BCF writer: bcftools reads the same records from it as from the VCF of the same view."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from hypothesis import given, settings

from tests.support.gt_text import calls_of, sites_of
from tests.support.outside import tool
from tests.support.vcf_text import SmallVcf, small_vcfs
from tests.support.views import InPages
from vault.extracts.bcf import write_bcf
from vault.extracts.vcf import write_vcf
from vault.views.view import View

WRITERS = {"bcf": write_bcf, "vcf.gz": write_vcf}


def view_of(records, rows, n, **columns) -> View:
    codes, escapes = calls_of(rows, n)
    return View(tuple(f"demo1{i}" for i in range(n)), sites_of(records, **columns), codes, escapes, "GRCh38")


def read(view: View, folder, kind, *options) -> bytes:
    path = folder / f"genotypes.{kind}"
    with path.open("wb") as file, (folder / f"genotypes.{kind}.csi").open("wb") as index:
        WRITERS[kind](InPages(view), file, index, vault_view={"ID": "v1"})
    done = subprocess.run([tool("bcftools"), "view", "--no-version", *options, path], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout


def same(view: View, folder, *options) -> bytes:
    text = read(view, folder, "bcf", *options)
    assert text == read(view, folder, "vcf.gz", *options)
    return text


@settings(max_examples=60, deadline=None)
@given(small_vcfs(max_alts=20, max_ploidy=6, fields=False))
def test_bcf_and_vcf_of_a_view_say_the_same(tmp_path_factory, file: SmallVcf):
    records = [(r.contig, r.pos, ",".join([r.ref, *r.alts])) for r in file.records]
    view = view_of(
        records,
        [r.gts for r in file.records],
        len(file.samples),
        ids=[r.id for r in file.records],
        filters=[r.filter for r in file.records],
        info=[r.info.removeprefix(".") for r in file.records],
    )
    same(view, tmp_path_factory.mktemp("bcf"))


@pytest.mark.parametrize("alts", [9, 14, 15, 61, 62, 63, 64, 130, 255])
def test_alleles_beyond_one_byte(tmp_path, alts):
    spelled = "A," + ",".join("A" * k + "C" for k in range(1, alts + 1))
    rows = [[f"0|{alts}", "0", f"{alts}", f".|{alts}/1", "./.", f"{alts}|{alts}"]]
    assert f"0|{alts}\t0\t{alts}\t.|{alts}/1\t./.\t{alts}|{alts}".encode() in same(
        view_of([("22", 5, spelled)], rows, 6), tmp_path
    )


def test_counts_and_text_of_every_width(tmp_path):
    n = 40_000
    rows = [["0|1"] * n, ["1|1"] * 60 + ["0|0"] * (n - 60), ["1|1"] * 70 + ["0|0"] * (n - 70)]
    columns = {"ids": ["r" * 14, "r" * 15, "r" * 200], "filters": [";".join(f"q{i}" for i in range(k)) for k in (1, 15, 140)]}
    same(view_of([("22", 5, "A,C"), ("22", 6, "A" * 400 + ",C"), ("22", 7, "A,C")], rows, n, **columns), tmp_path)


def test_a_filter_may_be_called_like_an_info_field(tmp_path):
    same(view_of([("22", 5, "A,C")], [["0|1"]], 1, filters=["AC;GT"]), tmp_path)


def test_no_sites(tmp_path):
    same(view_of([], [], 1), tmp_path)


def test_regions(tmp_path):
    rng = np.random.default_rng(5)
    n, m = 300, 4000
    codes = (121 + rng.integers(1, 3, (m, n)) * 11 + rng.integers(1, 3, (m, n))).astype(np.uint8)
    sites = sites_of([("2" if i < m // 2 else "10", 100 + 50 * i, "A,C") for i in range(m)])
    view = View(tuple(f"x1{i}" for i in range(n)), sites, codes, calls_of([], n)[1], "GRCh38")
    for region in ("2", "2:5000-6000", "10:150000-150500", "10:1-10", "2,10:120000-"):
        same(view, tmp_path, "-r", region)
