"""Names that a header must define, gathered window by window before the first record is written."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from vault.genotypes.sites import Sites, TextColumn
from vault.views.column_runs import distinct

_SYMBOL = re.compile(rb"<([^<>,]+)>")


@dataclass(frozen=True)
class HeaderSummary:
    """Contigs, FILTERs, symbolic ALTs and INFO fields that the records of a view use.

    ``contigs`` in the order of the records, ``contig_sites`` the records of each; ``filters`` without PASS and ".", ``symbols`` are IDs of symbolic ALTs, both sorted.
    """

    n_sites: int = 0
    contigs: tuple[str, ...] = ()
    contig_sites: tuple[int, ...] = ()
    filters: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    has_end: bool = False
    has_svtype: bool = False
    has_svlen: bool = False

    def and_of(self, sites: Sites) -> HeaderSummary:
        """The summary of these records after those it has. All contigs that ``sites`` names have records."""
        filters = {part for item in distinct(sites.filters) for part in item.decode().split(";")} - {".", "PASS"}
        rows = _rows_with(sites.alleles, ord("<"))
        symbols = {name.decode() for row in rows for name in _SYMBOL.findall(sites.alleles[row])}
        info = distinct(sites.info)
        records = dict(zip(self.contigs, self.contig_sites, strict=True))
        for name, more in zip(sites.contigs, np.bincount(sites.contig, minlength=len(sites.contigs)).tolist(), strict=True):
            records[name] = records.get(name, 0) + more
        return HeaderSummary(
            self.n_sites + len(sites),
            tuple(records),
            tuple(records.values()),
            tuple(sorted(filters.union(self.filters))),
            tuple(sorted(symbols.union(self.symbols))),
            self.has_end or any(item.startswith(b"END=") for item in info),
            self.has_svtype or any(b"SVTYPE=" in item for item in info),
            self.has_svlen or any(b"SVLEN=" in item for item in info),
        )

    def numbered(self, sites: Sites) -> Sites:
        """The same records, their contigs numbered as in the summary."""
        if sites.contigs == self.contigs:
            return sites
        number = {name: at for at, name in enumerate(self.contigs)}
        numbers = np.array([number[name] for name in sites.contigs], np.int32)
        return Sites(self.contigs, numbers[sites.contig], sites.pos, sites.alleles, sites.ids, sites.filters, sites.info)


def _rows_with(column: TextColumn, byte: int) -> list[int]:
    found = np.flatnonzero(column.data == byte)
    rows: list[int] = np.unique(np.searchsorted(column.offsets, found, side="right") - 1).tolist()
    return rows
