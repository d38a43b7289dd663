"""The facts the engine calls from, read from ``alleles.yaml`` (sources and date stand at its head)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).with_name("alleles.yaml")


@dataclass(frozen=True)
class Locus:
    """One defining variant. ``positions`` by assembly, 1-based; ``proxy`` answers where this one has no call."""

    rsid: str
    positions: Mapping[str, int]
    ref: str
    alt: str
    proxy: Locus | None = None


@dataclass(frozen=True)
class Allele:
    """A named haplotype: it carries ``variants`` (rsIDs), may carry ``either``, and no other locus of the gene."""

    name: str
    variants: frozenset[str]
    either: frozenset[str]
    function: str
    value: float

    def fits(self, carried: frozenset[str]) -> bool:
        """A chromosome that carries exactly these variants may be this allele."""
        return self.variants <= carried <= self.variants | self.either


@dataclass(frozen=True)
class Gene:
    """A gene's loci (ascending), named alleles, and what a diplotype means.

    ``by_value``: each variant is its own allele with an activity value, and a haplotype has the lowest of its variants' values;
    otherwise a diplotype's two functions name the phenotype. ``conventions``: diplotype -> diplotypes that it stands for when
    phase is unknown.
    """

    name: str
    contig: str
    loci: tuple[Locus, ...]
    reference: str
    alleles: tuple[Allele, ...]
    by_value: bool
    conventions: Mapping[str, frozenset[str]]
    phenotypes: Mapping[tuple[str, str], str]
    scores: tuple[tuple[float, str], ...]
    drug: str
    recommendations: Mapping[str, str]


def load_genes(path: Path = DATA) -> dict[str, Gene]:
    """Genes by name, in the order of the file."""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: _gene(name, entry) for name, entry in data["genes"].items()}


def panel_vcf(genes: Mapping[str, Gene], assembly: str, *, prefix: str = "chr") -> str:
    """The loci as a VCF without samples, as ``genovault panel create --loci`` takes it. ``prefix`` goes before contig names."""
    rows = sorted(
        (int(gene.contig), each.positions[assembly], each.rsid, each.ref, each.alt)
        for gene in genes.values()
        for locus in gene.loci
        for each in (locus, locus.proxy)
        if each
    )
    contigs = [f"##contig=<ID={prefix}{contig},assembly={assembly}>" for contig in sorted({row[0] for row in rows})]
    header = ["##fileformat=VCFv4.3", *contigs, "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    return "\n".join(header + [f"{prefix}{c}\t{pos}\t{rsid}\t{ref}\t{alt}\t.\t.\t." for c, pos, rsid, ref, alt in rows]) + "\n"


def _gene(name: str, entry: Mapping[str, Any]) -> Gene:
    alleles = tuple(
        Allele(
            label,
            frozenset(fact.get("variants", ())),
            frozenset(fact.get("either", ())),
            fact.get("function", ""),
            float(fact.get("value", 1)),
        )
        for label, fact in entry["alleles"].items()
    )
    return Gene(
        name=name,
        contig=entry["contig"],
        loci=tuple(_locus(rsid, fact) for rsid, fact in entry["loci"].items()),
        reference=entry["reference"],
        alleles=alleles,
        by_value=entry.get("combine") == "lowest",
        conventions={rule["report"]: frozenset(rule["over"]) for rule in entry.get("conventions", ())},
        phenotypes={tuple(sorted(rule["functions"])): rule["phenotype"] for rule in entry.get("phenotypes", ())},
        scores=tuple((float(rule["from"]), rule["phenotype"]) for rule in entry.get("scores", ())),
        drug=entry["drug"],
        recommendations=entry["recommendations"],
    )


def _locus(rsid: str, fact: Mapping[str, Any]) -> Locus:
    proxy = fact.get("proxy")
    return Locus(
        rsid=rsid,
        positions={assembly: fact[assembly] for assembly in ("GRCh37", "GRCh38")},
        ref=fact["ref"],
        alt=fact["alt"],
        proxy=_locus(proxy["rsid"], proxy) if proxy else None,
    )
