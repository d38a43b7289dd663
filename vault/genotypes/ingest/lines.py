"""Whole lines of a byte stream. Behind the header threads read ahead: while the lines of one block are parsed, the next blocks fill.

A block's buffer has room in front of what is read into it, where the line goes that the block before broke off; so no text is
copied but that. What is held is bounded: a few blocks, which grow only when lines are longer than they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from vault.errors import InputError
from vault.genotypes.contigs import Assembly
from vault.genotypes.ingest.gzip_streams import BgzfStream, BlockRun
from vault.genotypes.ingest.streams import ByteStream
from vault.genotypes.ingest.vcf_header import VcfHeader, parse_header
from vault.genotypes.ingest.vcf_kernel_state import SLACK
from vault.limits import MAX_HEADER_BYTES, MAX_LINE_BYTES

_BLOCK = 1 << 22  # text read at a time: large against a kernel call, small against the cache
_LARGEST_BLOCK = 1 << 24  # what blocks grow to where lines are long
_BLOCKS = 6  # one that is parsed, one whose rest goes in front of the next, and those that are filled or filling
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
        """Test whether the stream begins with these bytes; call it before anything else is read."""
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

    def look_ahead(self, records: int) -> None:
        """Make so many lines of the body available, or as many as there are; call it before ``next_block``.

        Lines that are long count for more: what is held stays bounded.
        """
        while not self._ended and self._filled - self.start < _LARGEST_BLOCK:
            if self._buffer.raw.count(b"\n", self.start, self._filled) >= records:
                break
            self._read(_BLOCK)
        self.stop = self._filled if self._ended else self._buffer.raw.rfind(b"\n", 0, self._filled) + 1
        self.position = self._stream.position()

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
        count = _fill(self._stream, memoryview(self._buffer.raw)[self._filled : self._filled + size])
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
    """Threads that fill blocks, handed out in order, never more than a few at a time: two for BGZF, one for anything else."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._size = _BLOCK
        self._spare: list[_Buffer] = []
        self._blocks: SimpleQueue[Future[_Block]] = SimpleQueue()
        self._room = threading.Semaphore(_BLOCKS)
        self._turn = threading.Lock()  # held to decide what comes next, and by streams that can only be read in order
        self._over = False
        self._threads = [
            threading.Thread(target=self._run, name="read-ahead", daemon=True)
            for _ in range(2 if isinstance(stream, BgzfStream) else 1)
        ]
        for thread in self._threads:
            thread.start()

    def take(self) -> _Block:
        """The next block, to be given back.

        Raises:
            Exception: the error that the stream raised in its place.
        """
        return self._blocks.get().result()

    def give_back(self, buffer: _Buffer) -> None:
        """A buffer that is done with: room for another block."""
        if buffer.head == buffer.size == self._size:
            self._spare.append(buffer)
        self._room.release()

    def enlarge(self) -> None:
        """Blocks are shorter than lines: make them longer from now on."""
        self._size = min(2 * self._size, _LARGEST_BLOCK)

    def stop(self) -> None:
        """End the threads."""
        self._over = True
        self._room.release(len(self._threads))
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while True:
            self._room.acquire()
            block: Future[_Block] = Future()
            try:
                with self._turn:
                    if self._over:
                        return
                    self._blocks.put(block)
                    work = self._begin()
                block.set_result(work())
            except BaseException as error:  # noqa: BLE001 - the reader's to raise, whatever it is
                self._over = True
                block.set_exception(error)
                return

    def _begin(self) -> Callable[[], _Block]:
        """Settle what the next block is; what is left to do for it needs no turn."""
        size = self._size
        buffer = self._spare.pop() if self._spare else _Buffer(size, size)
        free = memoryview(buffer.raw)[buffer.head : buffer.head + buffer.size]
        run: BlockRun | None = None
        if isinstance(self._stream, BgzfStream):
            count = len(self._stream.take_rest(free))
            run = None if count else self._stream.take(buffer.size)
            self._over = count == 0 and run is None
            count += run.size if run is not None else 0
        else:
            count = _fill(self._stream, free)
            self._over = count < buffer.size
        block = _Block(buffer, count, self._stream.position(), self._over)

        def finish() -> _Block:
            if run is not None:
                run.inflate(free[:count])
            return block

        return finish


def _fill(stream: ByteStream, free: memoryview) -> int:
    """Read until the memory is full or the stream ends; how many bytes were read."""
    filled = 0
    while filled < len(free):
        count = stream.readinto(free[filled:])
        if count == 0:
            break
        filled += count
    return filled
