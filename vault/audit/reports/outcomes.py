"""Outcomes of intents, by ``docs/formats/audit.md`` §2: which entries have none, and what has to be assumed of them. Pure.

The offline verifier reads the same section and has code of its own (``vault.audit.verify``); a property test holds both to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from vault.audit.actions import Action, Outcome, ending
from vault.audit.reports.records import Record

RELEASING = ("view", "extract")  # first word of the acts by which genotypes leave the vault
COUNTING = (Action.COUNTS_ANSWER.value, Action.TABLE_ANSWER.value)  # acts by which numbers about many people leave


class LeftOpen(Enum):
    """Consequence of an intent without an outcome."""

    ASSUMED = "assumed"  # an access: everything that it asked for counts as disclosed
    OPENED = "opened"  # people's genotypes were being opened inside the vault, by an act that releases nothing
    CUT_OFF = "cut_off"  # an act that names nobody


def is_intent(record: Record) -> bool:
    """True if an entry says that something is begun."""
    return record.outcome == Outcome.INTENT.value


def is_read(record: Record) -> bool:
    """True if an entry is a guarded read: one entry that says ``done`` before anything is opened, and counts as such whatever follows."""
    return record.act == Action.VIEW_READ.value and record.outcome == Outcome.DONE.value


def is_access(record: Record) -> bool:
    """True if an entry is the intent of an act by which genotypes leave the vault, or a read."""
    return (is_intent(record) and (record.act or "").partition(".")[0] in RELEASING) or is_read(record)


def is_count(record: Record) -> bool:
    """True if an entry is the intent of an act by which numbers leave: they do with the entry that says ``done``, and not without it."""
    return is_intent(record) and record.act in COUNTING


def is_refused_access(record: Record) -> bool:
    """True if an entry says that such an act was refused before it began: nothing was opened."""
    return record.outcome == Outcome.REFUSED.value and record.refers is None and (record.act or "").partition(".")[0] in RELEASING


def left_open(record: Record) -> LeftOpen:
    """Meaning of an intent that no entry closes."""
    if is_access(record):
        return LeftOpen.ASSUMED
    return LeftOpen.OPENED if record.subjects or record.subject_set else LeftOpen.CUT_OFF


def closes(record: Record, intent: Record) -> bool:
    """True if an entry is an outcome of this intent: it stands behind it, names it, and is none itself."""
    return record.refers == intent.event and record.index > intent.index and not is_intent(record)


def ended(intent: Record, closings: Iterable[Record]) -> Record | None:
    """The entry that says how an intent ended, of those in ``closings`` that close it: the first that says ``done``, else the last."""
    if is_read(intent):
        return intent
    own = sorted((record for record in closings if closes(record, intent)), key=lambda record: record.index)
    final = ending(record.outcome for record in own)
    return next((record for record in own if record.outcome == final == Outcome.DONE.value), own[-1] if own else None)


class Outcomes:
    """Intents and how they ended, over entries taken in order."""

    def __init__(self) -> None:
        self._intents: dict[str, Record] = {}
        self._ends: dict[str, Record] = {}

    def take(self, record: Record) -> None:
        """Take the next entry."""
        if is_intent(record):
            self._intents[record.event] = record
        elif record.refers is not None and (intent := self._intents.get(record.refers)) is not None:
            before = self._ends.get(intent.event)
            final = ended(intent, [record] if before is None else [before, record])
            if final is not None:
                self._ends[intent.event] = final

    def end(self, intent: Record) -> Record | None:
        """The entry that says how an access or another intent ended; None if none does."""
        return intent if is_read(intent) else self._ends.get(intent.event)

    def open(self) -> list[Record]:
        """Intents without an outcome, oldest first."""
        return [intent for event, intent in self._intents.items() if event not in self._ends]
