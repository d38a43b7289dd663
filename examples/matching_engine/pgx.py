"""From a person's genotypes at a gene's loci to diplotype, phenotype and recommendation. Pure; an example, not for clinical use.

Missing is never reference: one locus without a call makes the gene indeterminate, and says which. Without phase several
diplotypes can explain the same genotypes; all are listed, and one is reported where a convention settles it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from alleles import Allele, Gene

NO_CALL, REFERENCE, VARIANT, OTHER = (
    -1,
    0,
    1,
    2,
)  # what one chromosome shows at a locus; OTHER = neither reference nor the variant

DISCLAIMER = "Example, not for clinical use."
INDETERMINATE = "Indeterminate"


@dataclass(frozen=True)
class Call:
    """One person at one locus. ``phased``: the two chromosomes keep their order across the loci that say so."""

    first: int
    second: int
    phased: bool = False
    by_proxy: bool = False

    @property
    def known(self) -> bool:
        """Both chromosomes were read."""
        return NO_CALL not in (self.first, self.second)


@dataclass(frozen=True)
class GeneCall:
    """The call of one person at one gene.

    ``status`` is "called", "ambiguous" (phase unknown, ``candidates`` lists every diplotype that fits) or "indeterminate"
    (``diplotype`` is empty; ``no_call`` lists the rsIDs that stand in the way). ``seen`` lists the variants found in any case.
    """

    gene: str
    status: Literal["called", "ambiguous", "indeterminate"]
    diplotype: str
    candidates: tuple[str, ...]
    phenotype: str
    drug: str
    recommendation: str
    no_call: tuple[str, ...]
    seen: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class _Diplotype:
    name: str
    phenotype: str
    score: float


def call_gene(gene: Gene, calls: Sequence[Call]) -> GeneCall:
    """Call one person. ``calls``: one per locus of ``gene.loci``, in that order."""
    by_rsid = dict(zip((locus.rsid for locus in gene.loci), calls, strict=True))
    seen = tuple(f"{rsid} {'hom' if call.first == call.second else 'het'}" for rsid, call in by_rsid.items() if _shows(call))
    missing = tuple(rsid for rsid, call in by_rsid.items() if not call.known)
    if missing:
        return _indeterminate(gene, seen, missing, f"no call at {', '.join(missing)}")
    strange = [rsid for rsid, call in by_rsid.items() if OTHER in (call.first, call.second)]
    if strange:
        return _indeterminate(gene, seen, (), f"another allele than expected at {', '.join(strange)}")
    found = _diplotypes(gene, by_rsid)
    if not found:
        return _indeterminate(gene, seen, (), "variants in a combination that no allele of this example has")
    return _report(gene, found, seen, [rsid for rsid, call in by_rsid.items() if call.by_proxy])


def _shows(call: Call) -> bool:
    return VARIANT in (call.first, call.second)


def _indeterminate(gene: Gene, seen: tuple[str, ...], missing: tuple[str, ...], why: str) -> GeneCall:
    return GeneCall(gene.name, "indeterminate", "", (), INDETERMINATE, gene.drug, "", missing, seen, why)


def _report(gene: Gene, found: list[_Diplotype], seen: tuple[str, ...], proxied: list[str]) -> GeneCall:
    chosen = _choose(gene, found)
    phenotypes = {each.phenotype for each in found}
    notes = [f"{rsid} read from its proxy" for rsid in proxied]
    if len(found) > 1:
        others = [f"{each.name} ({each.phenotype})" for each in found if each is not chosen]
        why = "lowest activity" if gene.by_value else "by convention"
        notes.append(f"phase unknown: {chosen.name} {why}; also possible: {', '.join(others)}" if chosen else "phase unknown")
    phenotype = chosen.phenotype if chosen else phenotypes.pop() if len(phenotypes) == 1 else INDETERMINATE
    names = tuple(each.name for each in found)
    return GeneCall(
        gene=gene.name,
        status="called" if len(found) == 1 else "ambiguous",
        diplotype=chosen.name if chosen else " or ".join(names),
        candidates=names,
        phenotype=phenotype,
        drug=gene.drug,
        recommendation=gene.recommendations.get(phenotype, ""),
        no_call=(),
        seen=seen,
        note="; ".join(notes),
    )


def _choose(gene: Gene, found: list[_Diplotype]) -> _Diplotype | None:
    if len(found) == 1:
        return found[0]
    if gene.by_value:
        return min(found, key=lambda each: each.score)
    names = {each.name for each in found}
    for each in found:
        if names - {each.name} <= gene.conventions.get(each.name, frozenset()):
            return each
    return None


def _diplotypes(gene: Gene, calls: dict[str, Call]) -> list[_Diplotype]:
    """Every diplotype that the genotypes allow, each once, sorted by name."""
    het = [rsid for rsid, call in calls.items() if call.first != call.second]
    chained = [rsid for rsid in het if calls[rsid].phased]
    units = ([chained] if chained else []) + [[rsid] for rsid in het if not calls[rsid].phased]
    found: dict[str, _Diplotype] = {}
    for turns in product((False, True), repeat=max(len(units) - 1, 0)):
        turned = {rsid for unit, turn in zip(units[1:], turns, strict=True) if turn for rsid in unit}
        first = frozenset(r for r, call in calls.items() if (call.second if r in turned else call.first) == VARIANT)
        second = frozenset(r for r, call in calls.items() if (call.first if r in turned else call.second) == VARIANT)
        pair = [_haplotype(gene, carried) for carried in (first, second)]
        if None not in pair:
            diplotype = _diplotype(gene, sorted((allele for allele in pair if allele), key=lambda a: _order(gene, a.name)))
            found[diplotype.name] = diplotype
    return [found[name] for name in sorted(found)]


def _haplotype(gene: Gene, carried: frozenset[str]) -> Allele | None:
    """The allele that carries exactly these variants; with several that fit, the one that asks for most."""
    if gene.by_value and len(carried) > 1:
        parts = [allele for allele in gene.alleles if allele.variants and allele.variants <= carried]
        name = "[" + " + ".join(part.name for part in parts) + "]"
        return Allele(name, carried, frozenset(), "", min(part.value for part in parts))
    fitting = [allele for allele in gene.alleles if allele.fits(carried)]
    return max(fitting, key=lambda allele: len(allele.variants), default=None)


def _order(gene: Gene, name: str) -> tuple[bool, int, str]:
    """The reference first, then by star number."""
    digits = "".join(c for c in name.rpartition("*")[2] if c.isdigit()) if name.startswith("*") else ""
    return name != gene.reference, int(digits or 0), name


def _diplotype(gene: Gene, pair: list[Allele]) -> _Diplotype:
    name = "/".join(allele.name for allele in pair)
    score = sum(allele.value for allele in pair)
    if gene.by_value:
        return _Diplotype(name, next(phenotype for least, phenotype in gene.scores if score >= least), score)
    first, second = sorted(allele.function for allele in pair)
    return _Diplotype(name, gene.phenotypes.get((first, second), INDETERMINATE), score)
