"""What a region view leaves out, what a panel view keeps, and that a part which lacks a site says nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gt_text import texts_of
from tests.support.held import Held
from tests.support.vcf_text import vcf
from vault import gate
from vault.consent import recording
from vault.errors import RefusedError
from vault.genotypes.catalog import datasets, panel_builder
from vault.genotypes.loci import parse_loci
from vault.views.view import View

FIRST = vcf("A B C", "1 10 A G 0|1 0|0 0|0", "1 20 C T,G,A 0|0 0|3 0|2", "1 30 G T 0|0 ./. 0|0", "1 40 T TA 1|1 0|0 1|1")
SECOND = vcf("D", "1 10 A G 1|1", "1 50 G C 0|1", "2 5 T C 0/1")


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    """Two parts: A, B and C in one, D in the other; everyone consents, and C withdraws."""
    held = Held.make(tmp_path)
    held.load(held.write("1.vcf", FIRST.data), assayed="all")
    held.load(held.write("2.vcf", SECOND.data), append=True)
    held.everyone_consents()
    recording.withdraw(held.vault, "C")
    held.project("demo")
    yield held
    held.vault.close()


def panel(held: Held, lines: str) -> None:
    panel_builder.create(held.vault, datasets.by_name(held.vault, "cohort"), "p", parse_loci(lines.encode(), name="p"))


def shown(held: Held, view: View) -> dict[tuple[str, int, str], dict[str, str]]:
    """Calls by site and by sample."""
    names = [held.names("demo")[pseudonym] for pseudonym in view.pseudonyms]
    sites = view.sites
    places = [(sites.contigs[sites.contig[row]], int(sites.pos[row]), sites.alleles[row].decode()) for row in range(len(sites))]
    return {
        place: dict(zip(names, calls, strict=True))
        for place, calls in zip(places, texts_of(view.codes, view.escapes), strict=True)
    }


def test_a_region_view_drops_what_no_released_subject_carries(held):
    found = shown(held, gate.view(held.vault, project="demo", dataset="cohort"))
    assert list(found) == [("1", 10, "A,G"), ("1", 20, "C,A"), ("1", 40, "T,TA"), ("1", 50, "G,C"), ("2", 5, "T,C")]
    assert found["1", 20, "C,A"] == {"A": "0|0", "B": "0|1", "D": "./."}  # only C carried G, nobody T
    assert all("C" not in calls for calls in found.values())


def test_where_a_part_lacks_a_site_its_people_are_missing_never_reference(held):
    found = shown(held, gate.view(held.vault, project="demo", dataset="cohort"))
    assert found["1", 50, "G,C"] == {"A": "./.", "B": "./.", "D": "0|1"}
    assert found["1", 40, "T,TA"]["D"] == "./."
    view = gate.view(held.vault, project="demo", dataset="cohort", regions=["2"])
    assert sorted(view.genotypes[0].tolist()) == [[-1, -1], [-1, -1], [0, 1]]


@pytest.mark.parametrize(
    ("region", "positions"),
    [("1:10-10", [10]), ("chr1:11-19", []), ("1:20-40", [20, 40]), ("2", [5]), ("2:6-10", []), ("1:50", [50])],
)
def test_a_region_is_what_overlaps_it(held, region, positions):
    view = gate.view(held.vault, project="demo", dataset="cohort", regions=[region])
    assert view.sites.pos.tolist() == positions
    assert len(view.pseudonyms) == 3


def test_regions_that_overlap_give_each_site_once(held):
    view = gate.view(held.vault, project="demo", dataset="cohort", regions=["1:1-20", "1:10-40", "1:20-20"])
    assert view.sites.pos.tolist() == [10, 20, 40]


def test_a_panel_view_keeps_its_loci_whoever_carries_them_and_lists_those_not_assayed(held):
    panel(held, "contig\tpos\tref\talt\n1\t30\tG\tT\n1\t20\tC\tG\nchr1\t40\t\t\n1\t60\t\t\n1\t10\tA\tC\n")
    view = gate.view(held.vault, project="demo", dataset="cohort", panel="p")
    assert view.not_assayed == ("1:60", "1:10")
    assert shown(held, view) == {
        ("1", 20, "C,G,A"): {"A": "0|0", "B": "0|2", "D": "./."},  # the panel names G; A is carried
        ("1", 30, "G,T"): {"A": "0|0", "B": "./.", "D": "./."},
        ("1", 40, "T,TA"): {"A": "1|1", "B": "0|0", "D": "./."},
    }


def test_a_panel_made_before_more_is_appended_reads_that_too(held):
    panel(held, "contig\tpos\n1\t50\n1\t99\n")
    held.load(held.write("3.vcf", vcf("E", "1 50 G C 1/1", "1 99 A T 0/0").data), append=True)
    held.everyone_consents()
    view = gate.view(held.vault, project="demo", dataset="cohort", panel="p")
    found = shown(held, view)
    assert found["1", 50, "G,C"] == {"A": "./.", "B": "./.", "D": "0|1", "E": "1/1"}
    assert found["1", 99, "A"] == {"A": "./.", "B": "./.", "D": "./.", "E": "0/0"}
    assert view.not_assayed == ()


def test_when_nobody_is_left_nothing_is_released(held):
    for sample in "ABD":
        recording.withdraw(held.vault, sample)
    with pytest.raises(RefusedError) as caught:
        gate.view(held.vault, project="demo", dataset="cohort")
    assert caught.value.code == "no_one_permitted"
