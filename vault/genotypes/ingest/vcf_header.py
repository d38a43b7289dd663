"""The VCF header: version, samples, contigs (VCF 4.3 §1.2-1.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from vault.errors import InputError
from vault.genotypes.contigs import Assembly
from vault.limits import MAX_SAMPLES

_COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
_FILEFORMAT = re.compile(r"##file[fF]ormat=VCFv4\.(\d)")  # both spellings are in use
_CONTIG_NAME = re.compile(r"[0-9A-Za-z!#$%&+./:;?@^_|~\-][0-9A-Za-z!#$%&*+./:;=?@^_|~\-]*")
_ID = re.compile(r"[<,]ID=([^,>]+)")
_LENGTH = re.compile(r"[<,]length=(\d{1,12})[,>]")


@dataclass(frozen=True)
class VcfHeader:
    """``minor``: y of VCFv4.y. ``contigs``: name → length (None if not said) of the ##contig lines, ``filters``: names of the ##FILTER
    lines, both only what the file declares, not a limit on what it uses. ``lines``: number of header lines.
    """

    minor: int
    samples: tuple[str, ...]
    contigs: dict[str, int | None]
    filters: tuple[str, ...]
    lines: int


def parse_header(text: bytes, file: str, assembly: Assembly) -> VcfHeader:
    """Parse a whole header, from ##fileformat to the #CHROM line.

    Raises InputError ``not_a_vcf``, ``bad_header``, ``bad_utf8``, ``duplicate_sample``, ``too_many_samples``; ``assembly_mismatch``:
    a declared length is another assembly's.
    """
    try:
        lines = text.decode().split("\n")
    except UnicodeDecodeError as error:
        _refuse(file, text.count(b"\n", 0, error.start) + 1, "not valid UTF-8", code="bad_utf8")
    lines = [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]
    version = _FILEFORMAT.fullmatch(lines[0].rstrip(" "))
    if version is None:
        _refuse(file, 1, "the first line is not ##fileformat=VCFv4.x", code="not_a_vcf")
    contigs: dict[str, int | None] = {}
    filters: list[str] = []
    for number, line in enumerate(lines[:-1], 1):
        if not line.startswith("##"):
            _refuse(file, number, "a header line does not start with ##")
        if "\0" in line:
            _refuse(file, number, "a NUL byte", code="nul_byte")
        name = _ID.search(line)
        if name and line.startswith("##contig=<"):
            length = _LENGTH.search(line)
            contigs[name[1]] = int(length[1]) if length else None
            other = assembly.belongs_to(name[1], int(length[1])) if length else None
            if other is not None:
                reason, hint = f"##contig: the length is that of {other}, not of {assembly.name}", f"say --assembly {other}"
                _refuse(file, number, reason, code="assembly_mismatch", hint=hint)
        elif name and line.startswith("##FILTER=<"):
            filters.append(name[1])
    samples = _samples(lines[-1], len(lines), file)
    return VcfHeader(int(version[1]), samples, contigs, tuple(filters), len(lines))


_BRACKETS = r"a contig of an ##assembly file: take the brackets off (sed -E 's/^<([^>]*)>/\1/'), which bcftools does not"


def require_contig_name(name: bytes, file: str, line: int) -> str:
    """The name as text, if the specification allows it in a header (VCF 4.3 §1.4.7): then it is safe to write into any.

    "<name>", a contig of an ##assembly file, is refused: no ##contig line can declare it, so no extract could hold it.

    Raises InputError ``bad_contig``.
    """
    text = name.decode("latin-1")
    if not _CONTIG_NAME.fullmatch(text):
        hint = _BRACKETS if text.startswith("<") else "rename it, in the header and in the records"
        raise InputError("bad_contig", f"{file}: line {line}: CHROM: not a contig name that VCF allows", hint=hint)
    return text


def _samples(line: str, number: int, file: str) -> tuple[str, ...]:
    columns = line.split("\t")
    if tuple(columns[:8]) != _COLUMNS or (len(columns) > 8 and columns[8] != "FORMAT"):
        _refuse(file, number, "the columns are not #CHROM POS ID REF ALT QUAL FILTER INFO [FORMAT samples…], separated by tabs")
    samples = columns[9:]
    if len(columns) == 9:
        _refuse(file, number, "FORMAT without a sample")
    if len(samples) > MAX_SAMPLES:
        _refuse(file, number, f"more than {MAX_SAMPLES} samples", code="too_many_samples")
    first: dict[str, int] = {}
    for column, name in enumerate(samples, 10):
        if not name.strip():
            trailing = " (a trailing tab?)" if column == len(columns) else ""
            _refuse(file, number, f"column {column}: the sample name is empty{trailing}")
        if any(c < " " or c == "\x7f" for c in name):
            _refuse(file, number, f"column {column}: a control character in the sample name")
        if name in first:
            reason = f"columns {first[name]} and {column} name the same sample"
            _refuse(file, number, reason, code="duplicate_sample")
        first[name] = column
    return tuple(samples)


def _refuse(file: str, line: int, reason: str, *, code: str = "bad_header", hint: str = "") -> NoReturn:
    raise InputError(code, f"{file}: line {line}: {reason}", hint=hint)
