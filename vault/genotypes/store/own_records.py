"""Records of a place in a compacted part by the people who have them, each of an import of their own. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.call_codes import ABSENT, ESCAPE, Codes, Escapes
from vault.genotypes.store.call_renumbering import alleles_of
from vault.genotypes.store.site_union import OwnRecords


def own_records(codes: Codes, escapes: Escapes, rows: NDArray[np.int64]) -> list[OwnRecords]:
    """People by the rows they have and what they carry of each. ``codes`` uint8[m, n]; ``rows`` int64[k]: those of one place."""
    here = codes[rows]
    columns = np.flatnonzero((here != ABSENT).any(axis=0))
    here = here[:, columns]
    signature = np.where(here == ABSENT, -1, _CARRIED[here].astype(np.int32))
    escaped = np.flatnonzero((here == ESCAPE).any(axis=0))
    plain = np.setdiff1d(np.arange(len(columns)), escaped)
    found: list[OwnRecords] = []
    for some in _alike(signature, plain):
        mine = signature[:, some[0]].tolist()
        held = [at for at, bits in enumerate(mine) if bits >= 0]
        carried = tuple(_numbers(mine[at]) for at in held)
        found.append(OwnRecords(tuple(int(rows[at]) for at in held), carried, columns[some]))
    for at in escaped.tolist():  # calls that no code holds: each person alone
        held = np.flatnonzero(here[:, at] != ABSENT).tolist()
        carried = tuple(_of_call(int(here[row, at]), escapes, int(rows[row]), int(columns[at])) for row in held)
        found.append(OwnRecords(tuple(int(rows[row]) for row in held), carried, columns[[at]]))
    return found


def _alike(signature: NDArray[np.int32], plain: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Columns int64[j] of each signature int32[k, n] that there is, of those in ``plain``."""
    if not len(plain):
        return []
    order = plain[np.lexsort(signature[:, plain])]
    new = (signature[:, order[1:]] != signature[:, order[:-1]]).any(axis=0)
    return [np.sort(some) for some in np.split(order, np.flatnonzero(new) + 1)]


def _of_call(code: int, escapes: Escapes, row: int, column: int) -> frozenset[int]:
    if code != ESCAPE:
        return _numbers(int(_CARRIED[code]))
    first, last = np.searchsorted(escapes.site, [row, row + 1]).tolist()
    at = first + int(np.flatnonzero(escapes.sample[first:last] == column)[0])
    alleles = escapes.alleles[int(escapes.offset[at]) : int(escapes.offset[at + 1])]
    return frozenset(allele for allele in alleles.tolist() if allele > 0)


def _numbers(bits: int) -> frozenset[int]:
    return frozenset(number for number in range(1, bits.bit_length()) if bits >> number & 1)


def _table() -> NDArray[np.uint16]:
    """uint16[256]: bit i is set of a code that names allele i, REF left out."""
    bits = np.zeros(256, np.uint16)
    for code in range(ESCAPE):
        bits[code] = sum({1 << allele for allele in alleles_of(code)[0] if allele > 0})
    return bits


_CARRIED = _table()
