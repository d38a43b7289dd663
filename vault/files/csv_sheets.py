"""CSV sheets that people fill in, read strictly: every bad field is named by line and column, and nothing is taken from a bad sheet.

Accepted: RFC 4180 with commas, semicolons or tabs, UTF-8 with or without a byte order mark, UTF-16 with one, any line ending, quoted
line breaks, blank lines at the end, columns without a name or a value at the end (``vault.files.sheet_dialect``). Everything else is
refused, all of it in one go, so that a sheet of 100,000 rows is mended once. Reasons never repeat what a
field (or a header that may be data) holds: names and record numbers are private, a line number is not.

Outer white space of a field does not count. A field that a spreadsheet would run as a formula carries an apostrophe in front, put
there by ``write_sheet`` and taken away by ``read_sheet``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TextIO, TypeVar, cast

from vault.errors import InputError
from vault.files.column_maps import AS_WRITTEN, ColumnMap
from vault.files.given_files import read_given
from vault.files.sheet_dialect import Dialect, decode, dialect_of
from vault.files.sheet_problems import Problem, rejected, unknown_columns
from vault.limits import (
    MAX_SHEET_BYTES,
    MAX_SHEET_COLUMNS,
    MAX_SHEET_FIELD_CHARS,
    MAX_SHEET_LINES,
    MAX_SHEET_PROBLEMS,
    MAX_SHEET_RECORD_CHARS,
)

T = TypeVar("T")

_TOO_LONG = "record too long"
_SAVE_AS_UTF8 = "is not UTF-8; save the file as CSV UTF-8"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what surrogateescape makes of a bad byte
_FORMULA = re.compile(
    "'*[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]"
)  # starts a formula in a spreadsheet; the last four are full-width forms

Told = Callable[[str], None]
"""Takes a note for whoever handed a sheet in, which holds nothing of it."""


class BadField(Exception):  # noqa: N818 — a signal inside this module's protocol, never seen by a caller of read_sheet
    """Refusal by a column's parser: why this text is not acceptable, without repeating the text."""


def text(value: str) -> str:
    """Make a parser for a plain one-line text column."""
    if "\n" in value or "\r" in value:
        raise BadField("holds a line break")
    return value


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column that a sheet may have.

    ``required``: the column must be there and no field empty. ``keys``: the values of a field that may occur once in the whole
    sheet (a record number; each of several sample names).
    """

    name: str
    parse: Callable[[str], T]
    required: bool = False
    keys: Callable[[T], Iterable[str]] | None = None
    max_chars: int = MAX_SHEET_FIELD_CHARS


@dataclass(frozen=True, repr=False)
class Row:
    """One row: the physical line it starts on and its parsed fields; empty fields are absent."""

    line: int
    values: Mapping[str, object]

    def __getitem__(self, column: Column[T]) -> T:
        """The field of a required column."""
        return cast("T", self.values[column.name])

    def get(self, column: Column[T]) -> T | None:
        """The field, None where it is empty or the sheet lacks the column."""
        return cast("T | None", self.values.get(column.name))


@dataclass(frozen=True)
class Sheet:
    """A sheet without problems: the columns it has, in its own order, and its rows."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_sheet(
    source: Path | bytes,
    *,
    columns: Sequence[Column[Any]],
    name: str = "",
    renames: ColumnMap = AS_WRITTEN,
    told: Told = lambda _: None,
    unknown_hint: str = "",
    further: Callable[[Sequence[Row]], Iterable[Problem]] = lambda _: (),
) -> Sheet:
    """Read a whole sheet, or nothing of it.

    ``name`` stands for the sheet in messages (default: the file's name). ``renames``: what the sheet calls columns that have other names
    here, and how it writes what stands in them. ``told``: takes notes on how the sheet was read.
    ``unknown_hint``: what to do about columns that are not known. ``further``: of a sheet with bad rows, finds what else is
    wrong with its good ones, so that all is told at once.
    Raises SheetRejectedError with every problem; InputError "document_rejected" (``renames`` names no column of ours), "sheet_unreadable", "sheet_too_large", "sheet_empty".
    """
    title = name or (source.name if isinstance(source, Path) else "the sheet")
    data = _read_bytes(source, title)
    document, notes = decode(data)
    dialect = dialect_of(document, {column.name for column in columns} | renames.names.keys())
    for note in (*notes, *dialect.notes):
        told(note)
    clean = not (_NOT_UTF8.search(document) or _CONTROL.search(document))
    problems: list[Problem] = []
    records = _records(document, problems, dialect)
    first = next(records, None)
    if first is None:
        if problems:
            raise rejected(problems, source=title)
        raise InputError("sheet_empty", f"{title}: no header line", hint=_expected(columns))
    header, unknown = _read_header(first[0], first[1], columns, problems, renames)
    if problems:  # with the header in doubt every row would be reported for nothing
        raise rejected(problems, source=title, hint=unknown_hint if unknown else "")
    if nameless := sum(isinstance(column, _Nameless) for column in header):
        told(f"{nameless} empty columns at the end were passed over")
    rows = tuple(_rows(records, header, problems, clean=clean, renames=renames))
    if problems:
        bad = {problem.line for problem in problems}
        raise rejected([*problems, *further([row for row in rows if row.line not in bad])], source=title)
    return Sheet(columns=tuple(column.name for column in header if isinstance(column, Column)), rows=rows)


def write_sheet(out: TextIO, *, columns: Sequence[str], rows: Iterable[Sequence[str | int | None]]) -> None:
    """Write a sheet that ``read_sheet`` reads back and in which a spreadsheet finds no formula. None is an empty field."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([guard(field) if isinstance(field, str) else field for field in row])


def guard(field: str) -> str:
    """Put an apostrophe in front of a field if a spreadsheet would take it for a formula. Undone by ``read_sheet``."""
    return f"'{field}" if _FORMULA.match(field) else field


def _read_bytes(source: Path | bytes, title: str) -> bytes:
    if isinstance(source, Path):
        data = read_given(source, limit=MAX_SHEET_BYTES, name=title, unreadable="sheet_unreadable", too_large="sheet_too_large")
    else:
        data = source
    lines = max(data.count(b"\n"), data.count(b"\r"))
    if len(data) > MAX_SHEET_BYTES or lines > MAX_SHEET_LINES:
        most = f"{MAX_SHEET_BYTES // 2**20} MiB or {MAX_SHEET_LINES:,} lines"
        raise InputError("sheet_too_large", f"{title}: more than {most}", hint="split the sheet")
    return data


def _records(document: str, problems: list[Problem], dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """(first physical line, fields) of each record; blank lines at the end are passed over, others reported."""
    lines = _RecordLines(document, skipped=dialect.skipped)
    reader = csv.reader(lines, strict=True, delimiter=dialect.separator)
    blank: list[int] = []
    while len(problems) <= MAX_SHEET_PROBLEMS:
        line = reader.line_num + 1 + dialect.skipped
        lines.begin_record()
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason, fatal = _explain(error)
            problems.append(Problem(line, "", reason))
            if fatal:
                return
            continue
        if not any(map(str.strip, record)):
            blank.append(line)
            continue
        problems.extend(Problem(number, "", "blank line between rows") for number in blank[: MAX_SHEET_PROBLEMS + 1])
        blank.clear()
        yield line, record


class _RecordLines:
    """The document's lines, of which no record may take more than its share: the reader makes an object of each field."""

    def __init__(self, document: str, *, skipped: int) -> None:
        self._lines = io.StringIO(document, newline="")
        self._taken = 0
        for _ in range(skipped):
            self._lines.readline()

    def begin_record(self) -> None:
        self._taken = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self._taken += len(line)
            if self._taken > MAX_SHEET_RECORD_CHARS:
                raise csv.Error(_TOO_LONG)
            yield line


def _explain(error: csv.Error) -> tuple[str, bool]:
    """Reason for a csv error, and True if the rest of the file cannot be split into records."""
    words = str(error)
    if words == _TOO_LONG:
        return f"a row has at most {MAX_SHEET_RECORD_CHARS:,} characters, or a quote is not closed", True
    if "field larger" in words:
        return "a quote is not closed, or a field is far too long", True
    if "unexpected end" in words:
        return "a quote is not closed", True
    return "text after a closing quote", False


@dataclass(frozen=True)
class _Nameless:
    """A column at the end of the header without a name: no field of it may hold anything."""


@dataclass(frozen=True)
class _Passed:
    """A column that is passed over."""


_Head = Column[Any] | _Nameless | _Passed


def _read_header(
    line: int,
    record: Sequence[str],
    columns: Sequence[Column[Any]],
    problems: list[Problem],
    renames: ColumnMap,
) -> tuple[tuple[_Head, ...], bool]:
    """Heads of the columns, and True if some columns are not known."""
    known = {column.name: column for column in columns}
    if len(record) > MAX_SHEET_COLUMNS:
        problems.append(Problem(line, "", f"{len(record):,} columns; a sheet has at most {MAX_SHEET_COLUMNS:,}"))
        return (), False
    illegible = [position for position, field in enumerate(record, start=1) if _NOT_UTF8.search(field)]
    if illegible:  # a map would not know them either
        problems.extend(Problem(line, f"column {position}", _SAVE_AS_UTF8) for position in illegible)
        return (), False
    names = renames.header([field.strip() for field in record], tuple(known))
    named = len(names)
    while named and names[named - 1] == "":
        named -= 1
    for position, name in enumerate(names[:named], start=1):
        if name is not None and name in known and name in names[: position - 1]:
            problems.append(Problem(line, name, "this column is there twice"))
    unknown = [at for at, name in enumerate(names[:named], start=1) if name is not None and name not in known]
    if unknown:
        problems.append(unknown_columns(line, unknown, _expected(columns)))
    problems.extend(
        Problem(line, column.name, "this column is missing") for column in columns if column.required and column.name not in names
    )
    heads = [_Passed() if name is None else known[name] for name in names[:named] if name is None or name in known]
    return (*heads, *(_Nameless() for _ in names[named:])), bool(unknown)


def _expected(columns: Sequence[Column[Any]]) -> str:
    return "columns: " + ", ".join(column.name for column in columns)


def _rows(
    records: Iterator[tuple[int, list[str]]],
    header: tuple[_Head, ...],
    problems: list[Problem],
    *,
    clean: bool,
    renames: ColumnMap,
) -> Iterator[Row]:
    """Parse rows. ``clean``: the whole document holds only good characters, so no field is checked for them."""
    wanted = [(at, column) for at, column in enumerate(header) if isinstance(column, Column)]
    parsers = [(at, column, column.name, _parser(column, clean=clean)) for at, column in wanted]
    lines_of_keys: dict[str, dict[str, int]] = {column.name: {} for _, column in wanted}
    nameless = [at for at, column in enumerate(header) if isinstance(column, _Nameless)]
    width = len(header)
    for line, record in records:
        if len(record) != width:
            problems.append(Problem(line, "", f"{len(record)} fields where the header has {width}"))
            continue
        values: dict[str, object] = {}
        problems += [Problem(line, f"column {at + 1}", "holds something under no name") for at in nameless if record[at].strip()]
        for at, column, name, parse in parsers:
            field = renames.written(name, record[at].strip())
            if not field:
                if column.required:
                    problems.append(Problem(line, name, "is empty"))
                continue
            try:
                value = values[name] = parse(field)
            except BadField as reason:
                problems.append(Problem(line, name, str(reason)))
                continue
            if column.keys is not None:
                for key in column.keys(value):
                    earlier = lines_of_keys[name].setdefault(key, line)
                    if earlier != line:
                        problems.append(Problem(line, name, f"is already on line {earlier}"))
        yield Row(line, values)


def _parser(column: Column[T], *, clean: bool) -> Callable[[str], T]:
    def parse(field: str) -> T:
        if len(field) > column.max_chars:
            raise BadField(f"is longer than {column.max_chars} characters")
        if not clean:
            if _NOT_UTF8.search(field):
                raise BadField(_SAVE_AS_UTF8)
            if _CONTROL.search(field):
                raise BadField("holds a control character")
        return column.parse(field[1:] if field[0] == "'" and _FORMULA.match(field) else field)

    return parse
