"""Genotype files read in this process: a thread parses ahead of the encoder, a bounded number of batches at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Protocol, Self, runtime_checkable

from vault.errors import GenovaultError, UsageError
from vault.genotypes.codec.encoded_chunk import SiteChunk
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.genotypes.ingest.open_source import open_source
from vault.genotypes.ingest.personal_calls import PersonalCalls
from vault.genotypes.ingest.reading import Progress, ReadFile
from vault.genotypes.ingest.source import GenotypeSource, SiteBatch, reorder

BATCHES = 16  # parsed and not yet taken; a batch has up to 12 MiB of call codes, most often in a quarter of that


@runtime_checkable
class PersonalSource(Protocol):
    """A source that may hold one person's gVCF."""

    def personal(self, rule: AssayRule, progress: Progress) -> PersonalCalls:
        """As ``ReadFile``."""


class ReadingHere:
    """``Reading`` in this process: a thread parses ahead; the thread that asks for chunks encodes them."""

    def __init__(self, paths: Sequence[Path], assembly: str, fasta: Path | None = None) -> None:
        self._files: list[_FileHere] = []
        self._error: GenovaultError | None = None
        try:
            for path in paths:
                self._files.append(_FileHere(open_source(path, assembly=assembly, fasta=fasta)))
        except GenovaultError as error:
            self._error = error
        else:
            if not self._files[0].gvcf:  # of which the rule must be known first
                self._files[0].begin()

    def files(self) -> Sequence[ReadFile]:
        """As ``Reading``.

        Raises:
            GenovaultError: as ``open_source``.
        """
        if self._error is not None:
            raise self._error
        return self._files

    def close(self) -> None:
        """As ``Reading``."""
        for file in self._files:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


class _FileHere:
    """A source whose batches a thread makes, never more than a few at a time."""

    def __init__(self, source: GenotypeSource) -> None:
        self._source = source
        self._made: Queue[SiteBatch | BaseException | None] = Queue(BATCHES)
        self._stopped = False
        self._thread: threading.Thread | None = None

    @property
    def samples(self) -> tuple[str, ...]:
        return self._source.samples

    @property
    def size(self) -> int:
        return self._source.progress[1]

    @property
    def gvcf(self) -> bool:
        return self._source.gvcf

    def personal(self, rule: AssayRule, progress: Progress) -> PersonalCalls:
        if not (self.gvcf and isinstance(self._source, PersonalSource)):
            raise UsageError("not_a_gvcf", "the file has no blocks of reference")
        return self._source.personal(rule, progress)

    def begin(self) -> None:
        """Parse from now on."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="parse-ahead", daemon=True)
            self._thread.start()

    def chunks(self, columns: Sequence[int], progress: Progress) -> Iterator[SiteChunk]:
        from vault.genotypes.ingest.chunking import chunks_of  # noqa: PLC0415 - kernels load beside the parsing

        return chunks_of(reorder(self._batches(progress), columns, len(self.samples)), len(columns))

    def _batches(self, progress: Progress) -> Iterator[SiteBatch]:
        self.begin()
        sites = 0
        while (made := self._made.get()) is not None:
            if isinstance(made, BaseException):
                raise made
            yield made
            sites += len(made.sites)
            progress(self._source.progress[0], sites)

    def close(self) -> None:
        self._stopped = True
        if self._thread is not None:
            while self._thread.is_alive():
                with suppress(Empty):
                    self._made.get(timeout=0.01)  # room for what the thread may be waiting to hand over
        self._source.close()

    def _run(self) -> None:
        last: BaseException | None = None
        try:
            for batch in self._source.batches():
                self._made.put(batch)
                if self._stopped:
                    return
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that takes the batches
            last = error
        self._made.put(last)
