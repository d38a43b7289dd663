"""SHEET.csv: one row per person, as the steward's office writes it (``docs/stewards-day.md``)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from vault.files.column_maps import AS_WRITTEN, ColumnMap
from vault.files.csv_sheets import BadField, Column, Row, Told, read_sheet, text
from vault.files.sheet_dialect import iso_day
from vault.files.sheet_problems import MAP_HINT
from vault.subjects.countries import COUNTRIES

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MONDO = re.compile(r"MONDO:\d{7}", re.ASCII)
_EARLIEST_YEAR = 1800  # an earlier birth is a slip of the pen
_SEXES = {
    "female": "female",
    "f": "female",
    "male": "male",
    "m": "male",
    "other": "other",
    "o": "other",
    "unknown": "unknown",
    "u": "unknown",
    "w": "female",
    "weiblich": "female",
    "männlich": "male",
    "d": "other",
    "divers": "other",
    "unbekannt": "unknown",
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SubjectSheetRow:
    """Identity in a row. Empty text or None: not in the sheet. No repr: it would print an identity."""

    samples: tuple[str, ...]
    mrn: str = ""
    name: str = ""
    birth_date: date | None = None
    sex: str = ""
    """female, male, other or unknown (FHIR AdministrativeGender)."""
    country: str = ""
    """ISO 3166-1 alpha-2, upper case."""
    diagnoses: tuple[str, ...] = ()
    """MONDO ids, "MONDO:0007254", in the sheet's order, each once."""
    pedigree: str = ""
    blank: frozenset[str] = frozenset()
    """Columns that the sheet has and that are empty in this row."""


def read_subject_sheet(
    source: Path | bytes,
    *,
    today: date,
    name: str = "",
    renames: ColumnMap = AS_WRITTEN,
    told: Told = lambda _: None,
) -> tuple[tuple[int, SubjectSheetRow], ...]:
    """Read every row of the sheet with the line it starts on. A sample id or MRN occurs once in a sheet. ``renames``, ``told``: as ``read_sheet``.

    Raises:
        InputError: as ``read_sheet``; ``sheet_rejected`` names every bad field.
    """
    columns = _Columns(today)
    sheet = read_sheet(source, columns=columns.all, name=name, renames=renames, told=told, unknown_hint=MAP_HINT)
    return tuple((row.line, columns.identity(row, sheet.columns)) for row in sheet.rows)


def column_names(today: date) -> tuple[str, ...]:
    """Names of the columns that the sheet may have, the required one first."""
    return tuple(column.name for column in _Columns(today).all)


class _Columns:
    """The columns, once, so that reading and picking out cannot disagree on a type."""

    def __init__(self, today: date) -> None:
        self.samples = Column("sample_id", _sample_ids, required=True, keys=tuple)
        self.mrn = Column("mrn", _composed, keys=lambda mrn: (mrn,), max_chars=200)
        self.name = Column("name", _composed, max_chars=500)
        self.birth_date = Column("birth_date", _birth_date(today))
        self.sex = Column("sex", _sex)
        self.country = Column("country", _country)
        self.diagnoses = Column("diagnoses", _diagnoses)
        self.pedigree = Column("pedigree", text, max_chars=200)

    @property
    def all(self) -> Sequence[Column[Any]]:
        return (self.samples, self.mrn, self.name, self.birth_date, self.sex, self.country, self.diagnoses, self.pedigree)

    def identity(self, row: Row, columns: Sequence[str]) -> SubjectSheetRow:
        return SubjectSheetRow(
            samples=row[self.samples],
            mrn=row.get(self.mrn) or "",
            name=row.get(self.name) or "",
            birth_date=row.get(self.birth_date),
            sex=row.get(self.sex) or "",
            country=row.get(self.country) or "",
            diagnoses=row.get(self.diagnoses) or (),
            pedigree=row.get(self.pedigree) or "",
            blank=frozenset(columns) - row.values.keys(),
        )


def _sample_ids(value: str) -> tuple[str, ...]:
    if not value.isprintable():  # tab and line breaks too: a VCF header could not hold the name
        raise BadField("holds a tab, line break or unprintable character")
    return _several(_composed(value), "sample id")


def _composed(value: str) -> str:
    """Text with its marks composed (Unicode NFC): names that look alike are one name."""
    return unicodedata.normalize("NFC", text(value))


def _several(value: str, what: str) -> tuple[str, ...]:
    if ";" not in value:
        return (value,)
    items = tuple(item.strip() for item in value.split(";"))
    if not all(items):
        raise BadField(f"has an empty {what} between semicolons")
    if len(set(items)) != len(items):
        raise BadField(f"names a {what} twice")
    return items


def _birth_date(today: date) -> Callable[[str], date]:
    def parse(written: str) -> date:
        value = iso_day(written)
        if not _ISO_DATE.fullmatch(value):  # fromisoformat alone takes 20260102 and 2026-W01-5
            raise BadField("is not a date YYYY-MM-DD or DD.MM.YYYY")
        try:
            parsed = date.fromisoformat(value)
        except ValueError:
            raise BadField("is not a day of the calendar") from None
        if parsed > today:
            raise BadField("is in the future")
        if parsed.year < _EARLIEST_YEAR:
            raise BadField(f"is before {_EARLIEST_YEAR}")
        return parsed

    return parse


def _sex(value: str) -> str:
    try:
        return _SEXES[value.casefold()]
    except KeyError:
        raise BadField("is none of female, male, other, unknown (or F, M, O, U)") from None


def _country(value: str) -> str:
    if value not in COUNTRIES:
        raise BadField("is not an ISO 3166-1 alpha-2 country code in capitals")
    return value


def _diagnoses(value: str) -> tuple[str, ...]:
    items = _several(value, "diagnosis")
    if not all(_MONDO.fullmatch(item) for item in items):
        raise BadField("holds something other than MONDO ids (MONDO: and seven digits, separated by semicolons)")
    return items
