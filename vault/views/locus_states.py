"""Loci of a criteria pack as a view shows them: a code for each person and locus.

    code = first · 5 + second, + 32 where phased        first: UNREAD, REFERENCE, ALTERNATE, OTHER; second: one of these, or ONLY

A site may come as several records. Those that list the allele decide; another one of the same REF tells REF from another allele there. Of
two records that contradict each other nothing is read. Where no record lists the allele, one of the same REF answers for a single base.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from policies.criteria.diplotypes import ALTERNATE, OTHER, REFERENCE, UNREAD
from policies.disclosure.alleles import Allele, trimmed
from vault.genotypes.codec.call_codes import ABSENT, DIPLOID_STRIDE, ESCAPE, HAPLOID_BASE, PHASED_OFFSET
from vault.genotypes.contigs import normal_contig
from vault.genotypes.store.part_merge import Calls
from vault.views.view import View

ONLY = 4
"""Second chromosome of a call that has one."""
PHASED = 32
CODES = 64

States = NDArray[np.uint8]

_BASES = frozenset("ACGTN")


@dataclass(frozen=True)
class _Record:
    """One record: its row of the view, REF, and the alleles that its ALTs are, by number."""

    row: int
    ref: str
    numbers: Mapping[Allele, int]


def locus_states(view: View | Calls, loci: Mapping[str, Allele]) -> dict[str, States]:
    """uint8[n people] of each locus, in the view's order of people."""
    holders: dict[Allele, list[_Record]] = {}
    places: dict[tuple[str, int], list[_Record]] = {}
    sites = view.sites
    for row, text in enumerate(sites.alleles.items()):
        ref, *alts = text.decode().upper().split(",")
        contig, position = normal_contig(sites.contigs[sites.contig[row]]), int(sites.pos[row])
        spelled = [(number, alt) for number, alt in enumerate(alts, 1) if _is_sequence(ref) and _is_sequence(alt) and alt != ref]
        record = _Record(row, ref, {trimmed(contig, position, ref, alt): number for number, alt in spelled})
        places.setdefault((contig, position), []).append(record)
        for allele in record.numbers:
            holders.setdefault(allele, []).append(record)
    found = {}
    for name, given in loci.items():
        allele = replace(given, contig=normal_contig(given.contig))
        deciding = holders.get(allele, [])
        found[name] = _at_locus(view, allele, deciding, places)
    return found


def _is_sequence(allele: str) -> bool:
    return bool(allele) and _BASES.issuperset(allele)


def _at_locus(
    view: View | Calls, allele: Allele, deciding: Sequence[_Record], places: Mapping[tuple[str, int], Sequence[_Record]]
) -> States:
    own = places.get((allele.contig, allele.position), ())
    if not deciding:
        single = len(allele.ref) == len(allele.alt) == 1
        deciding = [record for record in own if single and record.ref == allele.ref]
        return _agreed(view, allele, deciding)
    shown = _agreed(view, allele, deciding)
    for record in own:
        if record not in deciding and record.ref == deciding[0].ref:
            others = _others()[_shown(view, record, allele)]
            shown = _beside()[shown, others]
    return shown


def _agreed(view: View | Calls, allele: Allele, deciding: Sequence[_Record]) -> States:
    """States from the records that list the allele; unread where they contradict each other, or where there is none."""
    if len(deciding) == 1:
        return _shown(view, deciding[0], allele)
    shown = np.zeros(view.codes.shape[1], np.uint8)
    for record in deciding:
        said = _shown(view, record, allele)
        read, told = _is_read()[shown], _is_read()[said]
        same = _sorted()[shown] == _sorted()[said]
        shown = np.where(read & told, np.where(same, np.minimum(shown, said), 0), np.where(told, said, shown)).astype(np.uint8)
    return shown


def _shown(view: View | Calls, record: _Record, allele: Allele) -> States:
    """uint8[n]: what one record says of an allele."""
    wanted = record.numbers.get(allele)
    shown: States = _table(wanted)[view.codes[record.row]]
    escapes = view.escapes
    first, last = np.searchsorted(escapes.site, [record.row, record.row + 1])
    for at in range(int(first), int(last)):
        inside = slice(int(escapes.offset[at]), int(escapes.offset[at + 1]))
        alleles, joined = escapes.alleles[inside].tolist(), escapes.phased[inside].tolist()
        shown[escapes.sample[at]] = _code(alleles, wanted, phased=sum(joined) >= max(1, len(alleles) - 1))
    return shown


@cache
def _table(wanted: int | None) -> States:
    """uint8[256]: state of each call code; ``wanted``: number of the allele."""
    table = np.zeros(256, np.uint8)
    for code in range(HAPLOID_BASE):
        pair = code % PHASED_OFFSET
        table[code] = _code([pair // DIPLOID_STRIDE - 1, pair % DIPLOID_STRIDE - 1], wanted, phased=code >= PHASED_OFFSET)
    for code in range(HAPLOID_BASE, ESCAPE):
        table[code] = _code([code - HAPLOID_BASE - 1], wanted, phased=False)
    table[ABSENT] = UNREAD
    return table


def _code(alleles: Sequence[int], wanted: int | None, *, phased: bool) -> int:
    """State of a call by its allele numbers, -1 for none. A call of more than two chromosomes is not read."""
    shown = [UNREAD if one < 0 else REFERENCE if one == 0 else ALTERNATE if one == wanted else OTHER for one in alleles]
    if len(shown) == 1:
        return shown[0] * 5 + ONLY
    if len(shown) != 2:
        return UNREAD
    first, second = shown if phased else sorted(shown)
    return first * 5 + second + (PHASED if phased and first != second else 0)


@cache
def without_phase() -> States:
    """uint8[64]: the state of each state once its phase is dropped."""
    table = np.zeros(CODES, np.uint8)
    for code in range(CODES):
        first, second, phased = parts(code)
        table[code] = min(first, second) * 5 + max(first, second) if phased else code
    return table


def parts(code: int) -> tuple[int, int, bool]:
    """First and second chromosome of a state, and whether it is phased."""
    first, second = divmod(code % PHASED, 5)
    return first, second, code >= PHASED


@cache
def _is_read() -> NDArray[np.bool_]:
    """bool[64]: at least one chromosome was read."""
    return np.array([parts(code)[0] != UNREAD or parts(code)[1] not in {UNREAD, ONLY} for code in range(CODES)])


@cache
def _sorted() -> NDArray[np.uint8]:
    """uint8[64]: the state without its order."""
    return np.array([min(a, b) * 5 + max(a, b) for a, b, _ in map(parts, range(CODES))], np.uint8)


@cache
def _others() -> NDArray[np.uint8]:
    """uint8[64]: chromosomes that show neither REF nor nothing."""
    return np.array([(a > REFERENCE) + (b in {ALTERNATE, OTHER}) for a, b, _ in map(parts, range(CODES))], np.uint8)


@cache
def _beside() -> NDArray[np.uint8]:
    """uint8[64, 3]: a state where so many chromosomes show another allele in another record: they are not REF, and whose turn it is is open."""
    table = np.zeros((CODES, 3), np.uint8)
    for code in range(CODES):
        first, second, _ = parts(code)
        table[code] = code
        shown = [first] if second == ONLY else [first, second]
        for others in (1, 2):
            turned = min(others, shown.count(REFERENCE))
            rest = [one for one in shown if one != REFERENCE] + [REFERENCE] * (shown.count(REFERENCE) - turned)
            new = sorted([OTHER] * turned + rest)
            if turned:
                table[code, others] = new[0] * 5 + (ONLY if second == ONLY else new[1])
    return table
