"""Interfaces of genotype files on their way into a vault: opened, and given chunk by chunk, in this process or from another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, Self

from vault.genotypes.codec.encoded_chunk import SiteChunk
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.genotypes.ingest.personal_calls import PersonalCalls

Progress = Callable[[int, int], None]
"""``progress(bytes read, sites)`` of one file."""


class ReadFile(Protocol):
    """An opened file."""

    @property
    def samples(self) -> tuple[str, ...]:
        """Sample names in file order, no two alike."""

    @property
    def size(self) -> int:
        """Bytes as stored."""

    @property
    def gvcf(self) -> bool:
        """The file is one person's, with blocks of reference: it is to be read by ``personal``."""

    def personal(self, rule: AssayRule, progress: Progress) -> PersonalCalls:
        """The one person's calls and tracks, read whole, once.

        Raises:
            InputError: with file, line and reason.
            UsageError: ``not_a_gvcf``.
        """

    def chunks(self, columns: Sequence[int], progress: Progress) -> Iterator[SiteChunk]:
        """All sites, once, with the calls of the chosen columns in the order given.

        Raises:
            InputError: with file, line and reason.
        """


class Reading(Protocol):
    """Files being read, in the order given and each to its end; leaving the context stops it."""

    def files(self) -> Sequence[ReadFile]:
        """The opened files.

        Raises:
            GenovaultError: as ``open_source``; not sooner, so that an import that fails is logged as one.
        """

    def close(self) -> None:
        """Stop reading and let go of the files."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_exc: object) -> None: ...
