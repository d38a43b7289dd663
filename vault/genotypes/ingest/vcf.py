"""VCF text → site batches: feeds whole lines to the kernel and turns its statuses into errors.

Strict where a lax reading could change a genotype or hide damage; fields that the vault does not keep (QUAL, INFO, the other
FORMAT subfields) are not judged beyond their shape. Read as htslib reads it: GT anywhere in FORMAT, CRLF, no final newline, lower-case
bases, positions that repeat. Where htslib (1.16) guesses, this refuses: see ``vcf_refusals``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from vault.genotypes.codec.call_codes import Escapes
from vault.genotypes.codec.packed_calls import CallRows, words_of
from vault.genotypes.contigs import Assembly
from vault.genotypes.ingest import vcf_kernel as kernel
from vault.genotypes.ingest import vcf_kernel_state as state
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.genotypes.ingest.contig_order import ContigOrder
from vault.genotypes.ingest.gvcf import is_gvcf, read_personal
from vault.genotypes.ingest.lines import Lines
from vault.genotypes.ingest.personal_calls import PersonalCalls
from vault.genotypes.ingest.reading import Progress
from vault.genotypes.ingest.source import SiteBatch
from vault.genotypes.ingest.streams import ByteStream, open_stream
from vault.genotypes.ingest.text_kernel import gather
from vault.genotypes.ingest.vcf_header import VcfHeader
from vault.genotypes.ingest.vcf_refusals import refuse
from vault.genotypes.sites import Sites, TextColumn
from vault.limits import CHUNK_SITES

if TYPE_CHECKING:
    from vault.genotypes.ingest.aligned_batches import Aligner

BATCH_CODES = 12 << 20  # call codes in a batch
BATCH_TEXT = 8 << 20  # site text in a batch, beyond which it ends early
BATCH_ESCAPES = 1 << 18  # escaped calls in a batch, beyond which it ends early


def open_vcf(path: Path, assembly: Assembly, fasta: Path | None = None) -> VcfSource:
    """Open VCF text, or BCF as the VCF text that htslib makes of it; reads the header. Contigs are held to ``assembly``, and REF to ``fasta``.

    Raises:
        GenovaultError: as ``open_source``.
    """
    size = path.stat().st_size if path.is_file() else 0
    aligner = None if fasta is None else _aligner(fasta, path.name)
    stream = open_stream(path)
    try:
        lines = Lines(stream, path.name)
        if lines.starts_with(b"BCF"):
            from vault.genotypes.ingest.bcf import BcfStream  # noqa: PLC0415 - pysam is an extra

            stream.close()
            stream = BcfStream(path)
            lines = Lines(stream, path.name)
        header = lines.header(assembly)
        gvcf = len(header.samples) == 1 and is_gvcf(lines)
        return VcfSource(lines, header, stream, size, assembly=assembly, gvcf=gvcf, aligner=aligner)
    except BaseException:
        stream.close()
        raise


class VcfSource:
    """A ``GenotypeSource`` over VCF text. ``gvcf``: it is one person's, with blocks of reference: to be read by ``personal``. ``aligner``: holds
    the file to a reference sequence.
    """

    def __init__(
        self,
        lines: Lines,
        header: VcfHeader,
        stream: ByteStream,
        size: int,
        *,
        assembly: Assembly,
        gvcf: bool = False,
        aligner: Aligner | None = None,
    ) -> None:
        self.gvcf = gvcf
        self._aligner = aligner
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
            InputError: with file, line, column and reason (``vcf_refusals``); with a reference sequence, as ``Aligner.batches``.
        """
        return self._read() if self._aligner is None else self._aligner.batches(self._read())

    def _read(self) -> Iterator[SiteBatch]:
        header, lines = self._header, self._lines
        contigs = ContigOrder(lines.file, self._assembly)
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
                batch.mark_contigs(int(fill[state.ROW]), len(contigs) - 1)
                if status == state.DONE:
                    lines.start = cursor
                    break
                if status == state.NEW_CONTIG:
                    name = lines.contig_at(cursor)
                    fill[state.LIMIT] = contigs.enter(name, line + 1)
                    current = np.frombuffer(bytearray(name), np.uint8)
                    fill[state.LAST_POSITION] = -1
                elif status in (state.BATCH_FULL, state.TEXT_FULL, state.ESCAPES_FULL):
                    if not batch.grow(status):
                        yield batch.finish(fill, contigs.names)
                        batch = _BatchArrays(len(header.samples))
                else:
                    if status == state.UNEXPECTED_BLOCK and len(header.samples) > 1:
                        status = state.BLOCKS_OF_SEVERAL
                    refuse(lines.file, line + 1, status, int(fill[state.COLUMN]))
        if fill[state.ROW]:
            yield batch.finish(fill, contigs.names)

    def personal(self, rule: AssayRule, progress: Progress) -> PersonalCalls:
        """The one person's calls and tracks, read in the place of ``batches``.

        Raises:
            InputError: with file, line, column and reason (``vcf_refusals``).
        """
        return read_personal(self._lines, self._header, self._assembly, rule, progress, aligner=self._aligner)

    def close(self) -> None:
        """Let go of the file."""
        self._lines.close()
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def _aligner(fasta: Path, file: str) -> Aligner:
    from vault.genotypes.ingest.aligned_batches import Aligner  # noqa: PLC0415 - most imports have no FASTA
    from vault.genotypes.ingest.reference_sequence import ReferenceSequence  # noqa: PLC0415 - as above

    return Aligner(ReferenceSequence(fasta), file)


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
