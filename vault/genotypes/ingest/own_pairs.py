"""Two records of one person at one place: two single copies make one call, anything else says nothing.

Callers that write one ALT a record, and tools that split records (bcftools norm -m-, vt decompose), give a call of two ALTs as two records.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.call_codes import DIPLOID_STRIDE, HAPLOID_BASE, PHASED_OFFSET, diploid
from vault.genotypes.codec.packed_calls import CallRows
from vault.genotypes.ingest.source import SiteBatch

_PAIR = 2


def combine_pairs(batch: SiteBatch) -> tuple[SiteBatch, int, int]:
    """The batch of one person, sorted by position, with one record at each (POS, REF); how many places were combined, and how many given up.

    Records with INFO keep apart: what else they say makes them different variants.
    """
    dropped: list[int] = []
    changed: dict[int, tuple[bytes, bytes, bytes, int]] = {}
    given_up = 0
    for rows in _together(batch):
        made = _combined(batch, *rows) if len(rows) == _PAIR else None
        if made is None:
            given_up += 1
            dropped += rows
        else:
            changed[rows[0]] = made
            dropped += rows[1:]
    if not dropped:
        return batch, 0, 0
    return _without(_with(batch, changed), np.array(dropped, np.int64)), len(changed), given_up


def _together(batch: SiteBatch) -> Iterator[list[int]]:
    """The rows of each (POS, REF) that has several."""
    sites = batch.sites
    again = np.flatnonzero(sites.pos[1:] == sites.pos[:-1])
    if not len(again):
        return
    places: dict[tuple[int, bytes], list[int]] = {}
    for row in np.unique(np.concatenate([again, again + 1])).tolist():
        if not sites.info[row]:
            places.setdefault((int(sites.pos[row]), sites.alleles[row].split(b",")[0].upper()), []).append(row)
    yield from (rows for rows in places.values() if len(rows) > 1)


def _combined(batch: SiteBatch, first: int, second: int) -> tuple[bytes, bytes, bytes, int] | None:
    """(alleles, ID, FILTER, code) of two records, None if they are not two single copies of two ALTs."""
    sites, codes = batch.sites, batch.rows.codes
    ref, *alts = sites.alleles[first].split(b",")
    others = sites.alleles[second].split(b",")[1:]
    one, other = _copy(int(codes[first, 0])), _copy(int(codes[second, 0]))
    if one is None or other is None or len(alts) != 1 or len(others) != 1 or alts[0].upper() == others[0].upper():
        return None
    phased = one[1] and other[1]
    if phased and one[0] == other[0]:
        return None  # two alleles on one chromosome
    code = diploid(2, 1, phased=True) if phased and one[0] == 1 else diploid(1, 2, phased=phased)
    alleles = b",".join([ref, alts[0], others[0]])
    return alleles, _first(sites.ids[first], sites.ids[second]), _filters(sites.filters[first], sites.filters[second]), code


def _copy(code: int) -> tuple[int, bool] | None:
    """(which copy has the ALT, the call is phased) of a call of two copies that has it once."""
    if code >= HAPLOID_BASE:
        return None
    phased, pair = divmod(code, PHASED_OFFSET)
    has = [allele - 1 > 0 for allele in divmod(pair, DIPLOID_STRIDE)]
    return (has.index(True), bool(phased)) if sum(has) == 1 else None


def _first(one: bytes, other: bytes) -> bytes:
    return other if one == b"." else one


def _filters(one: bytes, other: bytes) -> bytes:
    """Every filter that one of the two failed; what both say where none is."""
    failed = [name for text in (one, other) for name in text.split(b";") if name not in {b".", b"PASS"}]
    return b";".join(dict.fromkeys(failed)) if failed else _first(one, other)


def _with(batch: SiteBatch, changed: dict[int, tuple[bytes, bytes, bytes, int]]) -> SiteBatch:
    rows = np.array(list(changed), np.int64)
    alleles, ids, filters, codes = zip(*changed.values(), strict=True) if changed else ((), (), (), ())
    sites = replace(
        batch.sites,
        alleles=batch.sites.alleles.replace(rows, alleles),
        ids=batch.sites.ids.replace(rows, ids),
        filters=batch.sites.filters.replace(rows, filters),
    )
    matrix = batch.rows.codes.copy()
    matrix[rows, 0] = codes
    return SiteBatch(sites, CallRows.from_codes(matrix), batch.escapes)


def _without(batch: SiteBatch, dropped: NDArray[np.int64]) -> SiteBatch:
    keep = np.ones(len(batch.sites), np.bool_)
    keep[dropped] = False
    kept = np.flatnonzero(keep)
    place = np.cumsum(keep) - 1
    escapes = batch.escapes.take(np.flatnonzero(keep[batch.escapes.site]))
    return SiteBatch(
        batch.sites.take(kept), CallRows.from_codes(batch.rows.codes[kept]), replace(escapes, site=place[escapes.site])
    )
