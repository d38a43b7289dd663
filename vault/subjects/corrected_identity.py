"""Identity of a known person after a sheet's row. Pure: what is held, what was written, what is to be kept.

A column that the sheet lacks, and an empty field, change nothing. What is replaced stays in the identity's ``former``, sealed with it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from vault.subjects.identities import Identity

REPLACED = ("mrn", "name", "birth_date", "sex", "country", "diagnoses", "pedigree")


@dataclass(frozen=True, repr=False)
class FieldChange:
    """A field as it was and as it is. No repr: it would print an identity."""

    field: str
    old: str
    new: str


@dataclass(frozen=True)
class Correction:
    """Principal who corrects identities, day (UTC), and the reason, if one was given."""

    day: date
    principal: str
    reason: str = ""

    def line(self, change: FieldChange) -> str:
        """The replaced value as ``Identity.former`` keeps it."""
        why = f" ({self.reason})" if self.reason else ""
        return f"{self.day.isoformat()} {self.principal} {change.field}: {change.old}{why}"


def corrected(old: Identity, given: Identity, correction: Correction, *, cleared: Collection[str] = ()) -> Identity:
    """The identity with what a row says; samples are added to those there are.

    Args:
        given: the row's fields, empty where it says nothing.
        cleared: fields to be emptied where the row is empty.
    """
    samples = tuple(dict.fromkeys([*old.samples, *given.samples]))
    said = {name: getattr(given, name) for name in REPLACED if getattr(given, name) or name in cleared}
    new = old._replace(samples=samples, **said)
    replaced = [correction.line(change) for change in changes(old, new) if change.old and change.field != "samples"]
    return new._replace(former=(*old.former, *replaced))


def changes(old: Identity, new: Identity) -> list[FieldChange]:
    """Fields that differ, with old and new as text; of samples those that were added."""
    added = [name for name in new.samples if name not in old.samples]
    found = [FieldChange("samples", "", _text(tuple(added)))] if added else []
    return found + [
        FieldChange(name, _text(getattr(old, name)), _text(getattr(new, name)))
        for name in REPLACED
        if getattr(old, name) != getattr(new, name)
    ]


def another_person(old: Identity, given: Identity) -> str:
    """Reasons why a row may be of another person than the one whom its references name; empty where nothing speaks for it.

    A record number alone names nobody whose name or date of birth is another; a sample does, unless both are.
    """
    differ = [
        word
        for word, a, b in (("name", _plain(old.name), _plain(given.name)), ("date of birth", old.birth_date, given.birth_date))
        if a and b and a != b
    ]
    by_sample = not set(old.samples).isdisjoint(given.samples)
    if len(differ) > by_sample:
        return f"names a person with another {' and another '.join(differ)}"
    return ""


def _plain(name: str) -> str:
    """A name without regard to case, to how its marks are composed, and to the order and number of its blanks."""
    return " ".join(sorted(unicodedata.normalize("NFC", name).casefold().replace(",", " ").split()))


def _text(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ";".join(value)
