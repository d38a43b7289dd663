"""Criteria as one person answers them, by listing every genotype that the calls allow: slow, and independent of the program's counting."""

from itertools import product

from policies.criteria.diplotypes import ALTERNATE, OTHER, REFERENCE, UNREAD, ShownCall
from policies.criteria.expressions import AllOf, AnyOf, Carries, DiplotypeIn, GenotypeIn, NotThat

PACK = {
    "name": "small",
    "version": 1,
    "title": "A small pack",
    "source": "made up",
    "panel": "pgx",
    "assembly": "GRCh37",
    "loci": {"a": "22:1000:A:G", "b": "22:1100:C:T", "c": "22:1200:G:GT"},
    "genes": {"G1": {"reference": "*1", "haplotypes": {"*2": ["a"], "*3": ["a", "b"], "*4": ["c"]}}},
    "criteria": [
        {"id": "carrier", "title": "Carries a", "expression": {"carries": "a"}},
        {"id": "two", "title": "Two copies of b", "expression": {"genotype": "b", "is": ["hom", "hemi"]}},
        {"id": "poor", "title": "Poor metaboliser", "expression": {"diplotype": "G1", "both": ["*2", "*3"]}},
        {
            "id": "mixed",
            "title": "a or b without c",
            "expression": {"and": [{"or": [{"carries": "a"}, {"carries": "b"}]}, {"not": {"carries": "c"}}]},
        },
    ],
}


def answer(pack, expression, calls):
    """True, False or None (unknown) for a person with ``calls``: locus -> (first, second, phased); second None: one chromosome."""
    match expression:
        case Carries(locus):
            return _carries(calls[locus])
        case GenotypeIn(locus, zygosities):
            return _genotype(calls[locus], {str(one) for one in zygosities})
        case DiplotypeIn(gene, pairs):
            return one_of(pack.genes[gene], pairs, calls)
        case AllOf(terms):
            said = [answer(pack, term, calls) for term in terms]
            return False if False in said else None if None in said else True
        case AnyOf(terms):
            said = [answer(pack, term, calls) for term in terms]
            return True if True in said else None if None in said else False
        case NotThat(term):
            said = answer(pack, term, calls)
            return None if said is None else not said


def one_of(gene, pairs, calls):
    """Whether the person has one of the pairs, of those haplotypes that the gene has."""
    found = {pair in pairs for pair in diplotypes(gene, calls) if None not in pair}
    return found.pop() if len(found) == 1 else None


def diplotypes(gene, calls):
    """Every pair of haplotypes, sorted, that calls and phase allow; None in it for a chromosome that is no haplotype of the gene."""
    names = {frozenset(carried): name for name, carried in gene.haplotypes.items()}
    options = [[(x, y) for x in _may_be(a) for y in _may_be(b)] for a, b, _ in (_pair(calls[locus]) for locus in gene.loci)]
    turns = [(False,) if calls[locus][2] else (False, True) for locus in gene.loci]
    found = set()
    for shown in product(*options):
        for turned in product(*turns):
            two = [pair[::-1] if turn else pair for pair, turn in zip(shown, turned, strict=True)]
            found.add(tuple(sorted((_name(names, gene, [pair[at] for pair in two]) for at in (0, 1)), key=str)))
    return found


def as_shown(calls, loci):
    """The calls as ``policies.criteria.diplotypes`` takes them."""
    return [ShownCall(*_pair(calls[locus])) for locus in loci]


def _name(names, gene, chromosome):
    carried = frozenset(locus for locus, allele in zip(gene.loci, chromosome, strict=True) if allele == ALTERNATE)
    return None if OTHER in chromosome else names.get(carried)


def _pair(call):
    first, second, phased = call
    return first, UNREAD if second is None else second, phased


def _may_be(allele):
    return (REFERENCE, ALTERNATE, OTHER) if allele == UNREAD else (allele,)


def _carries(call):
    read = [one for one in call[:2] if one is not None]
    return True if ALTERNATE in read else None if UNREAD in read else False


def _genotype(call, wanted):
    read = [one for one in call[:2] if one is not None]
    if all(one == UNREAD for one in read):
        return None
    kinds = {0: "none", 1: "hemi"} if len(read) == 1 else {0: "none", 1: "het", 2: "hom"}
    found = {kinds[sum(one == ALTERNATE for one in whole)] in wanted for whole in product(*(_may_be(one) for one in read))}
    return found.pop() if len(found) == 1 else None
