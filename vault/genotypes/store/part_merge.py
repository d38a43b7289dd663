"""Merging parts: one matrix of calls, or one table of allele counts, over the lines of ``site_union`` (docs/design/genotypes.md §1).

Where a subject's part says nothing of a line the call is ABSENT, never a reference call. Where two parts hold a call of the same subject in
one line the earlier part's stands, unless it is missing. Parts of which no subject is read say nothing: leave them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vault.errors import IntegrityError
from vault.genotypes.codec.allele_counts import AlleleCounts, count_calls
from vault.genotypes.codec.call_codes import ABSENT, ESCAPE, MAX_CODED_ALLELE, Codes, Escapes
from vault.genotypes.codec.format_constants import HAS_ABSENT, HAS_UNEVEN
from vault.genotypes.sites import Sites
from vault.genotypes.store.call_renumbering import EscapedCall, is_missing, reference_only, renumber
from vault.genotypes.store.own_records import own_records
from vault.genotypes.store.record_union import GONE, Copy, References
from vault.genotypes.store.site_union import Carried, Owners, OwnRecords, PartPlaces, SiteUnion, unite_sites


@dataclass(frozen=True)
class Calls:
    """Genotype calls of m sites and n people: ``codes`` uint8[m, n], ``escapes`` for the calls that no code holds."""

    sites: Sites
    codes: Codes
    escapes: Escapes


@dataclass(frozen=True)
class PartCalls:
    """Calls of one part: ``codes`` uint8[m, k]; ``columns`` int64[k]: the view column of each of its subjects, all different.

    ``compacted``: each subject's calls are an import of their own, and ABSENT where that had no such record.
    """

    sites: Sites
    codes: Codes
    escapes: Escapes
    columns: NDArray[np.int64]
    compacted: bool = False


@dataclass(frozen=True)
class PartCounts:
    """Allele counts of one part, without its calls. ``columns`` as in ``PartCalls``."""

    sites: Sites
    counts: AlleleCounts
    columns: NDArray[np.int64]


def merge_parts(parts: Sequence[PartCalls], n_columns: int) -> tuple[Sites, Codes, Escapes]:
    """Sites, ``codes`` uint8[sites, n_columns] and escapes.

    Raises:
        IntegrityError: ``call_outside_site`` if a call names an allele that its site does not list.
    """
    parts = [held_records(part) if part.compacted else part for part in parts]
    union = lines_of(parts, n_columns)
    if union is None:
        return parts[0].sites, parts[0].codes, parts[0].escapes
    return union.sites, *placed(parts, union, n_columns)


def lines_of(parts: Sequence[PartCalls], n_columns: int) -> SiteUnion | None:
    """The lines of parts of which somebody is read; None where one part's records are the lines."""
    if len(parts) == 1 and np.array_equal(parts[0].columns, np.arange(n_columns)) and not _has_own_lines(parts[0]):
        return None
    compacted = [at for at, part in enumerate(parts) if part.compacted]
    return unite_sites([part.sites for part in parts], _carried_by_calls(parts), _owners(parts), compacted)


def placed(parts: Sequence[PartCalls | None], union: SiteUnion, n_columns: int) -> tuple[Codes, Escapes]:
    """``codes`` uint8[lines, n_columns] and escapes of the parts' calls in lines that are settled; None for a part that has nobody's.

    Raises:
        IntegrityError: ``call_outside_site``.
    """
    codes = np.full((len(union.sites), n_columns), ABSENT, np.uint8)
    taken = np.zeros(n_columns, np.bool_)
    found: list[tuple[Escapes, NDArray[np.int64]]] = []
    for part, places in zip(parts, union.parts, strict=True):
        if part is None:
            continue
        keep = bool(taken[part.columns].any())
        taken[part.columns] = True
        whole = len(places.rows) == len(part.sites)
        _put(codes, places.lines, part.codes if whole else part.codes[places.rows], part.columns, keep=keep)
        found.append(_plain_escapes(part, places))
        for line, source, some in places.put:
            calls, escaped = _copied(part, source, some) if isinstance(source, Copy) else (_references(part, source, some), [])
            columns = part.columns if some is None else part.columns[some]
            _put(codes, np.array([line]), calls[None], columns, keep=keep)
            found += [_escape(call, line, columns) for call in escaped]
    return codes, gathered_escapes([(e, rows) for e, rows in found if len(e)], codes)


def merge_counts(parts: Sequence[PartCounts], n_columns: int) -> tuple[Sites, AlleleCounts] | None:
    """Sites and allele counts, equal to counts over the calls of ``merge_parts``; None where only the calls tell them: two parts
    hold calls of a subject in one line, or reference calls stand in a line apart from their record.

    Raises:
        IntegrityError: as ``merge_parts``.
    """
    if len(parts) == 1 and len(parts[0].columns) == n_columns:
        return parts[0].sites, parts[0].counts
    union = unite_sites([part.sites for part in parts], _carried_by_counts(parts))
    if _needs_calls(parts, union):
        return None
    total = AlleleCounts.none(union.sites.n_alleles())
    held = np.zeros(len(union.sites), np.int64)
    for part, places in zip(parts, union.parts, strict=True):
        whole = len(places.rows) == len(part.sites)
        total.add(part.counts if whole else part.counts.take(places.rows), places.lines)
        for line, copy, _ in places.put:
            if isinstance(copy, Copy):
                _add_copy(total, line, part.counts, copy)
        held[places.touched()] += len(part.columns)
    total.flags[held < n_columns] |= HAS_ABSENT
    return union.sites, total


def _needs_calls(parts: Sequence[PartCounts], union: SiteUnion) -> bool:
    if any(isinstance(source, References) for places in union.parts for _, source, _ in places.put):
        return True
    touched = [places.touched() for places in union.parts]
    return any(
        np.intersect1d(part.columns, parts[earlier].columns).size and np.intersect1d(touched[at], touched[earlier]).size
        for at, part in enumerate(parts)
        for earlier in range(at)
    )


def _carried_by_counts(parts: Sequence[PartCounts]) -> Carried:
    def carried(at: int, rows: NDArray[np.int64]) -> list[frozenset[int]]:
        return _numbers(parts[at].counts.take(rows))

    return carried


def _carried_by_calls(parts: Sequence[PartCalls]) -> Carried:
    def carried(at: int, rows: NDArray[np.int64]) -> list[frozenset[int]]:
        part = parts[at]
        escapes = part.escapes.at_rows(rows, len(part.sites))
        return _numbers(count_calls(part.sites.take(rows), part.codes[rows], escapes))

    return carried


def held_records(part: PartCalls) -> PartCalls:
    """Of a compacted part only the records that some person who is read has: what others' imports list has no say."""
    held = part.codes.min(axis=1, initial=ABSENT) != ABSENT  # the largest of codes
    if held.all():
        return part
    rows = np.flatnonzero(held)
    escapes = part.escapes.at_rows(rows, len(part.sites))
    return replace(part, sites=part.sites.take(rows), codes=part.codes[rows], escapes=escapes)


def _has_own_lines(part: PartCalls) -> bool:
    """True of a compacted part that has several records of one place, of which lines are yet to be made."""
    sites = part.sites
    return part.compacted and bool(((np.diff(sites.pos) == 0) & (np.diff(sites.contig) == 0)).any())


def _owners(parts: Sequence[PartCalls]) -> Owners:
    def owners(at: int, rows: NDArray[np.int64]) -> list[OwnRecords] | None:
        return own_records(parts[at].codes, parts[at].escapes, rows) if parts[at].compacted else None

    return owners


def _numbers(counts: AlleleCounts) -> list[frozenset[int]]:
    return [frozenset((np.flatnonzero(counts.ac(site)) + 1).tolist()) for site in range(len(counts.an))]


def _add_copy(total: AlleleCounts, line: int, counts: AlleleCounts, copy: Copy) -> None:
    """Add the carriers of a copied record to a line."""
    row = copy.record.row
    own = counts.counts[counts.offsets[row] : counts.offsets[row + 1]]
    for number, carriers in zip(copy.numbers, own.tolist(), strict=True):
        if number == GONE and carriers:
            raise IntegrityError("call_outside_site", "a call names an allele that its site does not list")
        if number != GONE:
            total.counts[total.offsets[line] + number] += carriers
            total.flags[line] |= HAS_UNEVEN if number > MAX_CODED_ALLELE and carriers else 0
    total.an[line] += counts.an[row]
    total.flags[line] |= counts.flags[row]


def _copied(part: PartCalls, copy: Copy, some: NDArray[np.int64] | None) -> tuple[Codes, list[EscapedCall]]:
    """A record's calls as they stand in a line, of ``some`` columns int64[k] of the part (None: of all)."""
    own, codes = part.escapes, part.codes[copy.record.row]
    first, last = np.searchsorted(own.site, [copy.record.row, copy.record.row + 1]).tolist()
    places = own.sample[first:last].tolist()
    if some is not None:
        number = {column: at for at, column in enumerate(some.tolist())}
        places, codes = [number.get(column, -1) for column in places], codes[some]
    spans = [slice(int(own.offset[at]), int(own.offset[at + 1])) for at in range(first, last)]
    escaped = [
        EscapedCall(place, tuple(own.alleles[s].tolist()), tuple(own.phased[s].tolist()))
        for place, s in zip(places, spans, strict=True)
        if place >= 0
    ]
    return renumber(codes, escaped, copy.numbers)


def _references(part: PartCalls, source: References, some: NDArray[np.int64] | None) -> Codes:
    """uint8[k]: the reference calls that stand in a line of which the part has no record. ``some`` as in ``_copied``."""
    chosen = slice(None) if some is None else some
    calls = np.full(len(part.columns) if some is None else len(some), ABSENT, np.uint8)
    for record in source.records:
        calls = np.where(calls == ABSENT, reference_only(part.codes[record.row, chosen]), calls)
    for record in source.listing:
        calls[is_missing(part.codes[record.row, chosen])] = ABSENT
    return calls


def _put(codes: Codes, lines: NDArray[np.int64], calls: Codes, columns: NDArray[np.int64], *, keep: bool) -> None:
    """Write calls uint8[lines, columns]; ``keep``: only where there is none yet, or a missing one."""
    if not len(lines) or not len(columns):
        return
    adjacent = bool((np.diff(columns) == 1).all())
    if keep:
        index = np.ix_(lines, columns)
        there = codes[index]
        codes[index] = np.where((there == ABSENT) | (is_missing(there) & ~is_missing(calls)), calls, there)
    elif adjacent:
        codes[lines, int(columns[0]) : int(columns[-1]) + 1] = calls
    else:
        codes[np.ix_(lines, columns)] = calls


def _plain_escapes(part: PartCalls, places: PartPlaces) -> tuple[Escapes, NDArray[np.int64]]:
    """(the part's escapes in the columns of the view, int64[k]: the line of each) of the records that stand as they are."""
    line = np.full(len(part.sites), -1, np.int64)
    line[places.rows] = places.lines
    own = part.escapes.take(np.flatnonzero(line[part.escapes.site] >= 0))
    return Escapes(own.site, part.columns[own.sample], own.offset, own.alleles, own.phased), line[own.site]


def _escape(call: EscapedCall, line: int, columns: NDArray[np.int64]) -> tuple[Escapes, NDArray[np.int64]]:
    at = np.array([line], np.int64)
    offset = np.array([0, len(call.alleles)], np.int64)
    alleles, phased = np.array(call.alleles, np.int16), np.array(call.phased, np.uint8)
    return Escapes(at, columns[[call.column]], offset, alleles, phased), at


def gathered_escapes(found: Sequence[tuple[Escapes, NDArray[np.int64]]], codes: Codes) -> Escapes:
    """The escapes of all parts, sorted, each with its line; of two for one call the earlier part's."""
    if not found:
        return Escapes.empty()
    line = np.concatenate([rows for _, rows in found])
    column = np.concatenate([e.sample for e, _ in found])
    lengths = np.concatenate([np.diff(e.offset) for e, _ in found])
    start = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])[:-1]
    alleles = np.concatenate([e.alleles for e, _ in found])
    phased = np.concatenate([e.phased for e, _ in found])
    order = np.lexsort((np.arange(len(line)), column, line))
    order = order[codes[line[order], column[order]] == ESCAPE]
    same = np.zeros(len(order), np.bool_)
    same[1:] = (np.diff(line[order]) == 0) & (np.diff(column[order]) == 0)
    order = order[~same]
    offset = np.zeros(len(order) + 1, np.int64)
    np.cumsum(lengths[order], out=offset[1:])
    source = np.repeat(start[order] - offset[:-1], lengths[order]) + np.arange(offset[-1])
    return Escapes(line[order], column[order], offset, alleles[source], phased[source])
