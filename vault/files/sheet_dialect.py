"""Dialects of spreadsheets: encoding, what separates its columns, what it put around the table, and what it called the columns.

Comma, semicolon and tab separate columns, whichever gives most names that are known, or else most names; a first line ``sep=;`` settles it. UTF-16 has a
byte order mark. Columns at the end without a name and without a value are what dragging over empty cells leaves.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from dataclasses import dataclass

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_HEAD_CHARS = 1 << 16  # of a sheet, in which its header ends
_SEP_LINE = re.compile(r"\"?sep=(.)\"?[\t;,]*", re.IGNORECASE)
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", re.ASCII)
_TIMED = re.compile(r"(\d{4}-\d{2}-\d{2}|\d{1,2}\.\d{1,2}\.\d{4}) \d{1,2}:\d{2}(?::\d{2})?", re.ASCII)
_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


@dataclass(frozen=True)
class Dialect:
    """Separator of columns, the number of lines before the header, and what a reader of the sheet should be told."""

    separator: str = ","
    skipped: int = 0
    notes: tuple[str, ...] = ()


def decode(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Text of a sheet and notes on it. Bytes that are none become lone surrogates, which a reader names by line."""
    encoding = _UTF16.get(data[:2])
    if encoding is None:
        return data.decode("utf-8-sig", errors="surrogateescape"), ()
    return data[2:].decode(encoding, errors="replace").replace("\ufffd", "\udc80"), ("the file is UTF-16",)


def dialect_of(document: str, known: Collection[str]) -> Dialect:
    """Tell the dialect from the first lines. ``known``: names that columns may have."""
    notes: list[str] = []
    skipped = 0
    lines = document[:_HEAD_CHARS].splitlines()
    said = _SEP_LINE.fullmatch(lines[0]) if lines else None
    if said:
        skipped = 1
        notes.append(f"the first line, sep={said[1]}, was passed over")
    header = lines[skipped] if len(lines) > skipped else ""
    counts = {separator: _names(header, separator, known) for separator in SEPARATORS}
    best = said[1] if said and said[1] in SEPARATORS else max(counts, key=lambda one: counts[one])
    if best != ",":
        notes.append(f"columns are separated by {SEPARATORS[best]}")
    return Dialect(best, skipped, tuple(notes))


def iso_day(value: str) -> str:
    """A day written DD.MM.YYYY as YYYY-MM-DD; anything else as it is. Slashes mean two things and are not read.

    Of a day with a time of day and no zone, as REDCap and LimeSurvey write it, the day.
    """
    timed = _TIMED.fullmatch(value)
    value = timed[1] if timed else value
    dotted = _DOTTED.fullmatch(value)
    return f"{dotted[3]}-{int(dotted[2]):02}-{int(dotted[1]):02}" if dotted else value


def _names(header: str, separator: str, known: Collection[str]) -> tuple[int, int]:
    """(names that are known, names)."""
    try:
        fields = next(csv.reader([header], delimiter=separator), [])
    except csv.Error:
        return 0, 0
    return sum(field.strip() in known for field in fields), len(fields)
