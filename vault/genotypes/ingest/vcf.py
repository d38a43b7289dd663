"""VCF text → site batches: feeds whole lines to the kernel and turns its statuses into errors.

Strict where a lax reading could change a genotype or hide damage; fields that the vault does not keep (QUAL, INFO, the other
FORMAT subfields) are not judged beyond their shape. Read as htslib reads it: GT anywhere in FORMAT, CRLF, no final newline, lower-case
bases, positions that repeat. Where htslib (1.16) guesses, this refuses: see ``_REASONS``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn, Self

import numpy as np

from vault.errors import InputError
from vault.genotypes.codec.call_codes import Escapes
from vault.genotypes.codec.packed_calls import CallRows, words_of
from vault.genotypes.contigs import Assembly
from vault.genotypes.ingest import vcf_kernel as kernel
from vault.genotypes.ingest import vcf_kernel_state as state
from vault.genotypes.ingest.lines import Lines
from vault.genotypes.ingest.source import SiteBatch
from vault.genotypes.ingest.streams import ByteStream, open_stream
from vault.genotypes.ingest.text_kernel import gather
from vault.genotypes.ingest.vcf_header import VcfHeader, require_contig_name
from vault.genotypes.sites import Sites, TextColumn
from vault.limits import CHUNK_SITES, MAX_ALLELE_BYTES, MAX_ALTS, MAX_LINE_BYTES, MAX_PLOIDY, MAX_POSITION

BATCH_CODES = 12 << 20  # call codes in a batch
BATCH_TEXT = 8 << 20  # site text in a batch, beyond which it ends early
BATCH_ESCAPES = 1 << 18  # escaped calls in a batch, beyond which it ends early

_REASONS: dict[int, tuple[str, str, str]] = {
    state.BLANK_LINE: ("column_count", "", "the line is empty"),
    state.COMMENT_LINE: ("column_count", "", "a line behind the header starts with #"),
    state.TOO_FEW_COLUMNS: ("column_count", "", "fewer columns than the header"),
    state.TOO_MANY_COLUMNS: ("column_count", "", "more columns than the header"),
    state.NUL_BYTE: ("nul_byte", "column", "a NUL byte"),
    state.CONTROL_BYTE: ("control_character", "column", "a control character"),
    state.LINE_TOO_LONG: ("line_too_long", "", f"longer than {MAX_LINE_BYTES >> 20} MiB"),
    state.BAD_POSITION: ("bad_position", "column", f"not a whole number from 0 to {MAX_POSITION}"),
    state.BEYOND_CONTIG: ("beyond_contig", "column", "beyond the end of the contig in this assembly"),
    state.UNSORTED: ("unsorted", "column", "the position is smaller than the line before's"),
    state.EMPTY_COLUMN: ("empty_column", "column", "empty"),
    state.BAD_REF: ("bad_ref", "column", "not a sequence of bases"),
    state.BAD_ALT: ("bad_alt", "column", "not bases, *, <symbol> or a breakend, separated by commas"),
    state.TOO_MANY_ALTS: ("too_many_alts", "column", f"more than {MAX_ALTS} ALT alleles"),
    state.ALLELE_TOO_LONG: ("allele_too_long", "column", f"an allele longer than {MAX_ALLELE_BYTES >> 20} MiB"),
    state.BAD_QUAL: ("bad_qual", "column", "not a number"),
    state.BAD_FILTER: ("bad_filter", "column", "an empty filter name, or one with a space, a comma or an angle bracket"),
    state.BAD_FORMAT: ("bad_format", "column", "an empty or repeated key"),
    state.BAD_END: ("bad_info", "column", "END is not a whole number, or SVLEN is none where there is no END"),
    state.BAD_GT: ("bad_genotype", "column", "GT is malformed"),
    state.ALLELE_OUT_OF_RANGE: ("bad_genotype", "column", "GT names an allele that the line does not have"),
    state.PLOIDY_TOO_HIGH: ("bad_genotype", "column", f"GT has more than {MAX_PLOIDY} alleles"),
    state.LEADING_PHASE: ("bad_genotype", "column", "GT's leading phase mark says something that the vault cannot keep"),
    state.TOO_MANY_SUBFIELDS: ("bad_genotype", "column", "more subfields than FORMAT names"),
}  # fmt: skip
_COLUMN_NAMES = ("CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")

_ONE_X = "plink2 --pfile … --merge-par --sort-vars --make-pgen puts the pseudoautosomal regions back on X"
_NUMBERED = "plink2 … --output-chr chrM names chromosomes as assemblies do (23 is X, 24 Y, 25 X's PAR, 26 MT)"
_CONTIG_HINTS = MappingProxyType(
    {**dict.fromkeys(("PAR1", "PAR2", "XY", "25"), _ONE_X), **dict.fromkeys(("23", "24", "26"), _NUMBERED)}
)
"""What to do about a contig that only PLINK knows, by its name in capitals without ``CHR``."""


def open_vcf(path: Path, assembly: Assembly) -> VcfSource:
    """Open VCF text, or BCF as the VCF text that htslib makes of it; reads the header. Contigs are held to ``assembly``.

    Raises:
        GenovaultError: as ``open_source``.
    """
    size = path.stat().st_size if path.is_file() else 0
    stream = open_stream(path)
    try:
        lines = Lines(stream, path.name)
        if lines.starts_with(b"BCF"):
            from vault.genotypes.ingest.bcf import BcfStream  # noqa: PLC0415 - pysam is an extra

            stream.close()
            stream = BcfStream(path)
            lines = Lines(stream, path.name)
        return VcfSource(lines, lines.header(assembly), stream, size, assembly=assembly)
    except BaseException:
        stream.close()
        raise


class VcfSource:
    """A ``GenotypeSource`` over VCF text."""

    def __init__(self, lines: Lines, header: VcfHeader, stream: ByteStream, size: int, *, assembly: Assembly) -> None:
        self._assembly = assembly
        self._lines = lines
        self._header = header
        self._stream = stream
        self._size = size

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
        return self._lines.position, self._size

    def batches(self) -> Iterator[SiteBatch]:
        """All sites, once.

        Raises:
            InputError: with file, line, column and reason (``_REASONS``).
        """
        header, lines = self._header, self._lines
        names: dict[str, None] = {}
        current = np.zeros(0, np.uint8)
        batch = _BatchArrays(len(header.samples))
        fill = np.zeros(state.FILL_SLOTS, np.int64)
        fill[state.LAST_POSITION] = -1
        while lines.next_block(header.lines + int(fill[state.LINES]) + 1):
            fill[state.CURSOR] = lines.start
            while True:
                start = int(fill[state.CURSOR])
                status = kernel.parse_lines(
                    lines.text,
                    lines.stop,
                    samples=len(header.samples),
                    leading_phase=header.minor >= 4,
                    contig=current,
                    rows=(batch.rows.form, batch.rows.bits, batch.rows.codes),
                    batch=(batch.pos, batch.bounds, batch.text),
                    escapes=batch.escapes,
                    fill=fill,
                )
                cursor, line = int(fill[state.CURSOR]), header.lines + int(fill[state.LINES])
                if fill[state.HIGH] & 0x80:
                    lines.require_utf8(start, cursor, line)
                batch.mark_contigs(int(fill[state.ROW]), len(names) - 1)
                if status == state.DONE:
                    lines.start = cursor
                    break
                if status == state.NEW_CONTIG:
                    name = lines.contig_at(cursor)
                    text, fill[state.LIMIT] = self._next_contig(name, line + 1)
                    if text in names:
                        reason = "the contig comes back after another one; records must be sorted"
                        raise InputError("unsorted", f"{lines.file}: line {line + 1}: CHROM: {reason}")
                    names[text] = None
                    current = np.frombuffer(bytearray(name), np.uint8)
                    fill[state.LAST_POSITION] = -1
                elif status in (state.BATCH_FULL, state.TEXT_FULL, state.ESCAPES_FULL):
                    if not batch.grow(status):
                        yield batch.finish(fill, tuple(names))
                        batch = _BatchArrays(len(header.samples))
                else:
                    _refuse(lines.file, line + 1, status, int(fill[state.COLUMN]))
        if fill[state.ROW]:
            yield batch.finish(fill, tuple(names))

    def _next_contig(self, name: bytes, line: int) -> tuple[str, int]:
        """The contig's name and the largest position it can have."""
        text = require_contig_name(name, self._lines.file, line)
        other = self._assembly.other_of(text)
        if other is not None:
            reason = f"{text} is a contig of {other}, not of {self._assembly.name}"
            hint = "say the assembly that the positions are on"
            raise InputError("assembly_mismatch", f"{self._lines.file}: line {line}: CHROM: {reason}", hint=hint)
        limit = self._assembly.limit(text)
        if limit is None:
            reason = f"not a contig of {self._assembly.name}"
            hint = _CONTIG_HINTS.get(text.upper().removeprefix("CHR"), "")
            raise InputError("contig_unknown", f"{self._lines.file}: line {line}: CHROM: {reason}", hint=hint)
        return text, limit

    def close(self) -> None:
        """Let go of the file."""
        self._lines.close()
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


class _BatchArrays:
    """The kernel's output arrays, until they are full."""

    def __init__(self, samples: int) -> None:
        rows = max(1, min(CHUNK_SITES, BATCH_CODES // max(1, samples)))
        # pages of these that no row needs are never touched, and take no memory
        self.rows = CallRows(
            np.empty(rows, np.uint8), np.empty((rows, words_of(samples)), np.uint64), np.empty((rows, samples), np.uint8)
        )
        self.pos = np.empty(rows, np.int64)
        self.bounds = np.empty((rows, state.BOUNDS), np.int64)
        self.text = np.empty(64 * rows + 4096, np.uint8)
        self._contig = np.empty(rows, np.int32)
        self._marked = 0
        self.escapes = _escape_arrays(1024)

    def grow(self, status: int) -> bool:
        """Make room for what the status says is full; False if the batch is large enough and should end."""
        if status == state.BATCH_FULL:
            return False
        if status == state.TEXT_FULL:
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
        """The filled rows as a batch; ``fill`` is reset for the next one."""
        rows, escaped, alleles = (int(fill[k]) for k in (state.ROW, state.ESCAPES, state.ESCAPE_ALLELES))
        fill[[state.ROW, state.TEXT, state.ESCAPES, state.ESCAPE_ALLELES]] = 0
        columns = [
            TextColumn(*gather(self.text, self.bounds[:rows, k], self.bounds[:rows, k + 1])) for k in range(state.BOUNDS - 1)
        ]
        sites = Sites(contigs, self._contig[:rows], self.pos[:rows], *columns)
        site, sample, offset, values, phased = self.escapes
        escapes = Escapes(site[:escaped], sample[:escaped], offset[: escaped + 1], values[:alleles], phased[:alleles])
        return SiteBatch(sites, self.rows.run(0, rows), escapes)


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
    """The array with as much room again behind it, of the same dtype."""
    return np.concatenate([array, np.empty_like(array)])


def _refuse(file: str, line: int, status: int, column: int) -> NoReturn:
    code, where, reason = _REASONS[status]
    if where:
        where = _COLUMN_NAMES[column - 1] if column <= 9 else f"column {column}"
        where = f" {where}:"
    raise InputError(code, f"{file}: line {line}:{where} {reason}")
