from __future__ import annotations

import json
from pathlib import Path

import alleles
import engine
import pytest
from alleles import load_genes, panel_vcf
from observe import Panel, observe
from pgx import NO_CALL

from tests.support.vcf_text import vcf
from tests.support.views import view_of

GENES = load_genes()
TPMT = {"TPMT": GENES["TPMT"]}
DPYD = {"DPYD": GENES["DPYD"]}


def tpmt(*rows: str, samples: str = "a b", assembly: str = "GRCh38"):
    return engine.run(view_of(vcf(samples, *rows), assembly=assembly), TPMT)


def test_people_and_genes_come_in_the_view_s_order():
    view = view_of(vcf("p2 p1", "chr6 18130687 T C 0/0 0/1", "chr6 18138997 C T 0/0 0/0", "chr6 18143724 C G 0/0 0/0"))
    matches = engine.run(view)
    assert [(m.pseudonym, m.call.gene) for m in matches] == [(p, g) for p in ("p2", "p1") for g in GENES]
    assert {m.pseudonym: m.call.diplotype for m in matches if m.call.gene == "TPMT"} == {"p2": "*1/*1", "p1": "*1/*3C"}
    assert all(m.call.status == "indeterminate" for m in matches if m.call.gene != "TPMT")


def test_contig_names_and_assemblies():
    rows = ("6 18130918 T C 0/0 1/1", "6 18139228 C T 0/0 0/0", "6 18143955 C G 0/0 0/0")
    assert [m.call.diplotype for m in tpmt(*rows, assembly="GRCh37")] == ["*1/*1", "*3C/*3C"]
    assert {m.call.status for m in tpmt(*rows)} == {"indeterminate"}


def test_a_locus_the_view_lacks_is_no_call():
    first, second = tpmt("chr6 18130687 T C 0/0 0/1", "chr6 18138997 C T 0/0 0/0")
    assert first.call.no_call == second.call.no_call == ("rs1800462",)


def test_another_reference_base_does_not_answer():
    matches = tpmt("chr6 18130687 C T 0/0 0/1", "chr6 18138997 C T 0/0 0/0", "chr6 18143724 C G 0/0 0/0")
    assert {m.call.no_call for m in matches} == {("rs1142345",)}


def test_half_haploid_and_polyploid_calls_are_no_calls():
    matches = tpmt(
        "chr6 18130687 T C 0/. 0 0/0/0 ./. 0/0",
        "chr6 18138997 C T 0/0 0/0 0/0 0/0 0/0",
        "chr6 18143724 C G 0/0 0/0 0/0 0/0 0/0",
        samples="half haploid polyploid missing whole",
    )
    assert [m.call.status for m in matches] == ["indeterminate"] * 4 + ["called"]


def test_a_site_with_no_alt_left_still_says_reference():
    matches = tpmt("chr6 18130687 T . 0/0 ./.", "chr6 18138997 C T 0/0 0/0", "chr6 18143724 C G 0/0 0/0")
    assert [m.call.diplotype for m in matches] == ["*1/*1", ""]


def test_multi_allelic_sites_read_by_allele_and_not_by_number():
    matches = tpmt("chr6 18130687 T G,C 0/2 0/1", "chr6 18138997 C T 0/0 0/0", "chr6 18143724 C G 0/0 0/0")
    assert matches[0].call.diplotype == "*1/*3C"
    assert matches[1].call.status == "indeterminate"


def test_split_records_each_add_what_they_know():
    matches = tpmt(
        "chr6 18130687 T C 0/1 0/0 ./. 0/0",
        "chr6 18130687 T G 0/0 0/1 0/0 ./.",
        "chr6 18138997 C T 0/0 0/0 0/0 0/0",
        "chr6 18143724 C G 0/0 0/0 0/0 0/0",
        samples="variant other unread reference",
    )
    assert [(m.call.diplotype, m.call.status) for m in matches] == [
        ("*1/*3C", "called"),
        ("", "indeterminate"),
        ("", "indeterminate"),
        ("*1/*1", "called"),
    ]


def test_one_part_may_list_the_variant_with_more_alts_than_another():
    matches = tpmt(
        "chr6 18130687 T C 0/1 ./.",
        "chr6 18130687 T C,G ./. 0/1",
        "chr6 18138997 C T 0/0 0/0",
        "chr6 18143724 C G 0/0 0/0",
    )
    assert [m.call.diplotype for m in matches] == ["*1/*3C", "*1/*3C"]


def test_the_tag_of_hapb3_answers_only_where_the_causal_site_is_silent():
    rows = ["chr1 97082391 T A", "chr1 97450058 C T", "chr1 97515787 A C"]
    rows = [f"{row} 0/0 0/0 0/0" for row in rows]
    rows += ["chr1 97573863 C T 0/1 0/1 ./.", "chr1 97579893 G C ./. 0/0 ./."]
    matches = engine.run(view_of(vcf("tagged causal neither", *rows)), DPYD)
    assert [m.call.phenotype for m in matches] == ["Intermediate Metabolizer", "Normal Metabolizer", "Indeterminate"]
    assert "proxy" in matches[0].call.note
    assert matches[2].call.no_call == ("rs75017182",)


def test_observation_shape_and_missing_value():
    shown = observe(Panel.from_view(view_of(vcf("a b c"))), GENES["CYP2C19"])
    assert shown.shape == (3, 5, 4)
    assert (shown[:, :, :2] == NO_CALL).all()


@pytest.mark.parametrize("assembly", ["GRCh37", "GRCh38"])
def test_the_panel_files_are_those_of_the_facts(assembly):
    path = Path(alleles.__file__).with_name(f"panel.{assembly}.vcf")
    assert path.read_text(encoding="utf-8") == panel_vcf(GENES, assembly)


def test_outputs_carry_the_disclaimer_and_no_normal_result_unless_asked():
    view = view_of(vcf("p1 p2", "chr6 18130687 T C 0/0 0/1", "chr6 18138997 C T 0/0 0/0", "chr6 18143724 C G 0/0 0/0"))
    matches = engine.run(view, TPMT)
    short, long = (engine.report(view, matches, everything=flag) for flag in (False, True))
    assert "p2" in short
    assert "p1" not in short
    assert "p1" in long
    document = json.loads(engine.document(view, matches))
    assert [row["diplotype"] for row in document["matches"]] == ["*1/*1", "*1/*3C"]
    for text in (short, long, document["disclaimer"]):
        assert "not for clinical use" in text
