"""Records of several parts as those of one part: what is written alike in every column is one record, and nobody's call changes. Pure.

A compacted part is no view: lines are made when it is read (``site_union``), of the records that the people have who are read. So the order of
the imports, and what others' imports list, has no say in them, compacted or not.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.call_codes import ABSENT
from vault.genotypes.codec.packed_calls import CallRows
from vault.genotypes.ingest.source import SiteBatch
from vault.genotypes.sites import Sites
from vault.genotypes.store.part_merge import PartCalls, gathered_escapes, held_records
from vault.genotypes.store.place_runs import PlaceRuns


def join_records(parts: Sequence[PartCalls], n_columns: int) -> SiteBatch:
    """The records that anybody has, by contig in the order of the parts and by position, with the calls of all; ABSENT where a person has none.

    No two parts have a column in common.
    """
    held = [held_records(part) for part in parts]
    everything = Sites.concat([part.sites for part in held])
    edges = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(part.sites) for part in held], dtype=np.int64)])
    rows, line = _lines(everything, np.repeat(np.arange(len(held)), np.diff(edges)))
    codes = np.full((len(rows), n_columns), ABSENT, np.uint8)
    escapes = []
    for at, part in enumerate(held):
        mine = line[edges[at] : edges[at + 1]]
        codes[np.ix_(mine, part.columns)] = part.codes
        if len(own := part.escapes):
            escapes.append((type(own)(own.site, part.columns[own.sample], own.offset, own.alleles, own.phased), mine[own.site]))
    return SiteBatch(everything.take(rows), CallRows.from_codes(codes), gathered_escapes(escapes, codes))


def _lines(sites: Sites, part: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(int64[k]: the first record of each line, int64[m]: the line of each record)."""
    runs = PlaceRuns.of(sites, part)
    alike = runs.once & runs.same(runs.once, sites.alleles)
    for column in (sites.ids, sites.filters, sites.info):
        alike = runs.same(alike, column)
    lines = np.ones(len(runs.start), np.int64)  # of each run
    within = np.zeros(len(sites), np.int64)  # of each record's line in its run
    for run in np.flatnonzero(~alike).tolist():
        rows = runs.rows_of(run)
        by_part = [rows[part[rows] == at] for at in dict.fromkeys(part[rows].tolist())]
        texts = [_texts(sites, mine) for mine in by_part]
        place = {text: at for at, text in enumerate(_ordered(texts))}
        for mine, said in zip(by_part, texts, strict=True):
            within[mine] = [place[text] for text in said]
        lines[run] = len(place)
    line = np.empty(len(sites), np.int64)
    line[runs.order] = np.repeat(np.cumsum(lines) - lines, runs.size) + within[runs.order]
    first = np.empty(int(lines.sum()), np.int64)
    first[line[runs.order[::-1]]] = runs.order[::-1]  # of several the first is written last
    return first, line


def _texts(sites: Sites, rows: NDArray[np.int64]) -> list[Hashable]:
    """Content of each record of a part at one place, those that say the same told apart."""
    seen: dict[Hashable, int] = {}
    found: list[Hashable] = []
    for row in rows.tolist():
        text = (sites.alleles[row], sites.ids[row], sites.filters[row], sites.info[row])
        seen[text] = seen.get(text, -1) + 1
        found.append((text, seen[text]))
    return found


def _ordered(lists: Iterable[Sequence[Hashable]]) -> list[Hashable]:
    """Everything listed, each list's items in its order as far as they agree."""
    merged: list[Hashable] = []
    for items in lists:
        at = 0
        for item in items:
            if item in merged:
                at = merged.index(item) + 1
            else:
                merged.insert(at, item)
                at += 1
    return merged
