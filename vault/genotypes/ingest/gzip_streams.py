"""gzip and BGZF, inflated by isal straight into the caller's buffer.

Every member's checksum and length is checked. A BGZF block (SAM specification §4.1) names its own stored and inflated size: both are
held to what inflating it gives.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final, cast

from isal import igzip
from isal.igzip_lib import IsalError

from vault.errors import InputError

BGZF_EOF: Final = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty block that ends every whole BGZF file (SAM specification §4.1.2)."""

# IGzipFile copies every read once more; its reader inflates straight into the caller's buffer.
_Reader: Callable[..., Any] = igzip._GzipReader  # type: ignore[attr-defined]  # noqa: SLF001
_READ_BYTES = 1 << 18  # compressed bytes per read
_RUN_BYTES = 1 << 20  # the same, of BGZF
_HEAD = Struct("<I8xIH")  # of a BGZF block: gzip with an extra field, subfield "BC" of two bytes, stored size - 1
_MARKS = (0x04088B1F, 0x00024342)
_MAX_BLOCK = 1 << 16  # bytes that a BGZF block may inflate to
_DAMAGE = (OSError, cast("type[Exception]", IsalError))  # isal's stub calls its error an instance


def is_bgzf(start: bytes) -> bool:
    """Test whether a file starts with a BGZF block's header: 18 bytes, with the subfield "BC" first (SAM specification §4.1)."""
    return len(start) >= _HEAD.size and _HEAD.unpack_from(start)[:2] == _MARKS


class GzipStream:
    """A ``ByteStream`` of a gzip file, one member or several."""

    def __init__(self, file: io.FileIO, name: str) -> None:
        self._file = file
        self._name = name
        self._reader = _Reader(file, _READ_BYTES)

    def readinto(self, buffer: memoryview) -> int:
        """As ``ByteStream``."""
        with _damage_of(self._name):
            return self._reader.readinto(buffer) or 0

    def position(self) -> int:
        """As ``ByteStream``."""
        return self._file.tell()

    def close(self) -> None:
        """As ``ByteStream``."""
        self._file.close()


@dataclass(frozen=True)
class BlockRun:
    """Neighbouring BGZF blocks as stored; ``size``: inflated bytes by their trailers."""

    file: str
    stored: bytes
    size: int

    def inflate(self, out: memoryview) -> None:
        """Fill the ``size`` bytes of ``out``; from any thread.

        Raises:
            InputError: ``bad_compression``.
        """
        done = 0
        try:
            reader = _Reader(self.stored)
            while done < len(out) and (count := reader.readinto(out[done:])):
                done += count
            sound = done == self.size and not reader.readinto(bytearray(1))
        except (*_DAMAGE, EOFError):
            sound = False
        if not sound:
            raise _damaged(self.file)


class BgzfStream:
    """A ``ByteStream`` of a BGZF file; to inflate in several threads, take runs of blocks instead of reading."""

    def __init__(self, file: io.FileIO, name: str) -> None:
        self._file, self._name = file, name
        self._data, self._at = b"", 0  # bytes at hand, and where the next block starts in them
        self._rest = memoryview(b"")  # of a block for which the caller's buffer was too small

    def readinto(self, buffer: memoryview) -> int:
        """As ``ByteStream``."""
        while not self._rest:
            run = self.take(len(buffer))
            if run is None:
                return 0
            if run.size and run.size <= len(buffer):
                run.inflate(buffer[: run.size])
                return run.size
            whole = memoryview(bytearray(run.size))
            run.inflate(whole)
            self._rest = whole
        return len(self.take_rest(buffer))

    def take_rest(self, buffer: memoryview) -> memoryview:
        """Bytes inflated for an earlier read that did not fit its buffer, as many as fit this one."""
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return buffer[:count]

    def take(self, limit: int) -> BlockRun | None:
        """The next blocks, which inflate to ``limit`` bytes or are a single one; None at the end. One thread at a time.

        Raises InputError ``bad_compression``, ``file_truncated``.
        """
        first, size = self._at, 0
        while True:
            end, inflated = self._measure()
            if end > len(self._data):
                if self._at > first:
                    break
                if not self._read():
                    return None
                first = 0
                continue
            if self._at > first and size + inflated > limit:
                break
            self._at = end
            size += inflated
        return BlockRun(self._name, self._data[first : self._at], size)

    def position(self) -> int:
        """As ``ByteStream``."""
        return self._file.tell() - (len(self._data) - self._at)

    def close(self) -> None:
        """As ``ByteStream``."""
        self._file.close()

    def _measure(self) -> tuple[int, int]:
        """(end of the next block, which may lie behind the bytes at hand; its inflated size by its trailer)."""
        data, at = self._data, self._at
        if len(data) - at < _HEAD.size:
            return at + _HEAD.size, 0
        magic, extra, stored = _HEAD.unpack_from(data, at)
        end = at + stored + 1
        inflated = int.from_bytes(data[max(at, end - 4) : end], "little")
        if (magic, extra) != _MARKS or (end <= len(data) and inflated > _MAX_BLOCK):
            raise _damaged(self._name)
        return end, inflated

    def _read(self) -> bool:
        """More bytes at hand; False at the end of the file, which must be that of a block."""
        more = self._file.read(_RUN_BYTES)
        if not more and self._at < len(self._data):
            raise _truncated(self._name)
        self._data, self._at = self._data[self._at :] + more, 0
        return bool(more)


@contextmanager
def _damage_of(name: str) -> Iterator[None]:
    try:
        yield
    except EOFError:
        raise _truncated(name) from None
    except _DAMAGE:
        raise _damaged(name) from None


def _truncated(name: str) -> InputError:
    return InputError("file_truncated", f"{name}: the compressed data ends early")


def _damaged(name: str) -> InputError:
    return InputError("bad_compression", f"{name}: the compressed data is damaged")
