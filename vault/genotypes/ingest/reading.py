"""Genotype files while they are read: opened at once, parsed ahead of whoever asks in a thread of its own.

An import begins so before its vault is unlocked: half a second of loading and unlocking is half a second of parsing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Self

from vault.errors import GenovaultError
from vault.genotypes.ingest.source import GenotypeSource, SiteBatch, open_source

BATCHES = 16  # parsed and not yet taken; a batch has up to 12 MiB of call codes, most often in a quarter of that


class Reading:
    """Files in the order given. Opening errors wait for ``sources``, so that an import that fails is logged as one."""

    def __init__(self, files: Sequence[Path], assembly: str) -> None:
        self._sources: list[_Ahead] = []
        self._error: GenovaultError | None = None
        try:
            for file in files:
                self._sources.append(_Ahead(open_source(file, assembly=assembly)))
        except GenovaultError as error:
            self._error = error
        else:
            self._sources[0].begin()

    def sources(self) -> Sequence[GenotypeSource]:
        """The opened files. Raises as ``open_source``."""
        if self._error is not None:
            raise self._error
        return self._sources

    def close(self) -> None:
        """Stop reading and let go of the files."""
        for source in self._sources:
            source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


class _Ahead:
    """A ``GenotypeSource`` whose batches a thread makes, never more than a few at a time."""

    def __init__(self, source: GenotypeSource) -> None:
        self._source = source
        self._made: Queue[SiteBatch | BaseException | None] = Queue(BATCHES)
        self._stopped = False
        self._thread: threading.Thread | None = None

    @property
    def samples(self) -> tuple[str, ...]:
        return self._source.samples

    @property
    def contigs(self) -> Mapping[str, int | None]:
        return self._source.contigs

    @property
    def progress(self) -> tuple[int, int]:
        return self._source.progress

    def begin(self) -> None:
        """Read from now on."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="parse-ahead", daemon=True)
            self._thread.start()

    def batches(self) -> Iterator[SiteBatch]:
        self.begin()
        while (made := self._made.get()) is not None:
            if isinstance(made, BaseException):
                raise made
            yield made

    def close(self) -> None:
        self._stopped = True
        if self._thread is not None:
            while self._thread.is_alive():
                with suppress(Empty):
                    self._made.get(timeout=0.01)  # room for what the thread may be waiting to hand over
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _run(self) -> None:
        last: BaseException | None = None
        try:
            for batch in self._source.batches():
                self._made.put(batch)
                if self._stopped:
                    return
        except BaseException as error:  # noqa: BLE001 - the consumer's to raise, whatever it is
            last = error
        self._made.put(last)
