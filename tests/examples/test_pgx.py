from __future__ import annotations

import pytest
from alleles import load_genes
from pgx import INDETERMINATE, NO_CALL, OTHER, Call, call_gene

GENES = load_genes()


def person(gene: str, **genotypes: str):
    """A call from GT text per rsID; loci not named are 0/0."""
    calls = []
    for locus in GENES[gene].loci:
        text = genotypes.get(locus.rsid, "0/0")
        values = [NO_CALL if part == "." else int(part) for part in text.replace("|", "/").split("/")]
        calls.append(Call(*values, phased="|" in text))
    return call_gene(GENES[gene], calls)


@pytest.mark.parametrize(
    ("gene", "genotypes", "diplotype", "phenotype"),
    [
        ("CYP2C19", {}, "*1/*1", "Normal Metabolizer"),
        ("CYP2C19", {"rs12248560": "0/1"}, "*1/*17", "Rapid Metabolizer"),
        ("CYP2C19", {"rs12248560": "1/1"}, "*17/*17", "Ultrarapid Metabolizer"),
        ("CYP2C19", {"rs4244285": "0/1", "rs12769205": "0/1"}, "*1/*2", "Intermediate Metabolizer"),
        ("CYP2C19", {"rs4244285": "1/1", "rs12769205": "1/1"}, "*2/*2", "Poor Metabolizer"),
        ("CYP2C19", {"rs4244285": "0/1", "rs12769205": "1/1"}, "*2/*35", "Poor Metabolizer"),
        ("CYP2C19", {"rs4244285": "0/1", "rs12769205": "0/1", "rs12248560": "0/1"}, "*2/*17", "Intermediate Metabolizer"),
        ("CYP2C19", {"rs4244285": "0/1", "rs12769205": "0/1", "rs4986893": "0/1"}, "*2/*3", "Poor Metabolizer"),
        ("CYP2C19", {"rs12248560": "0|1", "rs28399504": "0|1"}, "*1/*4", "Intermediate Metabolizer"),
        ("CYP2C19", {"rs12248560": "1|0", "rs28399504": "0|1"}, "*4/*17", "Intermediate Metabolizer"),
        ("SLCO1B1", {}, "*1/*1", "Normal Function"),
        ("SLCO1B1", {"rs4149056": "0/1"}, "*1/*5", "Decreased Function"),
        ("SLCO1B1", {"rs2306283": "1/1"}, "*37/*37", "Normal Function"),
        ("SLCO1B1", {"rs2306283": "1/1", "rs4149056": "0/1"}, "*15/*37", "Decreased Function"),
        ("SLCO1B1", {"rs2306283": "0/1", "rs4149056": "1/1"}, "*5/*15", "Poor Function"),
        ("DPYD", {}, "Reference/Reference", "Normal Metabolizer"),
        ("DPYD", {"rs67376798": "0/1"}, "Reference/c.2846A>T", "Intermediate Metabolizer"),
        ("DPYD", {"rs3918290": "0/1"}, "Reference/c.1905+1G>A (*2A)", "Intermediate Metabolizer"),
        ("DPYD", {"rs3918290": "1/1"}, "c.1905+1G>A (*2A)/c.1905+1G>A (*2A)", "Poor Metabolizer"),
        ("DPYD", {"rs75017182": "1/1"}, "c.1129-5923C>G (HapB3)/c.1129-5923C>G (HapB3)", "Intermediate Metabolizer"),
        (
            "DPYD",
            {"rs67376798": "0|1", "rs3918290": "0|1"},
            "Reference/[c.2846A>T + c.1905+1G>A (*2A)]",
            "Intermediate Metabolizer",
        ),
        ("DPYD", {"rs67376798": "1|0", "rs3918290": "0|1"}, "c.1905+1G>A (*2A)/c.2846A>T", "Poor Metabolizer"),
        ("TPMT", {}, "*1/*1", "Normal Metabolizer"),
        ("TPMT", {"rs1142345": "0/1"}, "*1/*3C", "Intermediate Metabolizer"),
        ("TPMT", {"rs1800460": "1/1", "rs1142345": "0/1"}, "*3A/*3B", "Poor Metabolizer"),
        ("TPMT", {"rs1800462": "0/1", "rs1142345": "0/1"}, "*2/*3C", "Poor Metabolizer"),
        ("TPMT", {"rs1800460": "0|1", "rs1142345": "0|1"}, "*1/*3A", "Intermediate Metabolizer"),
        ("TPMT", {"rs1800460": "1|0", "rs1142345": "0|1"}, "*3B/*3C", "Poor Metabolizer"),
    ],
)
def test_diplotypes_that_the_genotypes_settle(gene, genotypes, diplotype, phenotype):
    call = person(gene, **genotypes)
    assert (call.status, call.diplotype, call.phenotype) == ("called", diplotype, phenotype)
    assert call.recommendation
    assert call.note == ""


@pytest.mark.parametrize(
    ("gene", "genotypes", "reported", "also"),
    [
        ("TPMT", {"rs1800460": "0/1", "rs1142345": "0/1"}, "*1/*3A", "*3B/*3C (Poor Metabolizer)"),
        ("TPMT", {"rs1800460": "0|1", "rs1142345": "0/1"}, "*1/*3A", "*3B/*3C (Poor Metabolizer)"),
        ("SLCO1B1", {"rs2306283": "0/1", "rs4149056": "0/1"}, "*1/*15", "*5/*37 (Decreased Function)"),
        ("CYP2C19", {"rs12248560": "0/1", "rs28399504": "0/1"}, "*1/*4", "*4/*17 (Intermediate Metabolizer)"),
    ],
)
def test_without_phase_the_convention_is_reported_and_the_other_named(gene, genotypes, reported, also):
    call = person(gene, **genotypes)
    assert (call.status, call.diplotype) == ("ambiguous", reported)
    assert len(call.candidates) == 2
    assert also in call.note


def test_unphased_dpyd_variants_are_taken_apart():
    call = person("DPYD", rs67376798="0/1", rs3918290="0/1")
    assert call.status == "ambiguous"
    assert call.phenotype == "Poor Metabolizer"
    assert "lowest activity" in call.note


@pytest.mark.parametrize("gene", GENES)
@pytest.mark.parametrize("missing", ["./.", "0/.", "./1"])
def test_any_locus_without_a_call_makes_the_gene_indeterminate(gene, missing):
    for locus in GENES[gene].loci:
        call = person(gene, **{locus.rsid: missing})
        assert call.status == "indeterminate"
        assert call.phenotype == INDETERMINATE
        assert (call.diplotype, call.candidates, call.recommendation) == ("", (), "")
        assert call.no_call == (locus.rsid,)
        assert call.note == f"no call at {locus.rsid}"


def test_what_was_seen_is_told_even_where_the_gene_is_indeterminate():
    call = person("DPYD", rs3918290="1/1", rs67376798="./.")
    assert call.status == "indeterminate"
    assert call.seen == ("rs3918290 hom",)


def test_an_unexpected_allele_is_not_reference():
    call = person("TPMT", rs1142345=f"0/{OTHER}")
    assert call.status == "indeterminate"
    assert "rs1142345" in call.note


def test_a_combination_outside_the_allele_set_is_indeterminate():
    call = person("CYP2C19", rs4244285="1/1")  # *2 without the splice variant it always comes with
    assert call.status == "indeterminate"
    assert "combination" in call.note


def test_every_phenotype_that_can_be_reported_has_a_recommendation():
    for gene in GENES.values():
        phenotypes = set(gene.phenotypes.values()) | {phenotype for _, phenotype in gene.scores}
        assert phenotypes == set(gene.recommendations)
