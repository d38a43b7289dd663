"""Site tables without the alleles that only an erased person carried (docs/formats/genotypes.md §5.1). Pure.

Ordinals stay, because the blocks of all other people count on them. An ALT becomes empty text. A site of which no ALT is left loses
REF, ID, FILTER and INFO as well, and takes the position of a neighbour, so that not even a place is left.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vault.errors import UsageError
from vault.genotypes.sites import Sites, TextColumn, site_ends
from vault.genotypes.store.site_tables import SiteTable

Alts = NDArray[np.int64]
"""int64[k, 2]: rows and allele numbers (1 is the first ALT), in ascending order."""


def blank(table: SiteTable, alts: Alts) -> SiteTable:
    """The table without these ALTs.

    Raises:
        UsageError: ``alt_unknown``: a row or allele that the table does not have.
    """
    alleles = table.sites.alleles.items()
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
        gone[row] = not any(left[1:])
        alleles[row] = b",".join(left)
    return SiteTable(_without(replace(table.sites, alleles=TextColumn.from_items(alleles)), gone), table.coding)


def shown(sites: Sites) -> NDArray[np.int64]:
    """int64[k], ascending: rows that were not blanked."""
    return np.flatnonzero(np.diff(sites.alleles.offsets))


def extent(sites: Sites) -> tuple[int, int, int]:
    """(first POS, last POS, largest position reached), 1-based, of the rows that were not blanked; 1, 1, 1 if all were."""
    live = sites.take(shown(sites))
    return (int(live.pos[0]), int(live.pos[-1]), int(site_ends(live).max())) if len(live) else (1, 1, 1)


def _without(sites: Sites, gone: NDArray[np.bool_]) -> Sites:
    if not gone.any():
        return sites
    gone = gone | (np.diff(sites.alleles.offsets) == 0)  # those of earlier erasures move with their neighbours
    return replace(
        sites,
        pos=_neighbours(sites.pos, gone),
        alleles=_emptied(sites.alleles, gone, b""),
        ids=_emptied(sites.ids, gone, b"."),
        filters=_emptied(sites.filters, gone, b"."),
        info=_emptied(sites.info, gone, b""),
    )


def _emptied(column: TextColumn, gone: NDArray[np.bool_], nothing: bytes) -> TextColumn:
    return TextColumn.from_items(
        nothing if blanked else item for item, blanked in zip(column.items(), gone.tolist(), strict=True)
    )


def _neighbours(pos: NDArray[np.int64], gone: NDArray[np.bool_]) -> NDArray[np.int64]:
    """int64[m]: positions, those of blanked rows taken from the row before (at the start: the row after) that was not; 1 if there is none."""
    live = np.flatnonzero(~gone)
    if not len(live):
        return np.ones(len(pos), np.int64)
    before = np.searchsorted(live, np.arange(len(pos)), "right") - 1
    return pos[live[np.maximum(before, 0)]]
