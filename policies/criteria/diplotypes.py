"""Diplotypes of one person, as far as calls and phase let them be told: exact, and three-valued.

Of all pairs of chromosomes that the calls allow some are pairs that a criterion names. All of them: yes. None: no. Else it is unknown.
The pairs are counted and not listed, so that a person without calls costs no more than another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

from policies.criteria.expressions import Pair
from policies.criteria.packs import GeneHaplotypes

UNREAD, REFERENCE, ALTERNATE, OTHER = range(4)
"""One chromosome at a locus: without a call, REF, the locus's ALT, or another allele."""

_READ = (REFERENCE, ALTERNATE, OTHER)


@dataclass(frozen=True)
class ShownCall:
    """A person at one locus. ``phased``: its two chromosomes keep their order across the loci that say so.

    Of a call of one chromosome the other is not read.
    """

    first: int
    second: int
    phased: bool = False


def holds(gene: GeneHaplotypes, pairs: Iterable[Pair], calls: Sequence[ShownCall]) -> bool | None:
    """Whether a person has one of ``pairs``; None where calls or phase leave it open. ``calls``: one per locus of ``gene.loci``."""
    named = sum(_count(gene, pair, calls) for pair in set(pairs))
    if named == 0:
        return False
    return True if named == _possible(calls) else None


def _count(gene: GeneHaplotypes, pair: Pair, calls: Sequence[ShownCall]) -> int:
    """Ordered pairs of chromosomes that are this pair of haplotypes and that the calls allow: none, 1 or 2."""
    one, two = (_shown(gene, name) for name in pair)
    fits = all(_allows(call, a, b) or _allows(call, b, a) for call, a, b in zip(calls, one, two, strict=True) if not call.phased)
    chained = [(call, a, b) for call, a, b in zip(calls, one, two, strict=True) if call.phased]
    if not fits or not (all(_allows(*item) for item in chained) or all(_allows(call, b, a) for call, a, b in chained)):
        return 0
    return 1 if one == two else 2


def _possible(calls: Sequence[ShownCall]) -> int:
    """Ordered pairs of chromosomes that the calls allow, over all loci and both ways round."""
    alone = prod(len(_pairs(call) | _turned(_pairs(call))) for call in calls if not call.phased)
    chained = [_pairs(call) for call in calls if call.phased]
    both = prod(len(pairs & _turned(pairs)) for pairs in chained)
    return alone * (2 * prod(len(pairs) for pairs in chained) - both)


def _pairs(call: ShownCall) -> frozenset[tuple[int, int]]:
    return frozenset((a, b) for a in _READ for b in _READ if _allows(call, a, b))


def _turned(pairs: frozenset[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    return frozenset((b, a) for a, b in pairs)


def _allows(call: ShownCall, first: int, second: int) -> bool:
    return call.first in (UNREAD, first) and call.second in (UNREAD, second)


def _shown(gene: GeneHaplotypes, name: str) -> tuple[int, ...]:
    carried = gene.haplotypes[name]
    return tuple(ALTERNATE if locus in carried else REFERENCE for locus in gene.loci)
