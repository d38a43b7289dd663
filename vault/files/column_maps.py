"""COLUMNS.yaml: what a sheet of another program calls its columns, and how it writes what stands in them.

Probe: sample_id
Station: null                                              # passed over
consent_v3: {column: research_use, values: {"1": any_health, "0": "no"}}
"*": null                                                  # passes over all columns that nothing is said of
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vault.errors import InputError

REST = "*"


@dataclass(frozen=True)
class ColumnMap:
    """Names of a sheet's columns as they are called here (None: passed over), and values of a column, by our name, as they are written here.

    ``rest``: pass over the columns of which nothing is said and that have no name of ours.
    ``title``: of the document, in errors.
    """

    names: Mapping[str, str | None] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    rest: bool = False
    title: str = field(default="", compare=False)

    def header(self, names: Sequence[str], known: Sequence[str]) -> list[str | None]:
        """Names of a header as they are called here; None for a column to be passed over. A name without a mapping stays.

        Raises:
            InputError: ``document_rejected``: a column of this header is mapped to what is none of ``known``. Lines for other sheets do no harm.
        """
        for position, (theirs, ours) in enumerate(self.names.items(), start=1):
            if theirs in names and ours is not None and ours not in known:
                near = difflib.get_close_matches(ours, known, n=1)
                hint = f"is {near[0]} meant? " if near else ""
                message = f"{self.title}: mapping {position} names no column of this sheet"
                raise InputError("document_rejected", message, hint=f"{hint}columns: {', '.join(known)}; null passes one over")
        return [self._called(name, known) for name in names]

    def _called(self, name: str, known: Sequence[str]) -> str | None:
        if not name or name in self.names:
            return self.names.get(name, name)
        return None if self.rest and name not in known else name

    def written(self, column: str, value: str) -> str:
        """A field of one of our columns as it is written here."""
        return self.values.get(column, {}).get(value, value)


AS_WRITTEN = ColumnMap()


def parse(document: Mapping[str, object], *, name: str) -> ColumnMap:
    """Parse the mapping in a COLUMNS.yaml, called ``name`` in errors. YAML's own yes and no are taken for the words.

    Raises:
        InputError: ``document_rejected``.
    """
    names: dict[str, str | None] = {}
    values: dict[str, dict[str, str]] = {}
    for theirs, said in document.items():
        if theirs == REST and said is None:
            continue
        column = said if isinstance(said, str | None) else _column(said)
        if column is None and said is not None:
            hint = 'for example: Geburtsdatum: birth_date; Station: null; Ja_Nein: {column: research_use, values: {"1": "yes"}}'
            raise InputError(
                "document_rejected", f"{name}: mapping {len(names) + 1} is neither a column's name nor null", hint=hint
            )
        names[theirs] = column
        if column is not None and isinstance(said, dict):
            values[column] = {_word(key): _word(value) for key, value in said.get("values", {}).items()}
    return ColumnMap(names, values, rest=REST in document, title=name)


def _column(said: object) -> str | None:
    """Our name in ``{column: NAME, values: {…}}``, or None where it is not that."""
    if not isinstance(said, dict) or not set(said) <= {"column", "values"}:
        return None
    column, values = said.get("column"), said.get("values", {})
    plain = isinstance(values, dict) and all(isinstance(value, str | int | None) for value in values.values())
    return column if isinstance(column, str) and plain else None


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
