"""A view as Parquet: tables of sites, samples and calls (docs/formats/extract.md), by the writer of ``vault.extracts.parquet_file``.

The long table of calls has a row for each call, site after site; what repeats in it (the number of the site, of the column, the number of
copies) is told in runs and costs next to nothing. The wide one has a row for each person and a column for each site of a panel.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from vault.errors import InputError
from vault.extracts import parquet_kernels
from vault.extracts.parquet_file import (
    BOOLEAN,
    BYTES,
    INT16,
    INT32,
    TEXT,
    UINT8,
    UINT32,
    ColumnChunk,
    ParquetColumn,
    ParquetFile,
    bits,
    byte_arrays,
    delta_chunk,
    delta_packed,
    distinct_chunk,
    levels,
    packed,
    plain_chunk,
    repeated,
    varint,
)
from vault.extracts.parquet_sites import ParquetSites
from vault.genotypes.codec.call_codes import ABSENT, DIPLOID_STRIDE, ESCAPE, HAPLOID_BASE, PHASED_OFFSET
from vault.genotypes.compute.threads import THREADS
from vault.ids import Pseudonym
from vault.limits import MAX_WIDE_SITES
from vault.views.pages import Page, Paged
from vault.views.variants import call_texts_of

GROUP_CALLS = 1 << 20  # rows of one row group of calls: some megabytes while it is made
AHEAD = 2 * THREADS  # groups that wait to be written

SITE = ParquetColumn("site", INT32, UINT32)
COLUMN = ParquetColumn("column", INT32, UINT32)
SAMPLE = ParquetColumn("sample", BYTES, TEXT)
CALLS = (
    SITE,
    COLUMN,
    ParquetColumn("a1", INT32, INT16, nullable=True),
    ParquetColumn("a2", INT32, INT16, nullable=True),
    ParquetColumn("ploidy", INT32, UINT8),
    ParquetColumn("phased", BOOLEAN),
)


def write_samples(pseudonyms: tuple[Pseudonym, ...], out: BinaryIO) -> None:
    """The table of samples: number of the column and pseudonym."""
    n = len(pseudonyms)
    file = ParquetFile(out, [COLUMN, SAMPLE])
    file.put(COLUMN, plain_chunk(np.arange(n, dtype="<u4").tobytes(), n))
    file.put(SAMPLE, _names(pseudonyms))
    file.end_group(n)
    file.close()


def write_long(view: Paged, sites: BinaryIO, calls: BinaryIO, *, first_site: int = 0) -> None:
    """The table of sites, numbered from ``first_site``, and the long one of calls.

    Raises:
        InputError: ``parquet_ploidy``: a call has more than two copies.
        IntegrityError: what making a page raises.
    """
    table, file = ParquetSites(sites, first_site), ParquetFile(calls, list(CALLS))
    waiting: deque[tuple[int, Future[list[ColumnChunk]]]] = deque()

    def finish() -> None:
        rows, future = waiting.popleft()
        for column, chunk in zip(CALLS, future.result(), strict=True):
            file.put(column, chunk)
        file.end_group(rows)

    with ThreadPoolExecutor(THREADS) as pool:
        for group in _groups(view, table):
            waiting.append((group.rows, pool.submit(group.chunks)))
            if len(waiting) > AHEAD:
                finish()
        while waiting:
            finish()
    table.close()
    file.close()


def write_wide(view: Paged, sites: BinaryIO, calls: BinaryIO, *, n_sites: int) -> None:
    """The table of sites, and one of calls with a row for each sample and a column of GT texts for each site, "number:contig:position".

    Raises:
        InputError: ``parquet_too_wide``: more sites than columns are read well.
        IntegrityError: what making a page raises.
    """
    if n_sites > MAX_WIDE_SITES:
        raise InputError("parquet_too_wide", f"{n_sites:,} sites are more than {MAX_WIDE_SITES:,} columns", hint="--layout long")
    table, file, number = ParquetSites(sites, 0), ParquetFile(calls, [SAMPLE]), 0
    file.put(SAMPLE, _names(view.pseudonyms))
    for page in view.pages():
        table.add(page)
        for row, (contig, pos) in enumerate(zip(page.sites.contig.tolist(), page.sites.pos.tolist(), strict=True)):
            column = ParquetColumn(f"{number}:{page.sites.contigs[contig]}:{pos}", BYTES, TEXT)
            file.columns.append(column)
            file.put(column, _texts(call_texts_of(page.codes, page.escapes, row)))
            number += 1
    file.end_group(len(view.pseudonyms))
    table.close()
    file.close()


class _CallMemory(threading.local):
    """Columns that a thread fills for group after group: fresh pages would cost more than what they hold."""

    def __init__(self) -> None:
        self._columns = tuple(np.empty(0, kind) for kind in (np.int16, np.int16, np.uint8, np.uint8))

    def take(self, rows: int) -> tuple[NDArray[Any], ...]:
        """int16[rows] twice and uint8[rows] twice, valid until this thread's next call."""
        if len(self._columns[0]) < rows:
            self._columns = tuple(np.empty(rows, column.dtype) for column in self._columns)
        return tuple(column[:rows] for column in self._columns)


_MEMORY = _CallMemory()


@dataclass(frozen=True)
class _CallGroup:
    """Rows first..last of a page, the first of which is site ``number``."""

    page: Page
    first: int
    last: int
    number: int

    @property
    def rows(self) -> int:
        """Calls."""
        return (self.last - self.first) * int(self.page.codes.shape[1])

    def chunks(self) -> list[ColumnChunk]:
        """The chunks of ``CALLS``."""
        k, n = self.last - self.first, self.page.codes.shape[1]
        a1, a2, single, phased = _MEMORY.take(self.rows)
        found = np.zeros(6, np.int64)
        parquet_kernels.columns(self.page.codes, self.first, self.last, _TABLE, a1, a2, single, phased, found)
        self._add_escapes(a1, a2, single, phased, found)
        missing, ones = found[:2].tolist(), int(found[2])
        copies = repeated(1, self.rows, 1) if not ones else bits(single == 0)
        return [
            _site_numbers(self.number, k, n),
            _column_numbers(n, k),
            *(_alleles(values, lost, top) for values, lost, top in zip((a1, a2), missing, found[4:].tolist(), strict=True)),
            distinct_chunk(np.array([1, 2], "<u4").tobytes(), 2, 1, copies, self.rows),
            plain_chunk(np.packbits(phased, bitorder="little").tobytes(), self.rows),
        ]

    def _add_escapes(
        self,
        a1: NDArray[np.int16],
        a2: NDArray[np.int16],
        single: NDArray[np.uint8],
        phased: NDArray[np.uint8],
        found: NDArray[np.int64],
    ) -> None:
        """The calls that did not fit a code; what was counted is counted again where there are some."""
        escapes, n = self.page.escapes, self.page.codes.shape[1]
        mine = slice(*np.searchsorted(escapes.site, (self.first, self.last)))
        begin, end = escapes.offset[:-1][mine], escapes.offset[1:][mine]
        if not len(begin):
            return
        if bool((end - begin > 2).any()):
            raise InputError(
                "parquet_ploidy",
                "a call has more than two copies of its site, and the table has room for two",
                hint="--format vcf",
            )
        at = (escapes.site[mine] - self.first) * n + escapes.sample[mine]
        one = end - begin == 1
        a1[at] = escapes.alleles[begin]
        a2[at] = np.where(one, -1, escapes.alleles[end - 1])
        single[at], phased[at] = one, np.where(one, 0, escapes.phased[end - 1])
        found[:] = ((a1 < 0).sum(), (a2 < 0).sum(), single.sum(), phased.sum(), a1.max(), a2.max())


def _groups(view: Paged, table: ParquetSites) -> Iterator[_CallGroup]:
    """The view's calls in groups; its sites go into ``table`` on the way."""
    at_once, number = max(1, GROUP_CALLS // len(view.pseudonyms)), table.number
    for page in view.pages():
        table.add(page)
        flat = Page(page.sites, np.ascontiguousarray(page.codes), page.escapes, page.counts)
        for first in range(0, len(page.sites), at_once):
            last = min(first + at_once, len(page.sites))
            yield _CallGroup(flat, first, last, number + first)
        number += len(page.sites)


def _site_numbers(number: int, k: int, n: int) -> ColumnChunk:
    """ColumnChunk of k sites, each for n calls: a run for each."""
    width = max(1, (k - 1).bit_length())
    wide, length = (width + 7) // 8, varint(n << 1)
    runs = np.empty((k, len(length) + wide), np.uint8)
    runs[:, : len(length)] = np.frombuffer(length, np.uint8)
    runs[:, len(length) :] = np.arange(k, dtype="<u4").view(np.uint8).reshape(k, 4)[:, :wide]
    distinct = np.arange(number, number + k, dtype="<u4").tobytes()
    return distinct_chunk(distinct, k, width, runs.tobytes(), k * n, least=number, most=number + k - 1)


@lru_cache(maxsize=4)
def _column_numbers(n: int, k: int) -> ColumnChunk:
    """The numbers of n columns, k times: the same in all groups of one size."""
    return delta_chunk(delta_packed(np.tile(np.arange(n), k)), n * k)


def _alleles(values: NDArray[np.int16], missing: int, top: int) -> ColumnChunk:
    n, most = len(values), max(top, 0)
    width = max(1, most.bit_length())
    there = levels(repeated(1, n, 1) if not missing else bits(values >= 0))
    distinct = np.arange(most + 1, dtype="<i4").tobytes()
    return distinct_chunk(distinct, most + 1, width, packed(_present_bits(values, missing, width), n - missing), n, levels=there)


def _present_bits(values: NDArray[np.int16], missing: int, width: int) -> bytes:
    """Values that are not missing, each in ``width`` bits, filled up to a multiple of 8."""
    if width == 1:
        there = values[values >= 0] if missing else values
        return np.packbits(there.view(np.uint16).astype(np.uint8), bitorder="little").tobytes()
    out = np.zeros(((len(values) - missing + 7) // 8) * width, np.uint8)
    parquet_kernels.pack_present(values, width, out)
    return out.tobytes()


def _texts(texts: NDArray[np.object_]) -> ColumnChunk:
    """GT texts, each told once."""
    distinct, number = np.unique(texts.astype(bytes), return_inverse=True)
    width = max(1, (len(distinct) - 1).bit_length())
    indices = np.zeros(((len(number) + 7) // 8) * width, np.uint8)
    parquet_kernels.pack_present(number.astype(np.int16), width, indices)
    return distinct_chunk(
        byte_arrays(distinct.tolist()), len(distinct), width, packed(indices.tobytes(), len(number)), len(number)
    )


def _names(pseudonyms: tuple[Pseudonym, ...]) -> ColumnChunk:
    return plain_chunk(byte_arrays([name.encode() for name in pseudonyms]), len(pseudonyms))


def _table() -> NDArray[np.uint32]:
    """uint32[256] as ``parquet_kernels.columns`` takes it."""
    table = np.zeros(256, np.uint32)
    code = np.arange(HAPLOID_BASE)
    first, second = code % PHASED_OFFSET // DIPLOID_STRIDE, code % PHASED_OFFSET % DIPLOID_STRIDE
    table[:HAPLOID_BASE] = first | second << 8 | (code >= PHASED_OFFSET).astype(np.int64) << 17
    table[HAPLOID_BASE:ESCAPE] = np.arange(ESCAPE - HAPLOID_BASE) | 1 << 16
    table[[ESCAPE, ABSENT]] = 0
    return table


_TABLE = _table()
