"""Chunks of an import's files, one file after another, and how far they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from vault.errors import InputError
from vault.genotypes.codec.encoded_chunk import SiteChunk
from vault.genotypes.contigs import normal_contig
from vault.genotypes.indel_counts import IndelCounts
from vault.genotypes.ingest.reading import ReadFile
from vault.genotypes.structural_counts import StructuralCounts

_ONE_BY_ONE = "import blocks of a contig one after the other with --append, or join them first (bcftools concat)"

Progress = Callable[[int, int, int], None]
"""``progress(bytes read, bytes in all, sites so far)``."""


def told(chunks: Iterator[SiteChunk], counts: tuple[StructuralCounts, IndelCounts]) -> Iterator[SiteChunk]:
    """The chunks, each counted before it is handed on."""
    structural, indels = counts
    return indels.counted(structural.counted(chunks))


def chunks_of_files(
    opened: Sequence[ReadFile], columns: Sequence[Sequence[int]], chosen: Sequence[int], progress: Progress | None
) -> Iterator[SiteChunk]:
    """The chunks of several files, each contig in one of them. ``columns``: of each file, in the first one's order of samples; ``chosen``: which.

    Raises:
        InputError: ``contig_twice``, ``no_sites``, and what the readers refuse.
    """
    total = sum(read.size for read in opened)
    before = sites = in_file = 0
    seen: set[str] = set()

    def tell(done: int, sites_so_far: int) -> None:
        nonlocal in_file
        in_file = sites_so_far
        if progress is not None:
            progress(before + done, total, sites + in_file)

    for read, order in zip(opened, columns, strict=True):
        mine: set[str] = set()
        for chunk in read.chunks([order[at] for at in chosen], tell):
            contig = normal_contig(chunk.contig)
            if contig in seen:
                raise InputError("contig_twice", "two of the files have sites on one contig", hint=_ONE_BY_ONE)
            mine.add(contig)
            yield chunk
        seen |= mine
        before, sites, in_file = before + read.size, sites + in_file, 0
    if not seen:
        raise InputError("no_sites", "the file has no sites", hint="there is nothing to import")


def teller(opened: Sequence[ReadFile], progress: Progress | None) -> Callable[[int, int, int], None]:
    """``tell(bytes of the files before, bytes read of this one, sites so far)``."""
    total = sum(read.size for read in opened)
    return lambda before, done, sites: progress(before + done, total, sites) if progress is not None else None
