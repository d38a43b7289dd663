"""Expressions of criteria: alleles carried, genotypes, diplotypes, joined by and, or and not.

They are read in Kleene's strong logic of three values: what cannot be told of a person's calls is unknown, an unknown term leaves open
only what hangs on it, and a call that is missing never turns yes into no.

    {carries: LOCUS}                             at least one copy of the locus's ALT
    {genotype: LOCUS, is: [het, hom]}            copies of it: none, het, hom of two chromosomes; none, hemi of one
    {diplotype: GENE, is: ["*1/*2"]}             one of these pairs of haplotypes
    {diplotype: GENE, both: ["*2", "*3"]}        both chromosomes carry one of these
    {diplotype: GENE, one: ["*2"], other: ["*1"]}
    {and: [...]}  {or: [...]}  {not: {...}}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from policies.strict_mapping import Section

MAX_DEPTH = 12  # and, or, not in each other; the document's own bound is deeper
MAX_TERMS = 20_000  # of all criteria of a pack
MAX_PAIRS = 5_000  # of one diplotype


class Zygosity(StrEnum):
    """Copies of a locus's ALT that a person's call has."""

    NONE = "none"
    HET = "het"
    HOM = "hom"
    HEMI = "hemi"  # the only chromosome has it


Pair = tuple[str, str]
"""Names of two haplotypes, sorted."""


@dataclass(frozen=True)
class Carries:
    """The person carries the locus's ALT, once or more."""

    locus: str


@dataclass(frozen=True)
class GenotypeIn:
    """The person's copies of the locus's ALT are one of these."""

    locus: str
    zygosities: tuple[Zygosity, ...]


@dataclass(frozen=True)
class DiplotypeIn:
    """The person's two chromosomes carry one of these pairs of the gene's haplotypes."""

    gene: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class AllOf:
    """Every term holds."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True)
class AnyOf:
    """A term holds."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True)
class NotThat:
    """The term does not hold."""

    term: Expression


Expression = Carries | GenotypeIn | DiplotypeIn | AllOf | AnyOf | NotThat


@dataclass
class Vocabulary:
    """Loci and haplotypes by gene that expressions may name. ``left``: terms that the pack may still have."""

    loci: frozenset[str]
    haplotypes: Mapping[str, frozenset[str]]
    left: int = MAX_TERMS


def read_expression(section: Section, words: Vocabulary, depth: int = 0) -> Expression | None:
    """Read the expression in a mapping; None, with its problems noted, where it is none."""
    words.left -= 1
    if words.left < 0:
        if words.left == -1:
            section.note("too_many", f"a pack's criteria have at most {MAX_TERMS:,} terms together")
        return None
    if depth > MAX_DEPTH:
        section.note("too_deep", f"and, or and not are at most {MAX_DEPTH} deep")
        return None
    named = [kind for kind in _READ if section.has(kind)]
    if len(named) != 1:
        section.note("not_an_expression", f"must have one of {', '.join(_READ)}")
        return None
    found = _READ[named[0]](section, words, depth)
    section.finish()
    return found


def as_dict(expression: Expression) -> dict[str, object]:
    """The expression as JSON values that ``read_expression`` reads."""
    match expression:
        case Carries(locus):
            return {"carries": locus}
        case GenotypeIn(locus, zygosities):
            return {"genotype": locus, "is": [str(one) for one in zygosities]}
        case DiplotypeIn(gene, pairs):
            return {"diplotype": gene, "is": ["/".join(pair) for pair in pairs]}
        case AllOf(terms):
            return {"and": [as_dict(term) for term in terms]}
        case AnyOf(terms):
            return {"or": [as_dict(term) for term in terms]}
        case NotThat(term):
            return {"not": as_dict(term)}


def atoms(expression: Expression) -> Iterator[Carries | GenotypeIn | DiplotypeIn]:
    """The terms that speak of genotypes, from left to right."""
    match expression:
        case AllOf(terms) | AnyOf(terms):
            for term in terms:
                yield from atoms(term)
        case NotThat(term):
            yield from atoms(term)
        case _:
            yield expression


def _carries(section: Section, words: Vocabulary, _: int) -> Expression | None:
    locus = _locus(section, "carries", words)
    return None if locus is None else Carries(locus)


def _genotype(section: Section, words: Vocabulary, _: int) -> Expression | None:
    locus = _locus(section, "genotype", words)
    zygosities = tuple(Zygosity(item) for item in section.choices("is", tuple(Zygosity), required=True))
    if {Zygosity.NONE, Zygosity.HET, Zygosity.HOM}.issubset(zygosities):
        section.note("says_nothing", "every call of two chromosomes is one of these", "is")
    return None if locus is None or not zygosities else GenotypeIn(locus, zygosities)


def _diplotype(section: Section, words: Vocabulary, _: int) -> Expression | None:
    gene = section.text("diplotype", longest=64)
    known = words.haplotypes.get(gene)
    if gene and known is None:
        section.note("unknown_gene", f"the pack defines no gene {gene!r:.60}", "diplotype")
    ways = [way for way in ("is", "both", "one") if section.has(way)]
    if len(ways) != 1:
        section.note("not_an_expression", "a diplotype has is, both, or one and other")
        for way in ("is", "both", "one", "other"):
            section.raw(way)
        return None
    pairs = _named_pairs(section) if ways == ["is"] else _product(section, ways[0])
    if len(pairs) > MAX_PAIRS:
        section.note("too_many", f"at most {MAX_PAIRS:,} pairs of haplotypes", ways[0])
        return None
    strange = sorted({name for pair in pairs for name in pair} - (known or frozenset()))
    if known is not None and strange:
        section.note("unknown_haplotype", f"{gene} has no haplotype {strange[0]!r:.60}", ways[0])
    if known is None or strange or not pairs:
        return None
    return DiplotypeIn(gene, tuple(sorted(pairs)))


def _named_pairs(section: Section) -> set[Pair]:
    found: set[Pair] = set()
    for index, text in enumerate(section.texts("is", required=True, longest=200)):
        names = [part.strip() for part in text.split("/")]
        if len(names) == 2 and all(names):
            found.add(_pair(*names))
        else:
            section.note("bad_diplotype", "a diplotype is two haplotypes: *1/*2", f"is[{index}]")
    return found


def _product(section: Section, way: str) -> set[Pair]:
    first = section.texts(way, required=True, longest=100)
    second = first if way == "both" else section.texts("other", required=True, longest=100)
    if len(first) * len(second) > 4 * MAX_PAIRS:
        section.note("too_many", f"at most {MAX_PAIRS:,} pairs of haplotypes", way)
        return set()
    return {_pair(one, two) for one in first for two in second}


def _pair(one: str, two: str) -> Pair:
    return (one, two) if one <= two else (two, one)


def _locus(section: Section, key: str, words: Vocabulary) -> str | None:
    name = section.text(key, longest=64)
    if name and name not in words.loci:
        section.note("unknown_locus", f"the pack defines no locus {name!r:.60}", key)
        return None
    return name or None


def _joined(key: str, made: Callable[[tuple[Expression, ...]], Expression]) -> _Reader:
    def read(section: Section, words: Vocabulary, depth: int) -> Expression | None:
        parts = section.sections(key, required=True)
        terms = [read_expression(part, words, depth + 1) for part in parts]
        return made(_whole(terms)) if terms and None not in terms else None

    return read


def _whole(terms: Sequence[Expression | None]) -> tuple[Expression, ...]:
    return tuple(term for term in terms if term is not None)


def _not(section: Section, words: Vocabulary, depth: int) -> Expression | None:
    term = read_expression(section.section("not", required=True), words, depth + 1)
    return None if term is None else NotThat(term)


_Reader = Callable[[Section, Vocabulary, int], Expression | None]

_READ: dict[str, _Reader] = {
    "carries": _carries,
    "genotype": _genotype,
    "diplotype": _diplotype,
    "and": _joined("and", AllOf),
    "or": _joined("or", AnyOf),
    "not": _not,
}
