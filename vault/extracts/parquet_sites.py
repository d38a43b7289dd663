"""The table of sites of a Parquet extract: what the lines of a VCF say before the calls, a row for each site."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from vault.extracts.parquet_file import (
    BYTES,
    INT32,
    TEXT,
    UINT32,
    ColumnChunk,
    ParquetColumn,
    ParquetFile,
    bits,
    byte_arrays,
    distinct_chunk,
    levelled_chunk,
    levels,
    packed,
    plain_chunk,
)
from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.sites import Sites, TextColumn
from vault.views.pages import Page

GROUP_SITES = 1 << 16  # rows of one row group

SITES = (
    ParquetColumn("site", INT32, UINT32),
    ParquetColumn("contig", BYTES, TEXT),
    ParquetColumn("pos", INT32, UINT32),
    ParquetColumn("id", BYTES, TEXT, nullable=True),
    ParquetColumn("ref", BYTES, TEXT),
    ParquetColumn("alts", BYTES, TEXT, listed=True),
    ParquetColumn("filters", BYTES, TEXT, listed=True),
    ParquetColumn("ac", INT32, UINT32, listed=True),
    ParquetColumn("an", INT32, UINT32),
    ParquetColumn("info", BYTES, TEXT, nullable=True),
)


class ParquetSites:
    """Gathers the sites of pages; ``number``: of the next one that is written."""

    def __init__(self, out: BinaryIO, number: int) -> None:
        self.number = number
        self._file = ParquetFile(out, list(SITES))
        self._held: list[Page] = []
        self._rows = 0

    def add(self, page: Page) -> None:
        """The page's sites; its calls are not kept."""
        nobody = page.codes[:, :0]
        self._held.append(
            Page(page.sites, np.empty(nobody.shape, np.uint8), page.escapes.take(np.zeros(0, np.intp)), page.counts)
        )
        self._rows += len(page.sites)
        if self._rows >= GROUP_SITES:
            self._write()

    def close(self) -> None:
        """Write what is left: then the table is whole."""
        if self._rows:
            self._write()
        self._file.close()

    def _write(self) -> None:
        sites = Sites.concat([page.sites for page in self._held])
        counts = AlleleCounts.concat([page.counts for page in self._held])
        for column, chunk in zip(SITES, _chunks(sites, counts, self.number), strict=True):
            self._file.put(column, chunk)
        self._file.end_group(len(sites))
        self.number += len(sites)
        self._held, self._rows = [], 0


def _chunks(sites: Sites, counts: AlleleCounts, number: int) -> list[ColumnChunk]:
    m = len(sites)
    split = [item.split(b",") for item in sites.alleles.items()]
    filters = [[] if item == b"." else item.split(b";") for item in sites.filters.items()]
    sizes = np.diff(counts.offsets)
    alts = np.ones(len(counts.counts), np.bool_)
    alts[counts.offsets[:-1]] = False
    return [
        plain_chunk(np.arange(number, number + m, dtype="<u4").tobytes(), m, least=number, most=number + m - 1),
        _contigs(sites),
        plain_chunk(sites.pos.astype("<u4").tobytes(), m, least=int(sites.pos.min()), most=int(sites.pos.max())),
        _optional(sites.ids, b"."),
        plain_chunk(byte_arrays([alleles[0] for alleles in split]), m),
        _listed(np.array([len(alleles) - 1 for alleles in split]), byte_arrays([alt for item in split for alt in item[1:]])),
        _listed(np.array([len(names) for names in filters]), byte_arrays([name for names in filters for name in names])),
        _listed(sizes - 1, counts.counts[alts].astype("<u4").tobytes()),
        plain_chunk(counts.an.astype("<u4").tobytes(), m),
        _optional(sites.info, b""),
    ]


def _contigs(sites: Sites) -> ColumnChunk:
    used, number = np.unique(sites.contig, return_inverse=True)
    width = max(1, (len(used) - 1).bit_length())
    rows = (number[:, None] >> np.arange(width)) & 1
    padded = np.concatenate([rows, np.zeros((-len(rows) % 8, width), rows.dtype)])
    data = np.packbits(padded.astype(np.uint8).reshape(-1), bitorder="little").tobytes()
    names = byte_arrays([sites.contigs[name].encode() for name in used.tolist()])
    return distinct_chunk(names, len(used), width, packed(data, len(number)), len(number))


def _optional(column: TextColumn, absent: bytes) -> ColumnChunk:
    items = column.items()
    there = np.array([item != absent for item in items], np.bool_)
    return levelled_chunk(levels(bits(there)), byte_arrays([item for item in items if item != absent]), len(items))


def _listed(sizes: NDArray[np.int64], data: bytes) -> ColumnChunk:
    """Lists of ``sizes`` int64[m]: an empty one has one place in the levels, where nothing is."""
    places = np.maximum(sizes, 1)
    n = int(places.sum())
    later, there = np.ones(n, np.bool_), np.repeat(sizes > 0, places)
    later[np.cumsum(places) - places] = False
    return levelled_chunk(levels(bits(later)) + levels(bits(there)), data, n)
