"""Site tables without the alleles that only an erased person carried (docs/formats/genotypes.md §5.1). Pure.

Ordinals stay, because the blocks of all other people count on them. An ALT becomes empty text. A site of which no ALT is left loses
REF, ID, FILTER and INFO as well, and takes the position of a neighbour, so that not even a place is left; unless its place is told of
apart from the person, when it keeps place, REF and FILTER, and of a structural variant what says that the others' calls are of it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vault.errors import UsageError
from vault.genotypes.site_identity import kind_of, structural
from vault.genotypes.sites import Sites, TextColumn, site_ends
from vault.genotypes.store.site_tables import SiteTable

Alts = NDArray[np.int64]
"""int64[k, 2]: rows and allele numbers (1 is the first ALT), in ascending order."""

_TEXTS = ("alleles", "ids", "filters", "info")
_NO_ROWS = np.zeros(0, np.int64)


def blank(table: SiteTable, alts: Alts, told: NDArray[np.int64] = _NO_ROWS) -> SiteTable:
    """The table without these ALTs. ``told`` int64[k]: rows that keep their place when their last ALT goes.

    Raises:
        UsageError: ``alt_unknown``: a row or allele that the table does not have.
    """
    alleles, told_rows = table.sites.alleles.items(), set(told.tolist())
    by_row: dict[int, list[int]] = {}
    for row, allele in alts.tolist():
        by_row.setdefault(row, []).append(allele)
    gone = np.zeros(len(alleles), np.bool_)
    for row, numbers in by_row.items():
        if not 0 <= row < len(alleles):
            raise UsageError("alt_unknown", "a site to blank is not in the table")
        listed = alleles[row].split(b",")
        if any(not 0 < number < len(listed) for number in numbers):
            raise UsageError("alt_unknown", "an ALT to blank is not in the table")
        left = [b"" if at in numbers else allele for at, allele in enumerate(listed)]
        gone[row] = not any(left[1:]) and row not in told_rows
        alleles[row] = b",".join(left)
    sites = _nameless(table.sites, [row for row in sorted(by_row) if row in told_rows and not any(alleles[row].split(b",")[1:])])
    return SiteTable(_without(replace(sites, alleles=TextColumn.from_items(alleles)), gone), table.coding)


def losing(sites: Sites, alts: Alts) -> NDArray[np.int64]:
    """int64[k], ascending: rows that lose their last ALT with these."""
    by_row: dict[int, set[int]] = {}
    for row, allele in alts.tolist():
        by_row.setdefault(row, set()).add(allele)
    texts = zip(by_row.items(), sites.alleles.take(list(by_row)).items(), strict=True)
    rows = [
        row
        for (row, numbers), text in texts
        if not any(alt for number, alt in enumerate(text.split(b",")) if number and number not in numbers)
    ]
    return np.array(sorted(rows), np.int64)


def followed(sites: Sites, at: NDArray[np.int64], others: Sites) -> Sites:
    """The sites, of which the rows ``at`` int64[k] say what ``others`` say, whose places are the same."""
    columns = {name: getattr(sites, name).replace(at, getattr(others, name).items()) for name in _TEXTS}
    return replace(sites, **columns)


def without_rows(sites: Sites, rows: NDArray[np.int64]) -> Sites:
    """The sites, of which ``rows`` int64[k] say nothing any more, not even their place."""
    gone = np.zeros(len(sites), np.bool_)
    gone[rows] = True
    return _without(sites, gone)


def listed(sites: Sites, alts: Alts) -> Alts:
    """int64[j, 2]: those of the ALTs that the sites still name."""
    texts = sites.alleles.take(alts[:, 0]).items()
    named = [any(text.split(b",")[allele : allele + 1]) for text, allele in zip(texts, alts[:, 1].tolist(), strict=True)]
    return alts[np.array(named, np.bool_)]


def shown(sites: Sites) -> NDArray[np.int64]:
    """int64[k], ascending: rows that were not blanked."""
    return np.flatnonzero(np.diff(sites.alleles.offsets))


def extent(sites: Sites) -> tuple[int, int, int]:
    """(first POS, last POS, largest position reached), 1-based, of the rows that were not blanked; 1, 1, 1 if all were."""
    live = sites.take(shown(sites))
    return (int(live.pos[0]), int(live.pos[-1]), int(site_ends(live).max())) if len(live) else (1, 1, 1)


def _nameless(sites: Sites, rows: list[int]) -> Sites:
    """The sites, of which ``rows`` lose their names; INFO of structural ones says what ALT said: type and end."""
    some, index = sites.take(rows), np.array(rows, np.int64)
    ends, infos = site_ends(some).tolist(), some.info.items()
    for at, (text, info, end) in enumerate(zip(some.alleles.items(), infos, ends, strict=True)):
        alts = text.split(b",")[1:]
        if structural(alts).any():
            fields = dict(field.split(b"=", 1) for field in info.split(b";") if b"=" in field)
            kind = kind_of(alts, fields.get(b"SVTYPE", b""))
            said = {b"END": b"%d" % end, b"SVTYPE": kind}
            infos[at] = b";".join(key + b"=" + value for key, value in {**said, **fields, **said}.items())
    return replace(sites, ids=sites.ids.replace(index, [b"."] * len(rows)), info=sites.info.replace(index, infos))


def _without(sites: Sites, gone: NDArray[np.bool_]) -> Sites:
    if not gone.any():
        return sites
    gone = gone | (np.diff(sites.alleles.offsets) == 0)  # those of earlier erasures move with their neighbours
    return replace(
        sites,
        pos=_neighbours(sites, gone),
        alleles=_emptied(sites.alleles, gone, b""),
        ids=_emptied(sites.ids, gone, b"."),
        filters=_emptied(sites.filters, gone, b"."),
        info=_emptied(sites.info, gone, b""),
    )


def _emptied(column: TextColumn, gone: NDArray[np.bool_], nothing: bytes) -> TextColumn:
    return TextColumn.from_items(
        nothing if blanked else item for item, blanked in zip(column.items(), gone.tolist(), strict=True)
    )


def _neighbours(sites: Sites, gone: NDArray[np.bool_]) -> NDArray[np.int64]:
    """int64[m]: positions, those of blanked rows taken from the row before on their contig (at its start: the row after) that was not; 1 if
    there is none.
    """
    moved = np.ones(len(sites), np.int64)
    edges = np.flatnonzero(np.diff(sites.contig, prepend=-1, append=-1)).tolist()
    for start, stop in pairwise(edges):
        live = start + np.flatnonzero(~gone[start:stop])
        if len(live):
            before = np.searchsorted(live, np.arange(start, stop), "right") - 1
            moved[start:stop] = sites.pos[live[np.maximum(before, 0)]]
    return moved
