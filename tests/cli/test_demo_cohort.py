from __future__ import annotations

import csv
import gzip
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cli.demo_cohort import CONTIGS, HAPLOTYPES, POPULATIONS, SITES, thirds, write_cohort, write_sheet
from tests.support.outside import tool
from vault.errors import UnavailableError

EXAMPLE = Path(__file__).parents[2] / "examples" / "matching_engine" / "alleles.yaml"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("cohort") / "demo.vcf.gz"
    cohort = write_cohort(path, n=60, seed=7)
    return (
        path,
        cohort,
        [line.split("\t") for line in gzip.decompress(path.read_bytes()).decode().splitlines() if line[:2] != "##"],
    )


def test_the_cohort_is_what_it_says(written):
    _, cohort, (columns, *rows) = written
    assert columns[9:] == list(cohort.samples)
    assert len(cohort.samples) == len(cohort.populations) == 60
    assert len(rows) == cohort.sites > 1_000
    contigs = list(CONTIGS)
    places = [(contigs.index(row[0]), int(row[1])) for row in rows]
    assert places == sorted(set(places))
    assert {gt for row in rows for gt in row[9:]} == {"0|0", "0|1", "1|0", "1|1", "./."}


def test_the_same_seed_gives_the_same_bytes(written, tmp_path: Path):
    path, cohort, _ = written
    again = write_cohort(tmp_path / "again.vcf.gz", n=60, seed=7)
    assert again == cohort
    assert (tmp_path / "again.vcf.gz").read_bytes() == path.read_bytes()
    write_cohort(tmp_path / "other.vcf.gz", n=60, seed=8)
    assert (tmp_path / "other.vcf.gz").read_bytes() != path.read_bytes()


def test_bcftools_reads_it_without_a_warning(written):
    path, cohort, _ = written
    done = subprocess.run([tool("bcftools"), "query", "-l", str(path)], capture_output=True, check=True, text=True)
    assert done.stdout.split() == list(cohort.samples)
    assert done.stderr == ""


def test_pharmacogene_frequencies_differ_by_population_as_published(written):
    _, cohort, (_, *rows) = written
    (row,) = [row for row in rows if row[2] == "rs2306283"]
    share = {}
    for population in POPULATIONS:
        calls = "".join(gt for gt, of in zip(row[9:], cohort.populations, strict=True) if of == population)
        share[population] = calls.count("1") / (calls.count("0") + calls.count("1"))
    assert share["YRI"] > share["CHB"] > share["CEU"]


def test_sites_are_the_example_engine_s():
    facts = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["genes"]
    expected = set()
    for gene in facts.values():
        for rsid, locus in gene["loci"].items():
            expected.add((f"chr{gene['contig']}", locus["GRCh38"], rsid, locus["ref"], locus["alt"]))
            if "proxy" in locus:
                tag = locus["proxy"]
                expected.add((f"chr{gene['contig']}", tag["GRCh38"], tag["rsid"], tag["ref"], tag["alt"]))
    assert set(SITES) == expected
    assert set(HAPLOTYPES) == set(facts)


def test_the_sheet_names_invented_people_only(written, tmp_path: Path):
    _, cohort, _ = written
    write_sheet(tmp_path / "SHEET.csv", cohort)
    with (tmp_path / "SHEET.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["sample_id"] for row in rows] == list(cohort.samples)
    assert len({row["mrn"] for row in rows}) == 60
    assert all(row["mrn"].startswith("INVENTED-") for row in rows)


def test_without_msprime_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "msprime", None)
    with pytest.raises(UnavailableError, match="msprime") as caught:
        write_cohort(tmp_path / "demo.vcf.gz", n=6)
    assert caught.value.code == "demo_needs_msprime"
    assert "genovault[demo]" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("n", "expected"), [(300, [100, 100, 100]), (2504, [835, 835, 834]), (2, [1, 1, 0]), (4, [2, 1, 1])])
def test_people_are_split_in_thirds(n, expected):
    assert thirds(n) == expected
