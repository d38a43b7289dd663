"""The files of a release in the making, each of which its manifest names: written through one sink, told by size and digest as they are written."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from vault.extracts.crypt4gh import Envelope, SealedFile
from vault.extracts.manifest import Content, FileEntry
from vault.extracts.staging import Staging

SUFFIX = ".c4gh"  # of a sealed file's name
SEALED_FORMAT = "+crypt4gh/1"  # after the format of what it holds


class Parcel:
    """Opens the files of one release. ``entries``: those that are finished, in the order in which they were.

    With an ``envelope``, what is written is sealed before it reaches the disk, and the file's name ends in ".c4gh". ``entries``: of files that
    are in the folder already.
    """

    def __init__(self, staging: Staging, envelope: Envelope | None = None, *, entries: Iterable[FileEntry] = ()) -> None:
        self.entries = list(entries)
        self._staging, self._envelope = staging, envelope

    @contextmanager
    def create(self, name: str, *, file_format: str, clear: bool = False) -> Iterator[BinaryIO]:
        """A new file, forward only: ``write``, ``flush`` and ``tell``. It is synced and told when the block ends well.

        ``clear``: not sealed, because it says nothing of anybody.

        Raises:
            UsageError, UnavailableError: as ``Staging.create``. InputError: ``public_key_invalid``.
        """
        if self._envelope is None or clear:
            with self._staging.create(name) as file:
                stored = Measured(file)
                yield cast("BinaryIO", stored)
            self.entries.append(FileEntry(name=name, format=file_format, bytes=stored.size, sha256=stored.digest()))
            return
        with self._staging.create(name + SUFFIX) as file:
            stored = Measured(file)
            sealing = SealedFile(cast("BinaryIO", stored), self._envelope)
            content = Measured(cast("BinaryIO", sealing))
            yield cast("BinaryIO", content)
            sealing.finish()
        self.entries.append(
            FileEntry(
                name=name + SUFFIX,
                format=file_format + SEALED_FORMAT,
                bytes=stored.size,
                sha256=stored.digest(),
                plain=Content(bytes=content.size, sha256=content.digest()),
            )
        )


class Measured(io.RawIOBase):
    """A file that is written through, forward only; how much and what it was. Closing it leaves the file beneath open."""

    def __init__(self, file: BinaryIO) -> None:
        self.size = 0  # bytes
        self._file = file
        self._hash = hashlib.sha256()

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: Any) -> int:
        """Write all of ``data``, any contiguous buffer; its number of bytes."""
        with memoryview(data) as view:
            self._file.write(view)
            self._hash.update(view)
            self.size += view.nbytes
            return view.nbytes

    def tell(self) -> int:
        """Number of bytes written."""
        return self.size

    def flush(self) -> None:
        """Hand everything on to the operating system."""
        if not (self.closed or self._file.closed):
            self._file.flush()

    def digest(self) -> str:
        """SHA-256 in hex of what was written so far."""
        return self._hash.hexdigest()
