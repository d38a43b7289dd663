"""Begin to read genotype files: in this process, or large ones in a process of their own.

An import begins so before its vault is unlocked. A process of its own (``reader_client``) parses without waiting for Python's lock and
shares no memory with keys, but takes time to start.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from vault.genotypes.ingest.read_ahead import ReadingHere
from vault.genotypes.ingest.reading import Reading

APART_BYTES = 1 << 21  # files as stored, from which on a process of its own pays for its start


def begin_reading(paths: Sequence[Path], assembly: str, *, apart: bool | None = None, fasta: Path | None = None) -> Reading:
    """Open files and read ahead. ``apart``: in another process; by default where they are large. ``fasta``: the reference sequence that
    they are held to.
    """
    if apart or (apart is None and _stored_bytes(paths) >= APART_BYTES and sys.executable):
        from vault.genotypes.ingest.reader_client import ReadingApart  # noqa: PLC0415 - most commands read no large file

        with suppress(OSError):  # no room for another process
            return ReadingApart(paths, assembly, fasta)
    return ReadingHere(paths, assembly, fasta)


def _stored_bytes(paths: Sequence[Path]) -> int:
    total = 0
    for path in paths:
        with suppress(OSError):  # opening the file will report it
            total += path.stat().st_size
    return total
