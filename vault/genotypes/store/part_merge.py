"""Merging parts: one matrix of calls, or one table of allele counts, over the union of their sites (docs/design/genotypes.md §1).

A site is contig, position, REF and ALTs as written, and what else makes a structural variant (``site_identity``); two records with the
same key in one part stay two. Where a subject's part lacks a site the call is ABSENT, never a reference call. Contigs come in the order
in which the parts bring them, positions ascending within a contig, ties in the order of the parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.codec.call_codes import ABSENT, ESCAPE, Codes, Escapes
from vault.genotypes.codec.format_constants import HAS_ABSENT
from vault.genotypes.site_identity import variant_keys
from vault.genotypes.sites import Sites


@dataclass(frozen=True)
class Calls:
    """Genotype calls of m sites and n people: ``codes`` uint8[m, n], ``escapes`` for the calls that no code holds."""

    sites: Sites
    codes: Codes
    escapes: Escapes


@dataclass(frozen=True)
class PartCalls:
    """Calls of one part: ``codes`` uint8[m, k]; ``columns`` int64[k]: the view column of each of its subjects, all different."""

    sites: Sites
    codes: Codes
    escapes: Escapes
    columns: NDArray[np.int64]


def merge_parts(parts: Sequence[PartCalls], n_columns: int) -> tuple[Sites, Codes, Escapes]:
    """Sites, ``codes`` uint8[sites, n_columns] and escapes. Where two parts hold a call of the same subject at the same site,
    the earlier part's stands. Names, filters and INFO of a site are the first part's that has it.
    """
    if len(parts) == 1 and np.array_equal(parts[0].columns, np.arange(n_columns)):
        return parts[0].sites, parts[0].codes, parts[0].escapes
    everything = Sites.concat([p.sites for p in parts])
    rows, first = _unite(everything, [len(p.sites) for p in parts])
    codes = np.full((len(first), n_columns), ABSENT, np.uint8)
    ends = np.cumsum([len(p.sites) for p in parts]).tolist()
    places = [rows[end - len(p.sites) : end] for p, end in zip(parts, ends, strict=True)]
    taken = np.zeros(n_columns, np.bool_)
    for part, place in zip(parts, places, strict=True):
        fresh = not taken[part.columns].any()
        taken[part.columns] = True
        _put(codes, place, part, keep=not fresh)
    return everything.take(first), codes, _escapes(parts, places, codes)


@dataclass(frozen=True)
class PartCounts:
    """Allele counts of one part, without its calls. ``columns`` as in ``PartCalls``."""

    sites: Sites
    counts: AlleleCounts
    columns: NDArray[np.int64]


def merge_counts(parts: Sequence[PartCounts], n_columns: int) -> tuple[Sites, AlleleCounts] | None:
    """Sites and allele counts, equal to counts over the calls of ``merge_parts``; None where two parts hold a call of the same subject at the same site."""
    if len(parts) == 1 and len(parts[0].columns) == n_columns:
        return parts[0].sites, parts[0].counts
    everything = Sites.concat([p.sites for p in parts])
    rows, first = _unite(everything, [len(p.sites) for p in parts])
    united = everything.take(first)
    total = AlleleCounts.none(united.n_alleles())
    ends = np.cumsum([len(p.sites) for p in parts]).tolist()
    places = [rows[end - len(p.sites) : end] for p, end in zip(parts, ends, strict=True)]
    held = np.zeros(len(first), np.int64)
    for at, (part, place) in enumerate(zip(parts, places, strict=True)):
        for earlier, there in zip(parts[:at], places[:at], strict=True):
            if np.intersect1d(earlier.columns, part.columns).size and np.intersect1d(there, place).size:
                return None
        total.add(part.counts, place)
        held[place] += len(part.columns)
    total.flags[held < n_columns] |= HAS_ABSENT
    return united, total


def _unite(sites: Sites, sizes: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(int64[m]: row of the union for each site, int64[rows]: first site of each row)."""
    m = len(sites)
    number: dict[bytes, int] = {}
    alleles = np.fromiter((number.setdefault(a, len(number)) for a in variant_keys(sites)), np.int64, m)
    part = np.repeat(np.arange(len(sizes)), sizes)
    # records with equal keys inside one part are told apart by how many came before
    order = np.lexsort((np.arange(m), part, alleles, sites.pos, sites.contig))
    key = np.stack([sites.contig, sites.pos, alleles, part])[:, order]
    new = np.ones(m, np.bool_)
    new[1:] = (key[:, 1:] != key[:, :-1]).any(axis=0)
    start = np.maximum.accumulate(np.where(new, np.arange(m), 0))
    repeat = np.empty(m, np.int64)
    repeat[order] = np.arange(m) - start
    # unite over parts
    order = np.lexsort((np.arange(m), repeat, alleles, sites.pos, sites.contig))
    key = np.stack([sites.contig, sites.pos, alleles, repeat])[:, order]
    new = np.ones(m, np.bool_)
    new[1:] = (key[:, 1:] != key[:, :-1]).any(axis=0)
    first = order[new]
    row_of = np.empty(m, np.int64)
    # rows by contig and position, ties by where they first appear
    by_place = np.lexsort((first, sites.pos[first], sites.contig[first]))
    rank = np.empty(len(first), np.int64)
    rank[by_place] = np.arange(len(first))
    row_of[order] = rank[np.cumsum(new) - 1]
    return row_of, first[by_place]


def _put(codes: Codes, place: NDArray[np.int64], part: PartCalls, *, keep: bool) -> None:
    """Write a part's calls; ``keep``: only where there is none yet."""
    columns = part.columns
    adjacent = len(columns) > 0 and bool((np.diff(columns) == 1).all())
    span: slice | NDArray[np.int64] = slice(int(columns[0]), int(columns[-1]) + 1) if adjacent else columns
    if keep:
        index = np.ix_(place, columns)
        there = codes[index]
        codes[index] = np.where(there == ABSENT, part.codes, there)
    elif adjacent:
        codes[place, span] = part.codes
    else:
        codes[np.ix_(place, columns)] = part.codes


def _escapes(parts: Sequence[PartCalls], places: Sequence[NDArray[np.int64]], codes: Codes) -> Escapes:
    """The escapes of all parts in the coordinates of the whole; of two for one call the earlier part's."""
    found = [(p.escapes, place[p.escapes.site], p.columns[p.escapes.sample]) for p, place in zip(parts, places, strict=True)]
    found = [f for f in found if len(f[0])]
    if not found:
        return Escapes.empty()
    site = np.concatenate([row for _, row, _ in found])
    sample = np.concatenate([column for _, _, column in found])
    lengths = np.concatenate([np.diff(e.offset) for e, _, _ in found])
    start = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])[:-1]
    alleles = np.concatenate([e.alleles for e, _, _ in found])
    phased = np.concatenate([e.phased for e, _, _ in found])
    order = np.lexsort((np.arange(len(site)), sample, site))
    order = order[codes[site[order], sample[order]] == ESCAPE]
    same = np.zeros(len(order), np.bool_)
    same[1:] = (np.diff(site[order]) == 0) & (np.diff(sample[order]) == 0)
    order = order[~same]
    offset = np.zeros(len(order) + 1, np.int64)
    np.cumsum(lengths[order], out=offset[1:])
    source = np.repeat(start[order] - offset[:-1], lengths[order]) + np.arange(offset[-1])
    return Escapes(site[order], sample[order], offset, alleles[source], phased[source])
