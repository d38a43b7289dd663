"""Whole lines of a byte stream. Behind the header a thread reads ahead: while the lines of one block are parsed, the next blocks fill.

A block's buffer has room in front of what is read into it, where the line goes that the block before broke off; so no text is
copied but that. What is held is bounded: a few blocks, which grow only when lines are longer than they are.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from vault.errors import InputError
from vault.genotypes.assemblies import Assembly
from vault.genotypes.ingest.streams import ByteStream
from vault.genotypes.ingest.vcf_header import VcfHeader, parse_header
from vault.genotypes.ingest.vcf_kernel import SLACK
from vault.limits import MAX_HEADER_BYTES, MAX_LINE_BYTES

_BLOCK = 1 << 21  # text read at a time: large against a kernel call, small against the cache
_LARGEST_BLOCK = 1 << 25  # what blocks grow to where lines are long
_BLOCKS = 4  # one that is parsed, one whose rest goes in front of the next, and two that are filled or filling
_NEWLINE = 10


class Lines:
    """Text of ``file`` that always holds whole lines in ``text[start:stop]``."""

    def __init__(self, stream: ByteStream, file: str) -> None:
        self.file = file
        self.start = 0
        self.stop = 0  # behind the last newline
        self.position = 0  # bytes of the file, as stored, that have been read for the lines so far
        self._stream = stream
        self._filled = 0
        self._ended = False
        self._buffer = _Buffer(0, 2 * _BLOCK)
        self._ahead: _ReadAhead | None = None
        self._taken: _Buffer | None = None  # the buffer, where it came from there

    @property
    def text(self) -> NDArray[np.uint8]:
        """uint8[]; the kernel may read SLACK bytes behind ``stop``."""
        return self._buffer.text

    def starts_with(self, magic: bytes) -> bool:
        """Whether the stream begins so; before anything else is read."""
        while self._filled < 16 and not self._ended:
            self._read(_BLOCK)
        return self._buffer.raw.startswith(magic)

    def header(self, assembly: Assembly) -> VcfHeader:
        """Read and parse the header; the body's lines follow.

        Raises InputError ``not_a_vcf``, ``bad_header``, ``header_too_long``, and as the stream and ``parse_header`` do.
        """
        if not self.starts_with(b"##") or bytes(self._buffer.raw[:13]).lower() != b"##fileformat=":
            bom = " (it starts with a byte order mark)" if self._buffer.raw.startswith(b"\xef\xbb\xbf") else ""
            raise InputError("not_a_vcf", f"{self.file}: line 1: not a VCF: the first line is not ##fileformat=VCFv4.x{bom}")
        position = 0
        while True:
            end = self._buffer.raw.find(b"\n", position, self._filled)
            if end < 0:
                if self._ended:
                    number = self._buffer.raw.count(b"\n", 0, self._filled) + 1
                    raise InputError("bad_header", f"{self.file}: line {number}: the file ends before the #CHROM line")
                if self._filled > MAX_HEADER_BYTES:
                    raise InputError("header_too_long", f"{self.file}: the header is longer than {MAX_HEADER_BYTES >> 20} MiB")
                self._read(_BLOCK)
                continue
            if not self._buffer.raw.startswith(b"##", position):
                break
            position = end + 1
        self.start = end + 1
        self.stop = self._buffer.raw.rfind(b"\n", 0, self._filled) + 1
        self.position = self._stream.position()
        return parse_header(bytes(self._buffer.raw[: end + 1]), self.file, assembly)

    def next_block(self, number: int) -> bool:
        """Make at least one whole unread line available, line ``number`` of the file and what follows; False at the end.

        Raises InputError ``line_too_long`` and as the stream does.
        """
        while self.start == self.stop:
            if self._ended:
                return False
            self._advance()
            end = self._buffer.raw.find(b"\n", self.start, self._filled)
            if (end if end >= 0 else self._filled) - self.start > MAX_LINE_BYTES:
                raise InputError("line_too_long", f"{self.file}: line {number}: longer than {MAX_LINE_BYTES >> 20} MiB")
        return True

    def contig_at(self, position: int) -> bytes:
        """From there to the next tab."""
        return bytes(self._buffer.raw[position : self._buffer.raw.index(b"\t", position)])

    def require_utf8(self, start: int, end: int, last_line: int) -> None:
        """Raises InputError ``bad_utf8``, with the line."""
        try:
            bytes(self._buffer.raw[start:end]).decode()
        except UnicodeDecodeError as error:
            line = last_line - self._buffer.raw.count(b"\n", start + error.start, end) + 1
            raise InputError("bad_utf8", f"{self.file}: line {line}: not valid UTF-8") from None

    def close(self) -> None:
        """Stop reading ahead. The stream is the caller's to close, afterwards."""
        if self._ahead is not None:
            self._ahead.stop()
            self._ahead = None

    def _read(self, size: int) -> None:
        """Append up to ``size`` bytes of the header, and a newline if the file ends without one."""
        if self._filled + size > self._buffer.size:
            self._buffer = _Buffer(0, 2 * self._buffer.size, begin_with=memoryview(self._buffer.raw)[: self._filled])
        count = _fill(self._stream, self._buffer, self._filled, size)
        self._filled += count
        if count < size:
            self._end()

    def _advance(self) -> None:
        """The next block, behind what is left of this one."""
        if self._ahead is None:
            self._ahead = _ReadAhead(self._stream)
        block = self._ahead.take()
        rest, read = memoryview(self._buffer.raw)[self.start : self._filled], block.buffer
        if len(rest) <= read.head:
            self.start, self._filled = read.head - len(rest), read.head + block.count
            read.raw[self.start : read.head] = rest
            done, self._buffer, self._taken = self._taken, read, read
        else:
            whole = _Buffer(0, len(rest) + block.count, begin_with=rest)
            self.start, self._filled = 0, len(rest) + block.count
            whole.raw[len(rest) : self._filled] = memoryview(read.raw)[read.head : read.head + block.count]
            self._ahead.give_back(read)
            self._ahead.enlarge()
            done, self._buffer, self._taken = self._taken, whole, None
        if done is not None:
            self._ahead.give_back(done)
        self.position = block.position
        self.stop = self._buffer.raw.rfind(b"\n", self._filled - block.count, self._filled) + 1 or self.start
        if block.last:
            self._end()
            self.stop = self._filled

    def _end(self) -> None:
        self._ended = True
        if self._filled > self.start and self._buffer.raw[self._filled - 1] != _NEWLINE:
            self._buffer.raw[self._filled] = _NEWLINE
            self._filled += 1


class _Buffer:
    """``size`` bytes behind ``head`` bytes of room for a broken line, and a newline's and the kernel's room behind them."""

    def __init__(self, head: int, size: int, *, begin_with: memoryview | None = None) -> None:
        self.head, self.size = head, size
        self.raw = bytearray(head + size + 1 + SLACK)
        if begin_with is not None:
            self.raw[: len(begin_with)] = begin_with
        self.text = np.frombuffer(self.raw, np.uint8)


@dataclass(frozen=True)
class _Block:
    buffer: _Buffer
    count: int  # bytes read, behind the buffer's head
    position: int
    last: bool


class _ReadAhead:
    """A thread that fills blocks in order, never more than a few at a time."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._size = _BLOCK
        self._spare: list[_Buffer] = []
        self._blocks: SimpleQueue[_Block | BaseException] = SimpleQueue()
        self._room = threading.Semaphore(_BLOCKS)
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)
        self._thread.start()

    def take(self) -> _Block:
        """The next block, to be given back. Raises what the stream raised in its place."""
        block = self._blocks.get()
        if isinstance(block, BaseException):
            raise block
        return block

    def give_back(self, buffer: _Buffer) -> None:
        """A buffer that is done with: room for another block."""
        if buffer.head == buffer.size == self._size:
            self._spare.append(buffer)
        self._room.release()

    def enlarge(self) -> None:
        """Blocks are shorter than lines: make them longer from now on."""
        self._size = min(2 * self._size, _LARGEST_BLOCK)

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        self._room.release()
        self._thread.join()

    def _run(self) -> None:
        try:
            last = False
            while not last:
                self._room.acquire()
                if self._stopped:
                    return
                size = self._size
                buffer = self._spare.pop() if self._spare else _Buffer(size, size)
                count = _fill(self._stream, buffer, buffer.head, buffer.size)
                last = count < buffer.size
                self._blocks.put(_Block(buffer, count, self._stream.position(), last))
        except BaseException as error:  # noqa: BLE001 - the reader's to raise, whatever it is
            self._blocks.put(error)


def _fill(stream: ByteStream, buffer: _Buffer, at: int, size: int) -> int:
    """Read until ``size`` bytes from ``at`` are filled or the stream ends; how many were."""
    filled = 0
    with memoryview(buffer.raw) as raw:
        while filled < size:
            with raw[at + filled : at + size] as free:
                count = stream.readinto(free)
            if count == 0:
                break
            filled += count
    return filled
