"""A view as the blocks of a stream: a header that is the same for every view of its people, and the records behind it, whole BGZF members each.

The header names all that the records of any view may use, so that it does not depend on what was asked for: contigs of the dataset, FILTERs and
symbolic ALTs that may leave (``vault.views.released_text``), every INFO field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vault.extracts import bcf, bgzf, vcf
from vault.extracts.render_pipeline import rendered_runs
from vault.extracts.stream_format import StreamFormat
from vault.ids import Pseudonym
from vault.views.header_summary import HeaderSummary
from vault.views.pages import OfView, Page, Paged
from vault.views.released_text import NOT_PASSED, SYMBOLS

END = bgzf.EOF_BLOCK
"""Last member of a whole stream."""


@dataclass(frozen=True)
class StreamTitle:
    """Content of a stream's header."""

    pseudonyms: tuple[Pseudonym, ...]
    assembly: str
    summary: HeaderSummary

    @staticmethod
    def of(pseudonyms: Sequence[Pseudonym], *, assembly: str, contigs: Sequence[str]) -> StreamTitle:
        """The title of every stream of these people on these contigs, in this order."""
        symbols = tuple(sorted(name for name in SYMBOLS if name != "*"))
        summary = HeaderSummary(
            contigs=tuple(contigs),
            contig_sites=(0,) * len(contigs),
            filters=(NOT_PASSED,),
            symbols=symbols,
            has_end=True,
            has_svtype=True,
            has_svlen=True,
        )
        return StreamTitle(tuple(pseudonyms), assembly, summary)


def header(title: StreamTitle, kind: StreamFormat, vault_view: Mapping[str, str]) -> bytes:
    """The header's members. ``vault_view`` as of ``vcf.write_vcf``. Raises as ``header_text``."""
    return (bcf.bcf_header if kind is StreamFormat.BCF else vcf.vcf_header)(title, vault_view)


def body(view: Paged, title: StreamTitle, kind: StreamFormat) -> Iterator[bytes]:
    """The records' members in runs of some megabytes; without ``END``. Raises what making a page raises."""
    titled = _Renumbered(view, title.summary)
    records, size = (
        (bcf.bcf_records(titled), bcf.record_bytes(titled))
        if kind is StreamFormat.BCF
        else (vcf.vcf_records(titled), vcf.line_bytes(titled))
    )
    return (run.members.data for run in rendered_runs(records, record_bytes=size))


@dataclass(frozen=True)
class _Renumbered(OfView):
    """The view under the summary of a stream's header."""

    _titled: HeaderSummary

    @property
    def summary(self) -> HeaderSummary:
        return self._titled

    def pages(self) -> Iterator[Page]:
        return (replace(page, sites=self._titled.numbered(page.sites)) for page in self._view.pages())
