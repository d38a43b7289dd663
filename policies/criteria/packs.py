"""Criteria packs: named, versioned lists of criteria over the loci of one panel, read strictly.

    name: pgx-findings
    version: 1
    source: "CPIC, collected 2026-11-22"
    panel: pgx                                       # the panel whose loci these are
    assembly: GRCh38
    loci: {rs4244285: "chr10:94781859:G:A"}          # CONTIG:POS:REF:ALT
    genes:
      CYP2C19: {reference: "*1", haplotypes: {"*2": [rs4244285]}}
    criteria:
      - {id: cyp2c19-poor, title: CYP2C19 poor metaboliser, expression: {diplotype: CYP2C19, is: ["*2/*2"]}}

A haplotype carries the ALTs of its loci, and of no other locus of its gene; the reference carries none. What carries others is no
haplotype of the pack, and the pack's are taken to be all that there are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from policies import assemblies, canonical
from policies.criteria.expressions import DiplotypeIn, Expression, Vocabulary, as_dict, atoms, read_expression
from policies.disclosure import alleles
from policies.disclosure.alleles import Allele
from policies.errors import InputProblem, PolicyInputError
from policies.strict_mapping import HANDLE, Section

MAX_CRITERIA = 1_000
MAX_LOCI = 10_000
MAX_GENES = 500
MAX_HAPLOTYPES = 100  # of one gene: their pairs are all tried
MAX_GENE_LOCI = 100
MAX_VERSION = 1_000_000

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
"""Names of loci and genes, as a pack's criteria write them."""


@dataclass(frozen=True)
class Criterion:
    """One question that a pack asks of everybody."""

    id: str
    title: str
    expression: Expression


@dataclass(frozen=True)
class GeneHaplotypes:
    """A gene's haplotypes by name, each the loci whose ALT it carries; the reference carries none."""

    name: str
    reference: str
    haplotypes: Mapping[str, frozenset[str]]

    @cached_property
    def loci(self) -> tuple[str, ...]:
        """Loci that tell its haplotypes apart, by name."""
        return tuple(sorted(set().union(*self.haplotypes.values())))


@dataclass(frozen=True)
class CriteriaPack:
    """A pack in one version."""

    name: str
    version: int
    title: str
    source: str
    panel: str
    assembly: str
    loci: Mapping[str, Allele]
    genes: Mapping[str, GeneHaplotypes]
    criteria: tuple[Criterion, ...]

    @property
    def label(self) -> str:
        """NAME@VERSION."""
        return f"{self.name}@{self.version}"

    def text(self) -> str:
        """Canonical JSON of the pack, which ``parse_stored`` reads."""
        return canonical.dumps(pack_as_dict(self))

    def meaning(self, criterion: Criterion) -> str:
        """64 hex digits: digest of a criterion with the loci and haplotypes that it speaks of. Packs that ask the same have the same."""
        named = list(atoms(criterion.expression))
        genes = {atom.gene: _gene_dict(self.genes[atom.gene]) for atom in named if isinstance(atom, DiplotypeIn)}
        own = {atom.locus for atom in named if not isinstance(atom, DiplotypeIn)}
        own |= {locus for name in genes for locus in self.genes[name].loci}
        places = {locus: self.loci[locus].text for locus in own}
        said = {"assembly": self.assembly, "loci": places, "genes": genes, "expression": as_dict(criterion.expression)}
        return canonical.sha256(said)


def parse_pack(data: object) -> CriteriaPack:
    """Parse the mapping loaded from PACK.yaml.

    Raises:
        PolicyInputError: with every problem and its place; unknown fields are problems.
    """
    pack, problems = _read(data)
    if problems or pack is None:
        raise PolicyInputError.from_problems(problems)
    return pack


def parse_stored(text: str) -> CriteriaPack:
    """Parse the canonical text of a pack. Raises PolicyInputError as ``parse_pack``."""
    return parse_pack(canonical.loads(text))


def lint(data: object) -> tuple[InputProblem, ...]:
    """Every problem of a pack, empty when ``parse_pack`` would accept it."""
    return tuple(_read(data)[1])


def pack_as_dict(pack: CriteriaPack) -> dict[str, object]:
    """Pack as JSON values in the shape of PACK.yaml."""
    listed = [{"id": one.id, "title": one.title, "expression": as_dict(one.expression)} for one in pack.criteria]
    found: dict[str, object] = {
        "name": pack.name,
        "version": pack.version,
        "title": pack.title,
        "source": pack.source,
        "panel": pack.panel,
        "assembly": pack.assembly,
        "loci": {name: allele.text for name, allele in pack.loci.items()},
        "genes": {name: _gene_dict(gene) for name, gene in pack.genes.items()},
        "criteria": listed,
    }
    return {key: value for key, value in found.items() if value}


def _gene_dict(gene: GeneHaplotypes) -> dict[str, object]:
    carried = {name: sorted(loci) for name, loci in gene.haplotypes.items() if name != gene.reference}
    return {"reference": gene.reference, "haplotypes": carried}


def _read(data: object) -> tuple[CriteriaPack | None, list[InputProblem]]:
    problems: list[InputProblem] = []
    top = Section(data, "", problems)
    name = top.handle("name")
    version = top.whole("version", 1, MAX_VERSION)
    if version is None and not problems:
        top.note("missing", "a pack has a version: a whole number, another for each change", "version")
    title, source = top.text("title", default="", longest=300), top.text("source", longest=2_000)
    panel, assembly = top.text("panel", longest=64), _assembly(top)
    loci = _loci(top)
    genes = _genes(top, frozenset(loci))
    words = Vocabulary(frozenset(loci), {gene.name: frozenset(gene.haplotypes) for gene in genes.values()})
    criteria = _criteria(top, words)
    top.finish()
    if problems or version is None:
        return None, problems
    return CriteriaPack(name, version, title, source, panel, assembly, loci, genes, criteria), problems


def _assembly(top: Section) -> str:
    text = top.text("assembly", longest=100)
    try:
        return assemblies.known_assembly(text, place="assembly") if text else ""
    except PolicyInputError as error:
        top.problems.extend(error.problems)
        return ""


def _loci(top: Section) -> dict[str, Allele]:
    found: dict[str, Allele] = {}
    spelled: dict[Allele, str] = {}
    for name, value in top.entries("loci", most=MAX_LOCI, required=True):
        place = f"loci.{name:.64}"
        if not NAME.fullmatch(name):
            top.note("bad_name", "a locus's name is letters, digits, dots, hyphens, plus signs and underscores", place)
        elif not isinstance(value, str):
            top.note("not_text", alleles.HOW, place)
        else:
            try:
                allele = alleles.parse(value, place=place)
            except PolicyInputError as error:
                top.problems.extend(error.problems)
                continue
            if allele in spelled:
                top.note("repeated", f"this is the locus {spelled[allele]}", place)
            found[name], spelled[allele] = allele, name
    return found


def _genes(top: Section, loci: frozenset[str]) -> dict[str, GeneHaplotypes]:
    found: dict[str, GeneHaplotypes] = {}
    for name, value in top.entries("genes", most=MAX_GENES):
        section = Section(value, f"genes.{name:.64}", top.problems)
        if not NAME.fullmatch(name):
            section.note("bad_name", "a gene's name is letters, digits, dots, hyphens, plus signs and underscores")
            continue
        reference = section.text("reference", longest=100)
        haplotypes = {reference: frozenset[str]()}
        for label, listed in section.entries("haplotypes", most=MAX_HAPLOTYPES, required=True):
            carried = _carried(section, label, listed, loci)
            if "/" in label or not label.strip() or label != label.strip() or len(label) > 100 or not label.isprintable():
                section.note("bad_name", "a haplotype's name has no slash and no space around it", f"haplotypes.{label:.64}")
            elif label == reference:
                section.note("repeated", "the reference carries no ALT, and is not listed", f"haplotypes.{label}")
            elif carried in haplotypes.values():
                section.note("repeated", "another haplotype carries the same", f"haplotypes.{label}")
            elif carried:
                haplotypes[label] = carried
        section.finish()
        found[name] = GeneHaplotypes(name, reference, haplotypes)
        if len(found[name].loci) > MAX_GENE_LOCI:
            section.note("too_many", f"at most {MAX_GENE_LOCI} loci of one gene", "haplotypes")
    return found


def _carried(section: Section, label: str, listed: object, loci: frozenset[str]) -> frozenset[str]:
    place = f"haplotypes.{label:.64}"
    if not isinstance(listed, (list, tuple)) or not listed or not all(isinstance(one, str) for one in listed):
        section.note("not_a_list", "must be a list of loci whose ALT it carries", place)
        return frozenset()
    strange = next((str(one) for one in listed if one not in loci), None)
    if strange is not None:
        section.note("unknown_locus", f"the pack defines no locus {strange!r:.60}", place)
        return frozenset()
    if len(set(listed)) != len(listed):
        section.note("repeated", "a locus is given twice", place)
    return frozenset(str(one) for one in listed)


def _criteria(top: Section, words: Vocabulary) -> tuple[Criterion, ...]:
    found: dict[str, Criterion] = {}
    listed = top.sections("criteria", required=True)
    if len(listed) > MAX_CRITERIA:
        top.note("too_many", f"at most {MAX_CRITERIA:,} criteria", "criteria")
        return ()
    for section in listed:
        own = section.text("id", longest=64)
        if own and not HANDLE.fullmatch(own):
            section.note(
                "bad_name", "lower-case letters, digits and single hyphens or underscores, beginning with a letter", "id"
            )
        if own in found:
            section.note("repeated", f"{own!r} is given twice", "id")
        title = section.text("title", longest=300)
        expression = read_expression(section.section("expression", required=True), words)
        section.finish()
        if expression is not None:
            found[own] = Criterion(own, title, expression)
    return tuple(found.values())
