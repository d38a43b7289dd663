"""The text files of a PLINK 2 fileset: .pvar (plain, gzip or zstd) as sites, .psam as people.

A .pvar is VCF without samples but with columns left out or in another order. It is put into VCF's form line by line and read by the VCF
kernel, so that both formats are held to the same strictness and errors name the .pvar's own lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from vault.errors import InputError
from vault.genotypes.contigs import Assembly
from vault.genotypes.ingest.lines import Lines
from vault.genotypes.ingest.streams import ByteStream, open_stream
from vault.genotypes.ingest.vcf import VcfSource
from vault.genotypes.ingest.vcf_header import VcfHeader
from vault.limits import MAX_HEADER_BYTES, MAX_LINE_BYTES, MAX_SAMPLES

_PIECE = 1 << 20
_COLUMNS = (b"#CHROM", b"POS", b"ID", b"REF", b"ALT", b"QUAL", b"FILTER", b"INFO")
_REQUIRED = 5
_MALE = frozenset({"1", "M", "m"})


@dataclass(frozen=True)
class Person:
    """A line of the .psam."""

    name: str
    is_male: bool


def open_pvar(pgen: Path, assembly: Assembly) -> PvarSource:
    """The sites of a .pgen's .pvar, .pvar.zst or .pvar.gz.

    Raises:
        InputError: ``no_such_file``; ``bad_header``; ``plink1_orientation``: there is a .bim instead.
    """
    for suffix in (".pvar", ".pvar.zst", ".pvar.gz"):
        path = pgen.with_suffix(suffix)
        if path.exists():
            stream = open_stream(path)
            try:
                return PvarSource(_PvarText(stream, path.name), path.stat().st_size, assembly)
            except BaseException:
                stream.close()
                raise
    raise InputError("no_such_file", f"{pgen.with_suffix('.pvar').name}: no such file", hint="a .pgen needs its .pvar and .psam")


class PvarSource(VcfSource):
    """Sites without samples; ``has_provisional_marks`` after reading: whether some INFO has the flag PR."""

    def __init__(self, text: _PvarText, size: int, assembly: Assembly) -> None:
        self._text = text
        header = VcfHeader(minor=3, samples=(), contigs={}, filters=(), lines=text.header_lines)
        super().__init__(Lines(text, text.file), header, text, size, assembly=assembly)

    @property
    def has_provisional_marks(self) -> bool:
        """True if a line read so far marks its REF as provisional."""
        return self._text.has_provisional_marks


class _PvarText:
    """A ``ByteStream`` of a .pvar's body with VCF's eight columns."""

    def __init__(self, stream: ByteStream, file: str) -> None:
        self.file = file
        self.header_lines = 0
        self.has_provisional_marks = False
        self._stream = stream
        self._lines = self._read_lines()
        self._order = self._read_header()
        self._pieces = self._arranged()
        self._rest = memoryview(b"")

    def readinto(self, buffer: memoryview) -> int:
        """As ``ByteStream``."""
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def position(self) -> int:
        """As ``ByteStream``."""
        return self._stream.position()

    def close(self) -> None:
        """As ``ByteStream``."""
        self._stream.close()

    def _read_lines(self) -> Iterator[list[bytes]]:
        """Whole lines without their newline, many at a time."""
        buffer = memoryview(bytearray(_PIECE))
        tail = b""
        while count := self._stream.readinto(buffer):
            *lines, tail = (tail + bytes(buffer[:count])).split(b"\n")
            if len(tail) > MAX_LINE_BYTES:
                raise InputError("line_too_long", f"{self.file}: a line is longer than {MAX_LINE_BYTES >> 20} MiB")
            yield lines
        if tail:
            yield [tail]

    def _read_header(self) -> list[int]:
        """Skip to the body; for each of VCF's columns where it is, -1 if nowhere."""
        size = 0
        for lines in self._lines:
            for at, line in enumerate(lines):
                self.header_lines += 1
                size += len(line)
                if size > MAX_HEADER_BYTES:
                    raise InputError("header_too_long", f"{self.file}: the header is longer than {MAX_HEADER_BYTES >> 20} MiB")
                if line.startswith(b"##"):
                    continue
                self._waiting = lines[at + 1 :]
                return self._columns(line.removesuffix(b"\r").split(b"\t"))
        return _refuse(self.file, self.header_lines + 1, "the file ends before the #CHROM line")

    def _columns(self, names: list[bytes]) -> list[int]:
        if names[0] != _COLUMNS[0]:
            _refuse(
                self.file,
                self.header_lines,
                "no #CHROM line: a .bim, or a .pvar without header, does not say which allele is REF",
            )
        missing = [name.decode() for name in _COLUMNS[:_REQUIRED] if name not in names]
        if missing or len(set(names)) != len(names):
            _refuse(self.file, self.header_lines, f"column {missing[0]} is missing" if missing else "a column appears twice")
        self._width = len(names)
        return [names.index(name) if name in names else -1 for name in _COLUMNS]

    def _arranged(self) -> Iterator[bytes]:
        done = self.header_lines
        for lines in self._chunks():
            yield b"".join(self._vcf_line(line.removesuffix(b"\r"), done + number) for number, line in enumerate(lines, 1))
            done += len(lines)

    def _chunks(self) -> Iterator[list[bytes]]:
        if self._waiting:
            yield self._waiting
        yield from (lines for lines in self._lines if lines)

    def _vcf_line(self, line: bytes, number: int) -> bytes:
        fields = line.split(b"\t")
        if len(fields) != self._width:
            _refuse(self.file, number, f"{len(fields)} columns where the header has {self._width}", code="column_count")
        shown = [fields[at] if at >= 0 else b"." for at in self._order]
        if b"PR" in shown[7] and b"PR" in shown[7].split(b";"):
            self.has_provisional_marks = True
        return b"\t".join(shown) + b"\n"


def read_psam(path: Path) -> tuple[Person, ...]:
    """The people of a .psam in order.

    Raises:
        InputError: ``no_such_file``, ``bad_header``, ``bad_utf8``, ``duplicate_sample``, ``too_many_samples``, ``column_count``.
    """
    text = _read_text(path)
    rows = [(number, line.removesuffix("\r").split("\t")) for number, line in enumerate(text.split("\n"), 1)]
    rows = [(number, row) for number, row in rows if row != [""] and not row[0].startswith("##")]
    if not rows or rows[0][1][0] not in ("#FID", "#IID"):
        _refuse(path.name, rows[0][0] if rows else 1, "the columns do not start with #FID or #IID, separated by tabs")
    names = [name.removeprefix("#") for name in rows[0][1]]
    if "IID" not in names:
        _refuse(path.name, rows[0][0], "no IID column")
    people: dict[str, Person] = {}
    for number, row in rows[1:]:
        if len(row) != len(names):
            _refuse(path.name, number, f"{len(row)} columns where the header has {len(names)}", code="column_count")
        field = dict(zip(names, row, strict=True))
        name = field["IID"]
        if not name.strip() or any(c < " " or c == "\x7f" for c in name):
            _refuse(path.name, number, "IID: empty, or with a control character")
        if name in people:
            told = "write an IID of their own for each person into the .psam, such as FID_IID"
            reason = "IID: the same as on an earlier line, and people are told apart by IID alone"
            raise InputError("duplicate_sample", f"{path.name}: line {number}: {reason}", hint=told)
        people[name] = Person(name, field.get("SEX", "") in _MALE)
    if len(people) > MAX_SAMPLES:
        _refuse(path.name, 1, f"more than {MAX_SAMPLES} samples", code="too_many_samples")
    return tuple(people.values())


def _read_text(path: Path) -> str:
    stream = open_stream(path)
    try:
        buffer = bytearray()
        piece = memoryview(bytearray(_PIECE))
        while count := stream.readinto(piece):
            buffer += piece[:count]
            if len(buffer) > MAX_HEADER_BYTES:
                raise InputError("header_too_long", f"{path.name}: longer than {MAX_HEADER_BYTES >> 20} MiB")
    finally:
        stream.close()
    try:
        return buffer.decode()
    except UnicodeDecodeError as error:
        _refuse(path.name, buffer.count(b"\n", 0, error.start) + 1, "not valid UTF-8", code="bad_utf8")


def _refuse(file: str, line: int, reason: str, *, code: str = "bad_header") -> NoReturn:
    raise InputError(code, f"{file}: line {line}: {reason}")
