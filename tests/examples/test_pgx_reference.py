"""The example engine against PharmCAT's and pypgx's answers.

Its allele set is smaller than theirs on purpose, and it calls nothing where one of its own loci has no call. So agreement means:
where it does call, the reference's diplotype is among its candidates and its phenotype is theirs. ``DIFFERENT`` lists the cases
where the smaller set shows, with the reason.
"""

from __future__ import annotations

import gzip
import itertools
import json
from collections import Counter

import engine
import pytest
from alleles import Gene, load_genes
from pgx import NO_CALL, OTHER, REFERENCE, VARIANT, Call, call_gene

from tests.support.outside import shared
from tests.support.vcf_text import Record, SmallVcf
from tests.support.views import view_of

GENES = load_genes()
PHARMCAT = "data/2-pgx/pharmcat/src/main/resources/org/pharmgkb/pharmcat/"
HAPLOTYPES = "data/2-pgx/pharmcat_haplotype_vcfs/src/test/resources/"

DIFFERENT = {
    "s15s28": "*15, *28 and *39 (normal function all) are not in the example's set: *1/*1",
}


@pytest.mark.parametrize("gene", ["CYP2C19", "SLCO1B1", "TPMT"])
def test_phenotype_of_every_diplotype_is_cpic_s(gene):
    theirs = json.loads(gzip.decompress(shared(f"{PHARMCAT}phenotype/{gene}.json.gz").read_bytes()))
    by_pair = {
        tuple(sorted(name for name, count in entry["diplotypekey"].items() for _ in range(count))): entry["phenotype"]
        for entry in theirs["diplotypes"]
    }
    mine = GENES[gene]
    for allele in mine.alleles:
        assert theirs["haplotypes"][allele.name].lower().startswith(allele.function)
    pairs = list(itertools.combinations_with_replacement(mine.alleles, 2))
    for first, second in pairs:
        phenotype = mine.phenotypes[tuple(sorted((first.function, second.function)))]
        assert by_pair[tuple(sorted((first.name, second.name)))] == phenotype
    assert len(pairs) == len(mine.alleles) * (len(mine.alleles) + 1) // 2


def test_every_locus_stands_in_pharmcat_s_positions_and_pypgx_s_table():
    positions = {}
    for line in shared("data/2-pgx/pharmcat/pharmcat_positions.vcf").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            contig, pos, rsid, ref, alts = line.split("\t")[:5]
            positions[rsid] = (contig, int(pos), ref, alts.split(","))
    table = set()
    for line in shared("data/2-pgx/pypgx_tables/variant-table.csv").read_text(encoding="utf-8").splitlines()[1:]:
        _, _, _, rsid, contig, old, new, old_ref, _, alt, *_ = line.split(",")
        table.add((rsid, contig, old, new, old_ref, alt))
    for gene in GENES.values():
        for locus in [each for own in gene.loci for each in (own, own.proxy) if each]:
            contig, pos, ref, alts = positions[locus.rsid]
            assert (contig, pos, ref) == (f"chr{gene.contig}", locus.positions["GRCh38"], locus.ref)
            assert locus.alt in alts
            old, new = (str(locus.positions[assembly]) for assembly in ("GRCh37", "GRCh38"))
            assert (locus.rsid, gene.contig, old, new, locus.ref, locus.alt) in table


def steps_as_calls(gene: Gene, steps: list[dict]) -> list[Call]:
    """PharmCAT's test steps: positions not named are homozygous reference."""
    phased = any(step["op"] == "phased" for step in steps)
    calls = {locus.rsid: Call(REFERENCE, REFERENCE) for locus in gene.loci}
    bases = {locus.rsid: {locus.ref: REFERENCE, locus.alt: VARIANT, ".": NO_CALL} for locus in gene.loci}
    for step in steps:
        name, rsid, *pair = step["args"] or ["", ""]
        if name == gene.name and rsid in calls:
            first, second = (bases[rsid].get(base, OTHER) for base in pair) if pair else (NO_CALL, NO_CALL)
            calls[rsid] = Call(first, second, phased)
    return list(calls.values())


def test_pharmcat_named_allele_cases_cyp2c19():
    cases = json.loads(shared("data/derived/pharmcat_named_allele_cases.json").read_text(encoding="utf-8"))["cases_from_rsids"]
    outcome = Counter()
    for case in cases:
        if case["gene"] != "CYP2C19":
            continue
        gene = GENES["CYP2C19"]
        call = call_gene(gene, steps_as_calls(gene, case["steps"]))
        own_missing = {step["args"][1] for step in case["steps"] if step["op"] == "missing"} & {x.rsid for x in gene.loci}
        if own_missing:
            assert set(call.no_call) == own_missing
            outcome["no call at an own locus"] += 1
        elif case["test"] in DIFFERENT:
            outcome["outside the set"] += 1
        else:
            assert set(case["expected_diplotypes"]) <= set(call.candidates), case["test"]
            assert call.diplotype in case["expected_diplotypes"]
            outcome["agrees"] += 1
    assert outcome == {"agrees": 5, "no call at an own locus": 3, "outside the set": 1}


@pytest.mark.parametrize(
    ("test", "diplotype", "phenotype"),
    [
        ("testSlco1b1HomVar", "*5/*15", "Poor Function"),
        ("testSlco1b1Test3", "*1/*15", "Decreased Function"),
        ("testDpydC2846het", "Reference/c.2846A>T", "Intermediate Metabolizer"),
    ],
)
def test_pharmcat_pipeline_cases_within_the_set(test, diplotype, phenotype):
    cases = json.loads(shared("data/derived/pharmcat_pipeline_cases.json").read_text(encoding="utf-8"))["cases"]
    (case,) = [case for case in cases if case["test"] == test]
    assert case["expected_calls"] == [diplotype]
    gene = GENES["SLCO1B1" if "Slco" in test else "DPYD"]
    call = call_gene(gene, steps_as_calls(gene, case["steps"]))
    assert (call.diplotype, call.phenotype) == (diplotype, phenotype)


@pytest.mark.parametrize(
    ("file", "diplotype", "candidates"),
    [
        ("s1s1.vcf", "*1/*1", 1),
        ("s1s1s.vcf", "*1/*1", 1),
        ("het3a.vcf", "*1/*3A", 2),
        ("hom1s_het3a.vcf", "*1/*3A", 2),
        ("s1ss1ss3.vcf", "*1/*3A", 2),
        ("s3bs3c.vcf", "*1/*3A", 2),
        ("s3as3b.vcf", "*3A/*3B", 1),
        ("s16s22.vcf", "*1/*1", 1),  # *16 and *22 are outside the set
    ],
)
def test_pharmcat_tpmt_files(file, diplotype, candidates):
    lines = shared(f"{HAPLOTYPES}org/pharmgkb/pharmcat/haplotype/TPMT/{file}").read_text(encoding="utf-8").splitlines()
    (match,) = engine.run(view_of(read(lines)), {"TPMT": GENES["TPMT"]})
    assert match.call.diplotype == diplotype
    assert len(match.call.candidates) == candidates


def test_pypgx_calls_of_1000_genomes_tpmt():
    """75 people, both panels' genotypes: 73 agree; *8 and *16 (not in the set, phenotype Indeterminate) read as *1."""
    rows = [
        row.split("\t") for row in shared("data/derived/pypgx_0.27.0_calls_1kgp75.tsv").read_text(encoding="utf-8").splitlines()
    ]
    theirs = {sample: (genotype, phenotype) for gene, sample, genotype, phenotype, *_ in rows if gene == "TPMT"}
    matches = tpmt_of("data/2-pgx/1kgp_GRCh38_3202/GRCh38/TPMT.vcf.gz", "GRCh38")
    assert len(matches) == 3202
    differing = {
        name: (matches[name].diplotype, theirs[name][0])
        for name in theirs
        if (matches[name].diplotype, matches[name].phenotype) != theirs[name]
    }
    assert sorted(differing.values()) == [("*1/*1", "*1/*16"), ("*1/*1", "*1/*8")]


def test_both_assemblies_of_1000_genomes_give_the_same_tpmt():
    new = tpmt_of("data/2-pgx/1kgp_GRCh38_3202/GRCh38/TPMT.vcf.gz", "GRCh38")
    old = tpmt_of("data/2-pgx/1kgp_GRCh37_2504/GRCh37/TPMT.vcf.gz", "GRCh37")
    both = set(new) & set(old)
    assert len(both) == 2504
    assert [name for name in both if new[name].diplotype != old[name].diplotype] == []


def tpmt_of(path: str, assembly: str) -> dict:
    wanted = {str(locus.positions[assembly]) for locus in GENES["TPMT"].loci}
    with gzip.open(shared(path), "rt", encoding="utf-8") as stream:
        kept = [line for line in stream if not line.startswith("##") and (line[0] == "#" or line.split("\t", 2)[1] in wanted)]
    lines = [line.rstrip("\n") for line in kept]
    return {match.pseudonym: match.call for match in engine.run(view_of(read(lines), assembly=assembly), {"TPMT": GENES["TPMT"]})}


def read(lines: list[str]) -> SmallVcf:
    records = []
    samples: tuple[str, ...] = ()
    for line in lines:
        columns = line.split("\t")
        if line.startswith("#CHROM"):
            samples = tuple(columns[9:])
        elif not line.startswith("#"):
            contig, pos, name, ref, alts = columns[:5]
            gts = tuple(value.split(":")[0] for value in columns[9:])
            records.append(Record(contig, int(pos), ref, () if alts == "." else tuple(alts.split(",")), gts, id=name))
    return SmallVcf(samples, tuple(records))
