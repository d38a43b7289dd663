"""A view as BGZF VCF with a CSI index: header by allow-list, AC and AN over the released, GT and nothing else (docs/design/disclosure.md §11).

Lines are made as bytes by kernels, a batch of some megabytes at a time, and compressed in the same task; two batches are in work at once
and are written in order, while the view's next page is made. Memory is a few batches and pages, however large the view.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from vault.extracts import bgzf, vcf_kernels
from vault.extracts.csi import Index
from vault.extracts.header import header_text
from vault.extracts.render_pipeline import Records, Scratch, write_runs
from vault.genotypes.codec.call_codes import ESCAPE, call_texts
from vault.genotypes.codec.format_constants import HAS_UNEVEN
from vault.genotypes.sites import Sites, site_ends
from vault.views.pages import Page, Paged, Titled


def write_vcf(view: Paged, vcf: BinaryIO, index: BinaryIO, *, vault_view: Mapping[str, str]) -> Index:
    """Write ``view`` to ``vcf`` (BGZF) and its CSI to ``index``.

    ``vault_view``: fields of the header's one line about the view, an ID among them.

    Raises:
        IntegrityError: ``sites_unsorted``; UsageError: ``view_empty``, ``header_value``; what making a page raises.
    """
    header = vcf_header(view, vault_view)
    vcf.write(header)
    contigs = view.summary.contigs
    found = Index(len(contigs), contigs)
    write_runs(vcf, vcf_records(view), found, record_bytes=line_bytes(view), at=len(header))
    vcf.flush()  # htslib warns of an index that is older than its file
    found.write(index)
    return found


def vcf_header(view: Titled, vault_view: Mapping[str, str]) -> bytes:
    """The header in BGZF members of its own. Raises as ``header_text``."""
    return bgzf.compress(memoryview(header_text(view, vault_view).encode())).data


def vcf_records(view: Paged) -> Iterator[Records]:
    """The view's records as lines, page after page. Raises what making a page raises."""
    return map(_Lines.from_page, view.pages())


def line_bytes(view: Paged) -> int:
    """About how many bytes a line has."""
    return 4 * len(view.pseudonyms) + 64


def site_texts(page: Page) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(text uint8[], ends int64[m + 1]): CHROM to FORMAT of each record, tab between columns; record r is ``text[ends[r]:ends[r + 1]]``."""
    m = len(page.sites)
    ends, columns = np.zeros(m + 1, np.int64), _fixed_columns(page)
    text = np.empty(vcf_kernels.fixed_columns(0, m, _NOTHING, ends, *columns), np.uint8)
    vcf_kernels.fixed_columns(0, m, text, ends, *columns)
    return text, ends


def _fixed_columns(page: Page) -> tuple[NDArray[np.uint8] | NDArray[np.int64] | NDArray[np.int32], ...]:
    """Parts of the records' columns before the calls, uint8[], int64[] and int32[], as ``vcf_kernels.fixed_columns`` takes it."""
    sites, counts = page.sites, page.counts
    names = "".join(sites.contigs).encode()
    name_ends = np.zeros(len(sites.contigs) + 1, np.int64)
    np.cumsum([len(name.encode()) for name in sites.contigs], out=name_ends[1:])
    return (
        np.frombuffer(names, np.uint8).copy(),
        name_ends,
        np.ascontiguousarray(sites.contig, np.int32),
        np.ascontiguousarray(sites.pos, np.int64),
        *(
            part
            for column in (sites.ids, sites.alleles, sites.filters, sites.info)
            for part in (np.ascontiguousarray(column.data, np.uint8), np.ascontiguousarray(column.offsets, np.int64))
        ),
        counts.offsets,
        counts.counts,
        counts.an,
        vcf_kernels.WORDS,
    )


@dataclass(frozen=True)
class _Lines:
    """Columns of a page as the kernels take them: C-contiguous, of fixed types."""

    codes: NDArray[np.uint8]
    sites: Sites
    ends: NDArray[np.int64]
    uneven: NDArray[np.bool_]
    columns: tuple[NDArray[np.uint8] | NDArray[np.int64] | NDArray[np.int32], ...]
    escape_data: NDArray[np.uint8]
    escape_ends: NDArray[np.int64]
    escape_site: NDArray[np.int64]

    @staticmethod
    def from_page(page: Page) -> _Lines:
        sites, counts, escapes = page.sites, page.counts, page.escapes
        columns = _fixed_columns(page)
        escape_ends = np.zeros(len(escapes) + 1, np.int64)
        calls = (
            np.ascontiguousarray(escapes.offset, np.int64),
            np.ascontiguousarray(escapes.alleles, np.int16),
            np.ascontiguousarray(escapes.phased, np.uint8),
        )
        escape_data = np.empty(vcf_kernels.escape_texts(*calls, _NOTHING, escape_ends), np.uint8)
        vcf_kernels.escape_texts(*calls, escape_data, escape_ends)
        uneven = (counts.flags & HAS_UNEVEN).astype(np.bool_)
        site = np.ascontiguousarray(escapes.site, np.int64)
        codes = np.ascontiguousarray(page.codes, np.uint8)
        return _Lines(codes, sites, site_ends(sites), uneven, columns, escape_data, escape_ends, site)

    def render(self, first: int, last: int, scratch: Scratch) -> tuple[memoryview, NDArray[np.int64]]:
        """Text of lines first..last, and int64[last - first]: where each begins."""
        prefix_ends = np.zeros(last - first + 1, np.int64)
        prefix = np.empty(vcf_kernels.fixed_columns(first, last, _NOTHING, prefix_ends, *self.columns), np.uint8)
        vcf_kernels.fixed_columns(first, last, prefix, prefix_ends, *self.columns)
        starts = np.zeros(last - first + 1, np.int64)
        rows = (self.codes, first, last)
        vcf_kernels.measure_lines(*rows, prefix_ends, self.uneven, _LENGTHS, self.escape_site, self.escape_ends, starts)
        out = scratch.take(int(starts[-1]))
        escapes = (self.escape_site, self.escape_data, self.escape_ends)
        vcf_kernels.write_lines(*rows, prefix, prefix_ends, self.uneven, _LENGTHS, _TEXTS, *escapes, starts, out)
        return out.data, starts[:-1]


def _tables() -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """uint32[256]: a tab and the GT text of each code, little-endian; int64[256]: its length in bytes, 0 for ESCAPE."""
    texts = [b"\t" + text for text in call_texts()]
    lengths = np.array([len(text) for text in texts], np.int64)
    lengths[ESCAPE] = 0
    return np.frombuffer(b"".join(text.ljust(4, b"\0") for text in texts), "<u4").astype(np.uint32), lengths


_TEXTS, _LENGTHS = _tables()
_NOTHING = np.empty(0, np.uint8)
