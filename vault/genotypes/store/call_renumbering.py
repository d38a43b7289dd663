"""Calls of one record with other numbers for its alleles, or its reference calls alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vault.errors import IntegrityError
from vault.genotypes.codec.call_codes import (
    ABSENT,
    DIPLOID_STRIDE,
    ESCAPE,
    HAPLOID_BASE,
    MAX_CODED_ALLELE,
    PHASED_OFFSET,
    Codes,
    diploid,
    haploid,
)

_UNKNOWN = 254  # a call of an allele that the line has not; no call code
MISSING = (diploid(-1, -1, phased=False), diploid(-1, -1, phased=True), haploid(-1))
REFERENCE = (diploid(0, 0, phased=False), diploid(0, 0, phased=True), haploid(0))


@dataclass(frozen=True)
class EscapedCall:
    """A call that no code holds: its column, alleles and separators, as in ``Escapes``."""

    column: int
    alleles: tuple[int, ...]
    phased: tuple[int, ...]


def reference_only(codes: Codes) -> Codes:
    """uint8, of the shape given: the calls that say reference and nothing else; ABSENT for every other."""
    return np.where(np.isin(codes, REFERENCE), codes, np.uint8(ABSENT)).astype(np.uint8)


def is_missing(codes: Codes) -> NDArray[np.bool_]:
    """bool, of the shape given: the call says nothing: it is missing whole, or not assayed."""
    return np.isin(codes, (*MISSING, ABSENT))


def renumber(codes: Codes, escaped: list[EscapedCall], numbers: tuple[int, ...]) -> tuple[Codes, list[EscapedCall]]:
    """A record's calls, ``codes`` uint8[n], by the new ``numbers`` of its alleles, REF first, -1 of those that nobody carries.

    Raises:
        IntegrityError: ``call_outside_site`` if a call names an allele that has no number.
    """
    if numbers == tuple(range(len(numbers))):
        return codes, escaped
    made = _table(numbers)[codes]
    moved = [EscapedCall(call.column, tuple(_number(numbers, a) for a in call.alleles), call.phased) for call in escaped]
    # a call whose new allele no code holds
    for column in np.flatnonzero((made == ESCAPE) & (codes != ESCAPE)).tolist():
        alleles, bar = alleles_of(int(codes[column]))
        moved.append(EscapedCall(column, tuple(_number(numbers, a) for a in alleles), (0, bar)[: len(alleles)]))
    if (made == _UNKNOWN).any():
        raise _outside()
    return made, moved


@lru_cache(maxsize=4096)
def _table(numbers: tuple[int, ...]) -> Codes:
    """uint8[256]: the new code of each code."""
    made = np.arange(256, dtype=np.uint8)
    for code in range(ESCAPE):
        alleles, bar = alleles_of(code)
        if any(allele >= len(numbers) or (allele >= 0 and numbers[allele] < 0) for allele in alleles):
            made[code] = _UNKNOWN
            continue
        new = [numbers[allele] if allele >= 0 else -1 for allele in alleles]
        if max(new) > MAX_CODED_ALLELE:
            made[code] = ESCAPE
        else:
            made[code] = haploid(*new) if len(new) == 1 else diploid(*new, phased=bool(bar))
    return made


def alleles_of(code: int) -> tuple[tuple[int, ...], int]:
    """(alleles, 1 if phased) of a call code."""
    if code >= HAPLOID_BASE:
        return (code - HAPLOID_BASE - 1,), 0
    first, second = divmod(code % PHASED_OFFSET, DIPLOID_STRIDE)
    return (first - 1, second - 1), code // PHASED_OFFSET


def _number(numbers: tuple[int, ...], allele: int) -> int:
    if allele < 0:
        return -1
    if allele >= len(numbers) or numbers[allele] < 0:
        raise _outside()
    return numbers[allele]


def _outside() -> IntegrityError:
    return IntegrityError("call_outside_site", "a call names an allele that its site does not list")
