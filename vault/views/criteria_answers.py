"""Criteria answered for all people of a view at once, on bits packed eight to a byte.

Each term is two sets of people: those for whom it holds and those for whom it does not; whoever is in neither is unknown. And, or and not
are then a few operations on bytes (Kleene's strong logic). Diplotypes are worked out once for each distinct row of calls at a gene.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from policies.criteria.diplotypes import ALTERNATE, OTHER, REFERENCE, UNREAD
from policies.criteria.expressions import AllOf, AnyOf, Carries, DiplotypeIn, Expression, GenotypeIn, NotThat, Zygosity
from policies.criteria.packs import CriteriaPack
from vault.views.gene_answers import GeneRows, gene_rows
from vault.views.locus_states import CODES, ONLY, States, parts


@dataclass(frozen=True)
class CriterionAnswer:
    """For whom a criterion holds, intp[k] places in the view in ascending order, and of how many people it is unknown."""

    criterion: str
    matched: NDArray[np.intp]
    unknown: int


@dataclass(frozen=True)
class _Told:
    """Bits of the people for whom a term holds, and of those for whom it does not: uint8[(n + 7) // 8] each."""

    yes: NDArray[np.uint8]
    no: NDArray[np.uint8]


def answer(pack: CriteriaPack, states: Mapping[str, States], people: int) -> list[CriterionAnswer]:
    """Answers to the criteria of a pack, in its order. ``states``: as ``locus_states`` gives them, of the pack's loci."""
    work = _Terms(pack, states, people)
    found = []
    for criterion in pack.criteria:
        told = work.told(criterion.expression)
        known = int(np.bitwise_count(told.yes | told.no).sum())
        matched = np.flatnonzero(np.unpackbits(told.yes, count=people).view(np.bool_))
        found.append(CriterionAnswer(criterion.id, matched, people - known))
    return found


class _Terms:
    """Terms that were worked out already, each once."""

    def __init__(self, pack: CriteriaPack, states: Mapping[str, States], people: int) -> None:
        self._pack, self._states, self._people = pack, states, people
        self._terms: dict[Expression, _Told] = {}
        self._genes: dict[str, GeneRows] = {}

    def told(self, term: Expression) -> _Told:
        found = self._terms.get(term)
        if found is None:
            found = self._terms[term] = self._work_out(term)
        return found

    def _work_out(self, term: Expression) -> _Told:
        match term:
            case Carries(locus):
                return self._of_locus(locus, _CARRIES)
            case GenotypeIn(locus, zygosities):
                return self._of_locus(locus, _genotype_table(zygosities))
            case DiplotypeIn():
                return self._of_gene(term)
            case NotThat(inner):
                inside = self.told(inner)
                return _Told(inside.no, inside.yes)
            case AllOf(terms):
                told = [self.told(one) for one in terms]
                return _Told(_all([one.yes for one in told]), _any([one.no for one in told]))
            case AnyOf(terms):
                told = [self.told(one) for one in terms]
                return _Told(_any([one.yes for one in told]), _all([one.no for one in told]))

    def _of_locus(self, locus: str, table: NDArray[np.uint8]) -> _Told:
        said = table[self._states[locus]]
        return _Told(np.packbits(said & 1), np.packbits(said >> 1))

    def _of_gene(self, term: DiplotypeIn) -> _Told:
        gene = self._pack.genes[term.gene]
        known = self._genes.get(term.gene)
        if known is None:
            known = self._genes[term.gene] = gene_rows(gene, self._states)
        told = known.truths(frozenset(term.pairs))
        return _Told(np.packbits(told & 1), np.packbits(told >> 1))


def _all(sets: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """uint8[(n + 7) // 8]: who is in all."""
    found = sets[0].copy()
    for one in sets[1:]:
        found &= one
    return found


def _any(sets: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """uint8[(n + 7) // 8]: who is in any."""
    found = sets[0].copy()
    for one in sets[1:]:
        found |= one
    return found


def _tabulated(holds_of: list[bool | None]) -> NDArray[np.uint8]:
    """uint8[64]: 1 where it holds, 2 where it does not, 0 where that is unknown."""
    return np.array([0 if one is None else 1 if one else 2 for one in holds_of], np.uint8)


def _carries(code: int) -> bool | None:
    first, second, _ = parts(code)
    if ALTERNATE in (first, second):
        return True
    return None if UNREAD in (first, second) else False


@cache
def _genotype_table(zygosities: tuple[Zygosity, ...]) -> NDArray[np.uint8]:
    """uint8[64]: as ``_tabulated``, of a genotype's set."""

    def holds_of(code: int) -> bool | None:
        first, second, _ = parts(code)
        if second == ONLY:
            return None if first == UNREAD else (Zygosity.HEMI if first == ALTERNATE else Zygosity.NONE) in zygosities
        if first == second == UNREAD:
            return None
        kinds = (Zygosity.NONE, Zygosity.HET, Zygosity.HOM)
        found = {kinds[(a == ALTERNATE) + (b == ALTERNATE)] in zygosities for a in _may_be(first) for b in _may_be(second)}
        return found.pop() if len(found) == 1 else None

    return _tabulated([holds_of(code) for code in range(CODES)])


def _may_be(shown: int) -> tuple[int, ...]:
    return (REFERENCE, ALTERNATE, OTHER) if shown == UNREAD else (shown,)


_CARRIES = _tabulated([_carries(code) for code in range(CODES)])
