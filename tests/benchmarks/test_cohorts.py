from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.cohorts import bcf, cohort
from tests.support.outside import tool


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tool("bgzip")
    tool("bcftools")
    return tmp_path_factory.mktemp("cohorts")


def bcftools(*arguments: str | Path) -> str:
    done = subprocess.run(["bcftools", *arguments], capture_output=True, check=True, text=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(("name", "people", "sites"), [("D1", 25, 1_000), ("D2", 500, 200), ("D3", 5, 500)])
def test_a_scaled_cohort_has_the_people_and_sites_it_should(work, name, people, sites):
    path = cohort(name, work, scale=0.01)
    assert len(bcftools("query", "-l", path).split()) == people
    assert len(bcftools("view", "-H", path).splitlines()) == sites
    assert bcftools("view", "-H", "-r", "22:20000001-21000000", bcf(path)).count("\n") > 0


def test_a_cohort_is_made_once_and_the_same_each_time(work, tmp_path):
    path = cohort("D1", work, scale=0.01)
    made = path.stat().st_mtime_ns
    assert cohort("D1", work, scale=0.01).stat().st_mtime_ns == made
    assert cohort("D1", tmp_path, scale=0.01).read_bytes() == path.read_bytes()
    assert {entry.suffix for entry in tmp_path.iterdir()} == {".gz", ".csi"}


def test_d3_has_the_hard_calls(work):
    text = bcftools("view", "-H", cohort("D3", work, scale=0.01))
    cells = [cell for line in text.splitlines() for cell in line.split("\t")[9:]]
    gts = {cell.split(":")[0] for cell in cells}
    assert {"0/0", "0|0", "0", "./."} <= gts
    assert any(gt.startswith(("./0", ".|0", "./1", ".|1")) for gt in gts)
    assert any(len(line.split("\t")[3]) > 1 or len(line.split("\t")[4].split(",")[0]) > 1 for line in text.splitlines())
    assert any("," in line.split("\t")[4] for line in text.splitlines())
