"""Rare alleles in what leaves: bcftools reads the files, in every choice of them, and finds none."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.support.held import Held
from tests.support.outside import tool
from tests.support.vcf_text import vcf
from vault import gate
from vault.access import releases
from vault.extracts.genotype_files import FileChoice

PEOPLE = "A B C D E F"
FILE = vcf(
    PEOPLE,
    "21 90 A G 0|1 0|0 0|0 0|0 0|0 0|0",
    "22 10 A G 0|1 1|1 0|1 0|0 0|0 ./.",
    "22 20 C T,G 0|1 0|1 0|1 1|2 0|0 0|2",
    "22 30 CAA C,CAG 1|0 2|0 0|2 0|2 0|0 0|0",
    "X 5 A T 0|1 0|1 0 0 0|0 0|0",
    "X 9 A T 1 1 1 0 0|0 0|0",
)
SHOWN = {
    ("22", "10", "A", "G"): ["./.", "0|0", "0|0", "0|1", "0|1", "1|1"],
    ("X", "9", "A", "T"): ["0", "0|0", "0|0", "1", "1", "1"],
}


@pytest.fixture
def held(tmp_path):
    held = Held.make(tmp_path)
    held.load(held.write("c.vcf", FILE.data))
    held.everyone_consents()
    held.project("demo", min_carriers=3)
    yield held
    held.vault.close()


@pytest.mark.parametrize(
    "choice", [FileChoice("vcf"), FileChoice("bcf"), FileChoice("vcf", by_contig=True)], ids=["vcf", "bcf", "by contig"]
)
def test_bcftools_finds_no_rare_allele(held, choice):
    folder = held.extract("demo", choice=choice)
    found = {}
    for path in sorted([*folder.glob("*.vcf.gz"), *folder.glob("*.bcf")]):
        query = [tool("bcftools"), "query", "-f", "%CHROM %POS %REF %ALT %AC %AN [%GT ]\\n", str(path)]
        for line in subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines():
            contig, pos, ref, alt, ac, an, *calls = line.split()
            found[contig, pos, ref, alt] = sorted(calls)
            alleles = [a for call in calls for a in call.replace("|", "/").split("/") if a != "."]
            assert (int(ac), int(an)) == (alleles.count("1"), len(alleles))
    assert found == SHOWN


def test_a_view_in_memory_is_that_of_the_files_and_both_name_their_rules(held):
    folder = held.extract("demo")
    view = gate.view(held.vault, project="demo", dataset="cohort")
    assert [(one.contig, str(one.pos), one.ref, *one.alts) for one in view.variants()] == list(SHOWN)
    stated = json.loads((folder / "manifest.json").read_bytes())["manifest"]["view"]
    rules = {"profile": "standard@1", "min_carriers": 3}
    assert {**stated, **rules} == stated
    for one in releases.list_all(held.vault):
        assert (one.content.asked["profile"], one.content.asked["profile_sha256"]) == ("standard@1", stated["sha256"])
    assert "fewer than 3 of these people" in (folder / "README.txt").read_text()
