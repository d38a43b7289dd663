"""Byte streams under a genotype file: plain, gzip, BGZF and zstd, told apart by their first bytes.

A stream fills a buffer that the caller gives, so what a compressed file may expand to at a time is bounded by that buffer. Damage
(a wrong checksum, a file that ends early, rubbish behind the last member) is an error of the read that meets it.
"""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Protocol

import zstandard

from vault.errors import InputError
from vault.files.given_files import regular_handle
from vault.genotypes.ingest.gzip_streams import BGZF_EOF, BgzfStream, GzipStream, is_bgzf

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_WINDOW_BYTES = 1 << 27  # of the zstd program without --long=28 or more
_ZSTD_HEADER_BYTES = 18
_ZSTD_READ_BYTES = 1 << 10  # compressed bytes per step: they expand to 32 MiB at the most, a block of 128 KiB for each four bytes


class ByteStream(Protocol):
    """Text of a genotype file, decompressed."""

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer from its start; the number of bytes, 0 at the end.

        Raises InputError ``file_truncated``, ``bad_compression`` or ``zstd_window``.
        """

    def position(self) -> int:
        """Bytes of the file read so far, as stored."""

    def close(self) -> None:
        """Let go of the file."""


_WRITE_IT = "standard input and pipes are not read, since a file is read more than once: write it to a file first"


def open_file(path: Path) -> io.FileIO:
    """The file, unbuffered.

    Raises:
        InputError: ``no_such_file``, ``file_unreadable``.
    """
    try:
        return io.FileIO(regular_handle(path))
    except FileNotFoundError:
        hint = _WRITE_IT if path.name == "-" else ""
        raise InputError("no_such_file", f"{path.name}: no such file", hint=hint) from None
    except OSError as error:
        hint = _WRITE_IT if error.errno == errno.EINVAL else ""
        raise InputError("file_unreadable", f"{path.name}: cannot be read ({error.strerror})", hint=hint) from None


def open_stream(path: Path) -> ByteStream:
    """A plain, gzip, BGZF or zstd stream by what the file starts with.

    Raises InputError ``no_such_file``, ``file_unreadable``, or ``file_truncated`` for a BGZF file without its end block.
    """
    file = open_file(path)
    start = file.read(18)
    if start[:4] == _ZSTD_MAGIC:
        file.seek(0)
        return _ZstdStream(file, path.name)
    if start[:2] != b"\x1f\x8b":
        file.seek(0)
        return _PlainStream(file)
    if is_bgzf(start):
        _require_end_block(file, path.name)
        file.seek(0)
        return BgzfStream(file, path.name)
    file.seek(0)
    return GzipStream(file, path.name)


def _require_end_block(file: io.FileIO, name: str) -> None:
    size = os.fstat(file.fileno()).st_size
    file.seek(max(0, size - len(BGZF_EOF)))
    if file.read(len(BGZF_EOF)) != BGZF_EOF:
        file.close()
        raise InputError(
            "file_truncated",
            f"{name}: the BGZF end-of-file block is missing, so the file is cut short",
            hint="copy the file again, or compress it again with bgzip",
        )


class _PlainStream:
    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def readinto(self, buffer: memoryview) -> int:
        return self._file.readinto(buffer) or 0

    def position(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


class _ZstdStream:
    """One or more zstd frames, each to its end."""

    def __init__(self, file: io.FileIO, name: str) -> None:
        self._file, self._name = file, name
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._input = b""
        self._rest = memoryview(b"")

    def readinto(self, buffer: memoryview) -> int:
        while not self._rest:
            self._input = self._input or self._file.read(_ZSTD_READ_BYTES)
            if not self._input:
                if self._frame is not None:
                    raise InputError("file_truncated", f"{self._name}: the compressed data ends early")
                return 0
            self._rest = memoryview(self._step())
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def position(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()

    def _step(self) -> bytes:
        """Decompress the bytes at hand; those behind a frame's end are kept for the next frame."""
        frame = self._frame or self._begin()
        try:
            text = frame.decompress(self._input)
        except zstandard.ZstdError:
            raise self._damaged() from None
        self._input = frame.unused_data if frame.eof else b""
        self._frame = None if frame.eof else frame
        return text

    def _begin(self) -> zstandard.ZstdDecompressionObj:
        """A new frame, whose header tells how much memory it takes (RFC 8878 §3.1.1)."""
        while len(self._input) < _ZSTD_HEADER_BYTES and (more := self._file.read(_ZSTD_READ_BYTES)):
            self._input += more
        try:
            window = zstandard.get_frame_parameters(self._input).window_size
        except zstandard.ZstdError:  # left to the decompressor: a file may also end here
            window = 0
        if window > _ZSTD_WINDOW_BYTES:
            raise InputError(
                "zstd_window",
                f"{self._name}: a zstd window of {window >> 20} MiB (zstd --long) is more than the {_ZSTD_WINDOW_BYTES >> 20} MiB kept for it",
                hint=f"zstd -dc --long=31 {self._name} | bgzip > FILE.vcf.gz",
            )
        return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()

    def _damaged(self) -> InputError:
        return InputError("bad_compression", f"{self._name}: the compressed data is damaged")
