"""A view as BCF 2.2 (VCF 4.3 specification §6) with a CSI index: the same header and fields as ``vault.extracts.vcf``, a third of its bytes to compress.

Strings of the header are numbered as htslib does it: PASS first, then every FILTER, INFO and FORMAT ID in order of appearance, an ID
used twice once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from vault.extracts import bcf_kernels, bgzf
from vault.extracts.csi import Index
from vault.extracts.header import filters_of, header_text
from vault.extracts.render_pipeline import Records, Scratch, write_runs
from vault.genotypes.codec.call_codes import ABSENT, DIPLOID_STRIDE, ESCAPE, HAPLOID_BASE, PHASED_OFFSET
from vault.genotypes.sites import Sites, TextColumn, site_ends
from vault.views.column_runs import turns
from vault.views.header_summary import HeaderSummary
from vault.views.pages import Page, Paged, Titled

MAX_INT8_ALLELE = 62  # (62 + 1) << 1 | 1 = 127


def write_bcf(view: Paged, bcf: BinaryIO, index: BinaryIO, *, vault_view: Mapping[str, str]) -> Index:
    """Write ``view`` to ``bcf`` and its CSI to ``index``. Arguments and errors as ``write_vcf``."""
    head = bcf_header(view, vault_view)
    bcf.write(head)
    found = Index(len(view.summary.contigs))
    write_runs(bcf, bcf_records(view), found, record_bytes=record_bytes(view), at=len(head))
    bcf.flush()  # htslib warns of an index that is older than its file
    found.write(index)
    return found


def bcf_header(view: Titled, vault_view: Mapping[str, str]) -> bytes:
    """Magic and header in BGZF members of their own. Raises as ``header_text``."""
    text = header_text(view, vault_view).encode() + b"\0"
    return bgzf.compress(memoryview(b"BCF\2\2" + struct.pack("<I", len(text)) + text)).data


def bcf_records(view: Paged) -> Iterator[Records]:
    """The view's records, page after page, numbered as in the header of its summary. Raises what making a page raises."""
    numbers = _dictionary(view.summary)
    return (_Records.from_page(page, numbers) for page in view.pages())


def record_bytes(view: Paged) -> int:
    """About how many bytes a record has."""
    return 2 * len(view.pseudonyms) + 64


@dataclass(frozen=True)
class _Records:
    """Columns of a page as the kernels take them: C-contiguous, of fixed types."""

    codes: NDArray[np.uint8]
    sites: Sites
    ends: NDArray[np.int64]
    columns: tuple[Any, ...]
    escapes: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int16], NDArray[np.uint8]]
    width: NDArray[np.int64]
    size: NDArray[np.int64]
    gt: int

    @staticmethod
    def from_page(page: Page, numbers: Mapping[str, int]) -> _Records:
        sites, escapes, counts = page.sites, page.escapes, page.counts
        ends = site_ends(sites)
        width = np.full(len(sites), 2, np.int64)
        np.maximum.at(width, escapes.site, np.diff(escapes.offset))
        filters = _filters(sites.filters, numbers)
        columns = (
            page.codes.shape[1],
            np.ascontiguousarray(sites.contig, np.int32),
            np.ascontiguousarray(sites.pos, np.int64),
            ends,
            *(
                part
                for column in (sites.ids, sites.alleles, filters, sites.info)
                for part in (np.ascontiguousarray(column.data, np.uint8), np.ascontiguousarray(column.offsets, np.int64))
            ),
            counts.offsets,
            counts.counts,
            counts.an,
            np.array([numbers.get(name, -1) for name in ("AC", "AN", "END", "SVTYPE", "SVLEN")], np.int64),
        )
        return _Records(
            np.ascontiguousarray(page.codes, np.uint8),
            sites,
            ends,
            columns,
            (
                np.ascontiguousarray(escapes.site, np.int64),
                np.ascontiguousarray(escapes.offset, np.int64),
                np.ascontiguousarray(escapes.alleles, np.int16),
                np.ascontiguousarray(escapes.phased, np.uint8),
            ),
            width,
            np.where(np.diff(counts.offsets) - 1 > MAX_INT8_ALLELE, 2, 1).astype(np.int64),
            numbers["GT"],
        )

    def render(self, first: int, last: int, scratch: Scratch) -> tuple[memoryview, NDArray[np.int64]]:
        """Bytes of records first..last, and int64[last - first]: where each begins."""
        shared_ends = np.zeros(last - first + 1, np.int64)
        shared = np.empty(bcf_kernels.shared_parts(first, last, _NOTHING, shared_ends, *self.columns), np.uint8)
        bcf_kernels.shared_parts(first, last, shared, shared_ends, *self.columns)
        starts = np.zeros(last - first + 1, np.int64)
        shape = (self.width, self.size, self.gt)
        bcf_kernels.measure_records(first, last, shared_ends, self.codes.shape[1], *shape, starts)
        out = scratch.take(int(starts[-1]))
        bcf_kernels.write_records(self.codes, first, last, shared, shared_ends, *shape, _PAIRS, *self.escapes, starts, out)
        return out.data, starts[:-1]


def _dictionary(summary: HeaderSummary) -> dict[str, int]:
    numbers: dict[str, int] = {}
    told = {"END": summary.has_end, "SVTYPE": summary.has_svtype, "SVLEN": summary.has_svlen}
    info = ["AC", "AN", *(name for name, has in told.items() if has)]
    for name in (*filters_of(summary), *info, "GT"):
        numbers.setdefault(name, len(numbers))
    return numbers


def _filters(filters: TextColumn, numbers: Mapping[str, int]) -> TextColumn:
    """The FILTER of each record as a typed vector of dictionary numbers."""
    starts = turns(filters)
    coded = TextColumn.from_items(_filter(item.decode(), numbers) for item in filters.take(np.flatnonzero(starts)).items())
    return coded.take(np.cumsum(starts) - 1)


def _filter(text: str, numbers: Mapping[str, int]) -> bytes:
    if text == ".":
        return b"\0"
    found = [numbers[name] for name in text.split(";")]
    kind, size = (1, "b") if max(found) <= 127 else (2, "h")
    head = bytes([len(found) << 4 | kind]) if len(found) < 15 else bytes([0xF0 | kind, 0x12]) + struct.pack("<h", len(found))
    return head + struct.pack(f"<{len(found)}{size}", *found)


def _pairs() -> NDArray[np.uint16]:
    """uint16[256]: two int8 of each code. An allele is (number + 1) << 1, missing 0, the second's lowest bit its phase."""
    pairs = np.zeros(256, np.uint16)
    code = np.arange(HAPLOID_BASE)
    first, second = code % PHASED_OFFSET // DIPLOID_STRIDE, code % PHASED_OFFSET % DIPLOID_STRIDE
    pairs[:HAPLOID_BASE] = (first << 1) | (((second << 1) | (code >= PHASED_OFFSET)) << 8)
    pairs[HAPLOID_BASE:ESCAPE] = (np.arange(ESCAPE - HAPLOID_BASE) << 1) | (0x81 << 8)
    pairs[ABSENT] = 0
    return pairs


_PAIRS = _pairs()
_NOTHING = np.empty(0, np.uint8)
