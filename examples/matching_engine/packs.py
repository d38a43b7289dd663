"""A criteria pack from the same facts: what the engine recommends on, as questions that a vault answers in place.

    python examples/matching_engine/packs.py GRCh38 > examples/matching_engine/pack.GRCh38.yaml

For each gene: one criterion for each phenotype that is not normal, and one for any of them, which also holds where phase leaves open
which. DPYD, whose variants are alleles of their own, is asked by the variants alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import combinations_with_replacement

from alleles import Gene, load_genes

SOURCE = (
    "CPIC allele definition, functionality and diplotype-phenotype tables (cpicpgx.org, CC0), as distributed in ClinPGX release 2025-11-05;"
    " collected 2026-11-22. An example, not for clinical use."
)


def criteria_pack(assembly: str, *, panel: str = "pgx", version: int = 1) -> dict[str, object]:
    """The pack as PACK.yaml has it, of loci on an assembly."""
    genes = load_genes()
    loci = [locus for gene in genes.values() for each in gene.loci for locus in (each, each.proxy) if locus]
    contigs = {locus.rsid: gene.contig for gene in genes.values() for each in gene.loci for locus in (each, each.proxy) if locus}
    return {
        "name": "pgx-findings",
        "version": version,
        "title": "Findings of four pharmacogenes",
        "source": SOURCE,
        "panel": panel,
        "assembly": assembly,
        "loci": {each.rsid: f"chr{contigs[each.rsid]}:{each.positions[assembly]}:{each.ref}:{each.alt}" for each in loci},
        "genes": {gene.name: _haplotypes(gene) for gene in genes.values() if not gene.by_value},
        "criteria": [
            criterion for gene in genes.values() for criterion in (_by_variants(gene) if gene.by_value else _by_phenotype(gene))
        ],
    }


def _named(gene: Gene) -> dict[str, tuple[frozenset[str], str]]:
    """Variants and function of each haplotype; one that may carry another variant is two."""
    found = {}
    for allele in gene.alleles:
        found[allele.name] = (allele.variants, allele.function)
        if allele.either:
            found[f"{allele.name}.002"] = (allele.variants | allele.either, allele.function)
    return found


def _haplotypes(gene: Gene) -> dict[str, object]:
    listed = {name: sorted(variants) for name, (variants, _) in _named(gene).items() if name != gene.reference}
    return {"reference": gene.reference, "haplotypes": listed}


def _by_phenotype(gene: Gene) -> Iterator[dict[str, object]]:
    pairs: dict[str, list[str]] = {}
    for (one, (_, first)), (two, (_, second)) in combinations_with_replacement(_named(gene).items(), 2):
        functions = sorted((first, second))
        pairs.setdefault(gene.phenotypes[functions[0], functions[1]], []).append(f"{one}/{two}")
    findings = {phenotype: found for phenotype, found in pairs.items() if not phenotype.startswith("Normal")}
    for phenotype, found in findings.items():
        yield _criterion(gene, phenotype, {"diplotype": gene.name, "is": found})
    yield _criterion(gene, "Finding", {"diplotype": gene.name, "is": [pair for found in findings.values() for pair in found]})


def _by_variants(gene: Gene) -> Iterator[dict[str, object]]:
    every = [locus.rsid for each in gene.loci for locus in (each, each.proxy) if locus]
    yield _criterion(gene, "Finding", {"or": [{"carries": rsid} for rsid in every]})
    none = [locus.rsid for locus in gene.loci for allele in gene.alleles if allele.variants == {locus.rsid} and not allele.value]
    yield _criterion(gene, "No Function Allele", {"or": [{"carries": rsid} for rsid in none]})


def _criterion(gene: Gene, what: str, expression: dict[str, object]) -> dict[str, object]:
    name = f"{gene.name}-{what}".lower().replace(" ", "-")
    return {"id": name, "title": f"{gene.name}: {what} ({gene.drug})", "expression": expression}


def as_yaml(pack: dict[str, object]) -> str:
    """The pack, a line for each locus, haplotype and criterion. JSON within lines, which YAML reads."""
    lines = []
    for key, value in pack.items():
        if isinstance(value, dict):
            lines += [f"{key}:", *(f"  {json.dumps(name)}: {json.dumps(item)}" for name, item in value.items())]
        elif isinstance(value, list):
            lines += [f"{key}:", *(f"  - {json.dumps(item)}" for item in value)]
        else:
            lines.append(f"{key}: {json.dumps(value)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_yaml(criteria_pack(sys.argv[1])), end="")
