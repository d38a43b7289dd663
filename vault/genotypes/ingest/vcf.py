"""VCF text → site batches: feeds whole lines to the kernel and turns its statuses into errors.

Strict where a lax reading could change a genotype or hide damage; fields that the vault does not keep (QUAL, INFO, the other
FORMAT subfields) are not judged beyond their shape. Read as htslib reads it: GT anywhere in FORMAT, CRLF, no final newline, lower-case
bases, positions that repeat. Where htslib (1.16) guesses, this refuses: see ``_REASONS``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn, Self

import numpy as np

from vault.errors import InputError
from vault.genotypes.assemblies import Assembly
from vault.genotypes.calls import Escapes
from vault.genotypes.ingest import vcf_kernel as kernel
from vault.genotypes.ingest.source import SiteBatch
from vault.genotypes.ingest.streams import ByteStream, open_stream
from vault.genotypes.ingest.vcf_header import VcfHeader, parse_header, require_contig_name
from vault.genotypes.sites import Sites, TextColumn
from vault.limits import CHUNK_SITES, MAX_ALLELE_BYTES, MAX_ALTS, MAX_HEADER_BYTES, MAX_LINE_BYTES, MAX_PLOIDY, MAX_POSITION

BATCH_CODES = 12 << 20  # call codes in a batch
BATCH_TEXT = 8 << 20  # site text in a batch, beyond which it ends early
BATCH_ESCAPES = 1 << 18  # escaped calls in a batch, beyond which it ends early
_BLOCK = 1 << 21  # text parsed at a time: large against a kernel call, small against the cache

_REASONS: dict[int, tuple[str, str, str]] = {
    kernel.BLANK_LINE: ("column_count", "", "the line is empty"),
    kernel.COMMENT_LINE: ("column_count", "", "a line behind the header starts with #"),
    kernel.TOO_FEW_COLUMNS: ("column_count", "", "fewer columns than the header"),
    kernel.TOO_MANY_COLUMNS: ("column_count", "", "more columns than the header"),
    kernel.NUL_BYTE: ("nul_byte", "column", "a NUL byte"),
    kernel.CONTROL_BYTE: ("control_character", "column", "a control character"),
    kernel.LINE_TOO_LONG: ("line_too_long", "", f"longer than {MAX_LINE_BYTES >> 20} MiB"),
    kernel.BAD_POSITION: ("bad_position", "column", f"not a whole number from 0 to {MAX_POSITION}"),
    kernel.BEYOND_CONTIG: ("beyond_contig", "column", "beyond the end of the contig in this assembly"),
    kernel.UNSORTED: ("unsorted", "column", "the position is smaller than the line before's"),
    kernel.EMPTY_COLUMN: ("empty_column", "column", "empty"),
    kernel.BAD_REF: ("bad_ref", "column", "not a sequence of bases"),
    kernel.BAD_ALT: ("bad_alt", "column", "not bases, *, <symbol> or a breakend, separated by commas"),
    kernel.TOO_MANY_ALTS: ("too_many_alts", "column", f"more than {MAX_ALTS} ALT alleles"),
    kernel.ALLELE_TOO_LONG: ("allele_too_long", "column", f"an allele longer than {MAX_ALLELE_BYTES >> 20} MiB"),
    kernel.BAD_QUAL: ("bad_qual", "column", "not a number"),
    kernel.BAD_FILTER: ("bad_filter", "column", "an empty filter name, or one with a space, a comma or an angle bracket"),
    kernel.BAD_FORMAT: ("bad_format", "column", "an empty or repeated key"),
    kernel.BAD_END: ("bad_info", "column", "END is not a whole number"),
    kernel.BAD_GT: ("bad_genotype", "column", "GT is malformed"),
    kernel.ALLELE_OUT_OF_RANGE: ("bad_genotype", "column", "GT names an allele that the line does not have"),
    kernel.PLOIDY_TOO_HIGH: ("bad_genotype", "column", f"GT has more than {MAX_PLOIDY} alleles"),
    kernel.LEADING_PHASE: ("bad_genotype", "column", "GT's leading phase mark says something that the vault cannot keep"),
    kernel.TOO_MANY_SUBFIELDS: ("bad_genotype", "column", "more subfields than FORMAT names"),
}  # fmt: skip
_COLUMN_NAMES = ("CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")


def open_vcf(path: Path, assembly: Assembly) -> VcfSource:
    """Open VCF text, or BCF as the VCF text that htslib makes of it; reads the header. Contigs are held to ``assembly``.

    Raises as ``open_source`` says.
    """
    size = path.stat().st_size if path.is_file() else 0
    stream = open_stream(path)
    try:
        lines = _Lines(stream, path.name)
        if lines.starts_with(b"BCF"):
            from vault.genotypes.ingest.bcf import BcfStream  # noqa: PLC0415 - pysam is an extra

            stream.close()
            stream = BcfStream(path)
            lines = _Lines(stream, path.name)
        return VcfSource(lines, lines.header(assembly), stream, size, assembly=assembly)
    except BaseException:
        stream.close()
        raise


class VcfSource:
    """A ``GenotypeSource`` over VCF text."""

    def __init__(self, lines: _Lines, header: VcfHeader, stream: ByteStream, size: int, *, assembly: Assembly) -> None:
        self._assembly = assembly
        self._lines = lines
        self._header = header
        self._stream = stream
        self._size = size
        self._read = 0

    @property
    def samples(self) -> tuple[str, ...]:
        """Sample names in file order."""
        return self._header.samples

    @property
    def contigs(self) -> Mapping[str, int | None]:
        """Declared contigs and their lengths."""
        return self._header.contigs

    @property
    def progress(self) -> tuple[int, int]:
        """(bytes read, bytes in all)."""
        return self._read, self._size

    def batches(self) -> Iterator[SiteBatch]:
        """All sites, once."""
        header, lines = self._header, self._lines
        names: dict[str, None] = {}
        current = np.zeros(0, np.uint8)
        batch = _Batch(len(header.samples))
        fill = np.zeros(kernel.FILL_SLOTS, np.int64)
        fill[kernel.LAST_POSITION] = -1
        while lines.next_block():
            self._read = self._stream.position()
            fill[kernel.CURSOR] = lines.start
            while True:
                start = int(fill[kernel.CURSOR])
                status = kernel.parse_lines(
                    lines.bytes,
                    lines.stop,
                    samples=len(header.samples),
                    leading_phase=header.minor >= 4,
                    contig=current,
                    batch=(batch.codes, batch.pos, batch.bounds, batch.text),
                    escapes=batch.escapes,
                    fill=fill,
                )
                cursor, line = int(fill[kernel.CURSOR]), header.lines + int(fill[kernel.LINES])
                if fill[kernel.HIGH] & 0x80:
                    lines.require_utf8(start, cursor, line)
                batch.mark_contigs(int(fill[kernel.ROW]), len(names) - 1)
                if status == kernel.DONE:
                    lines.start = cursor
                    break
                if status == kernel.NEW_CONTIG:
                    name = lines.contig_at(cursor)
                    text, fill[kernel.LIMIT] = self._next_contig(name, line + 1)
                    if text in names:
                        reason = "the contig comes back after another one; records must be sorted"
                        raise InputError("unsorted", f"{lines.file}: line {line + 1}: CHROM: {reason}")
                    names[text] = None
                    current = np.frombuffer(bytearray(name), np.uint8)
                    fill[kernel.LAST_POSITION] = -1
                elif status in (kernel.BATCH_FULL, kernel.TEXT_FULL, kernel.ESCAPES_FULL):
                    if not batch.grow(status):
                        yield batch.finish(fill, tuple(names))
                        batch = _Batch(len(header.samples))
                else:
                    _refuse(lines.file, line + 1, status, int(fill[kernel.COLUMN]))
        if fill[kernel.ROW]:
            yield batch.finish(fill, tuple(names))

    def _next_contig(self, name: bytes, line: int) -> tuple[str, int]:
        """The contig's name and the largest position it can have."""
        text = require_contig_name(name, self._lines.file, line)
        limit = self._assembly.limit(text)
        if limit is None:
            reason = f"not a contig of {self._assembly.name}"
            raise InputError("contig_unknown", f"{self._lines.file}: line {line}: CHROM: {reason}")
        return text, limit

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def lines_of(stream: ByteStream, file: str) -> _Lines:
    """Body lines for a ``VcfSource`` whose header came from elsewhere."""
    return _Lines(stream, file)


class _Lines:
    """A buffer over a stream that always holds whole lines in ``bytes[start:stop]``."""

    def __init__(self, stream: ByteStream, file: str) -> None:
        self.file = file
        self.start = 0
        self.stop = 0  # behind the last newline
        self._stream = stream
        self._filled = 0
        self._ended = False
        self._raw = bytearray(2 * _BLOCK)
        self.bytes = np.frombuffer(self._raw, np.uint8)

    def starts_with(self, magic: bytes) -> bool:
        while self._filled < 16 and not self._ended:
            self._read(_BLOCK)
        return self._raw.startswith(magic)

    def header(self, assembly: Assembly) -> VcfHeader:
        """Read and parse the header; the body's lines follow."""
        if not self.starts_with(b"##") or bytes(self._raw[:13]).lower() != b"##fileformat=":
            bom = " (it starts with a byte order mark)" if self._raw.startswith(b"\xef\xbb\xbf") else ""
            raise InputError("not_a_vcf", f"{self.file}: line 1: not a VCF: the first line is not ##fileformat=VCFv4.x{bom}")
        position = 0
        while True:
            end = self._raw.find(b"\n", position, self._filled)
            if end < 0:
                if self._ended:
                    number = self._raw.count(b"\n", 0, self._filled) + 1
                    raise InputError("bad_header", f"{self.file}: line {number}: the file ends before the #CHROM line")
                if self._filled > MAX_HEADER_BYTES:
                    raise InputError("header_too_long", f"{self.file}: the header is longer than {MAX_HEADER_BYTES >> 20} MiB")
                self._read(_BLOCK)
                continue
            if not self._raw.startswith(b"##", position):
                break
            position = end + 1
        self.start = end + 1
        self.stop = self._raw.rfind(b"\n", 0, self._filled) + 1
        return parse_header(bytes(self._raw[: end + 1]), self.file, assembly)

    def next_block(self) -> bool:
        """Make at least one whole unread line available; False at the end of the file.

        Raises InputError ``line_too_long`` and as the stream does.
        """
        while self.start == self.stop:
            if self._ended:
                return False
            rest = self._filled - self.start
            if rest > MAX_LINE_BYTES:
                raise InputError("line_too_long", f"{self.file}: a line is longer than {MAX_LINE_BYTES >> 20} MiB")
            self._raw[:rest] = bytes(memoryview(self._raw)[self.start : self._filled])
            self.start, self._filled = 0, rest
            self._read(_BLOCK)
            self.stop = self._raw.rfind(b"\n", rest, self._filled) + 1
        return True

    def contig_at(self, position: int) -> bytes:
        return bytes(self._raw[position : self._raw.index(b"\t", position)])

    def require_utf8(self, start: int, end: int, last_line: int) -> None:
        try:
            bytes(self._raw[start:end]).decode()
        except UnicodeDecodeError as error:
            line = last_line - self._raw.count(b"\n", start + error.start, end) + 1
            raise InputError("bad_utf8", f"{self.file}: line {line}: not valid UTF-8") from None

    def _read(self, size: int) -> None:
        """Append up to ``size`` bytes, and a newline if the file ends without one."""
        if self._filled + size + 1 + kernel.SLACK > len(self._raw):
            self._resize(2 * len(self._raw))
        target = self._filled + size
        while self._filled < target:
            with memoryview(self._raw)[self._filled : target] as free:
                count = self._stream.readinto(free)
            if count == 0:
                self._ended = True
                if self._filled and self._raw[self._filled - 1] != 10:
                    self._raw[self._filled] = 10
                    self._filled += 1
                return
            self._filled += count

    def _resize(self, size: int) -> None:
        raw = bytearray(size)
        raw[: self._filled] = memoryview(self._raw)[: self._filled]
        self._raw = raw
        self.bytes = np.frombuffer(raw, np.uint8)


class _Batch:
    """The kernel's output arrays, until they are full."""

    def __init__(self, samples: int) -> None:
        rows = max(1, min(CHUNK_SITES, BATCH_CODES // max(1, samples)))
        self.codes = np.empty((rows, samples), np.uint8)
        self.pos = np.empty(rows, np.int64)
        self.bounds = np.empty((rows, kernel.BOUNDS), np.int64)
        self.text = np.empty(64 * rows + 4096, np.uint8)
        self._contig = np.empty(rows, np.int32)
        self._marked = 0
        self.escapes = _escape_arrays(1024)

    def grow(self, status: int) -> bool:
        """Make room for what the status says is full; False if the batch is large enough and should end."""
        if status == kernel.BATCH_FULL:
            return False
        if status == kernel.TEXT_FULL:
            if self._marked and len(self.text) >= BATCH_TEXT:
                return False
            self.text = _longer(self.text)
            return True
        if self._marked and len(self.escapes[0]) >= BATCH_ESCAPES:
            return False
        site, sample, offset, alleles, phased = self.escapes
        self.escapes = (_longer(site), _longer(sample), _longer(offset), _longer(alleles), _longer(phased))
        return True

    def mark_contigs(self, rows: int, contig: int) -> None:
        self._contig[self._marked : rows] = contig
        self._marked = rows

    def finish(self, fill: np.ndarray, contigs: tuple[str, ...]) -> SiteBatch:
        """What was filled, as a batch; ``fill`` is made ready for the next one."""
        rows, escaped, alleles = (int(fill[k]) for k in (kernel.ROW, kernel.ESCAPES, kernel.ESCAPE_ALLELES))
        fill[[kernel.ROW, kernel.TEXT, kernel.ESCAPES, kernel.ESCAPE_ALLELES]] = 0
        columns = [
            TextColumn(*kernel.gather(self.text, self.bounds[:rows, k], self.bounds[:rows, k + 1]))
            for k in range(kernel.BOUNDS - 1)
        ]
        sites = Sites(contigs, self._contig[:rows], self.pos[:rows], *columns)
        site, sample, offset, values, phased = self.escapes
        escapes = Escapes(site[:escaped], sample[:escaped], offset[: escaped + 1], values[:alleles], phased[:alleles])
        return SiteBatch(sites, self.codes[:rows], escapes)


_EscapeArrays = tuple["np.ndarray", "np.ndarray", "np.ndarray", "np.ndarray", "np.ndarray"]


def _escape_arrays(size: int) -> _EscapeArrays:
    return (
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.zeros(size + 1, np.int64),
        np.empty(4 * size, np.int16),
        np.empty(4 * size, np.uint8),
    )


def _longer(array: np.ndarray) -> np.ndarray:
    return np.concatenate([array, np.empty_like(array)])


def _refuse(file: str, line: int, status: int, column: int) -> NoReturn:
    code, where, reason = _REASONS[status]
    if where:
        where = _COLUMN_NAMES[column - 1] if column <= 9 else f"column {column}"
        where = f" {where}:"
    raise InputError(code, f"{file}: line {line}:{where} {reason}")
