"""Duties of those who hold a person's released records when the person may be released to them no more.

What was released lawfully was lawful, and a withdrawal does not undo it (GDPR Art. 7(3)); recipients are told (Art. 19). So a record
leaves further use, and is deleted where the person asked for that, or where what is known now says that it should never have left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from policies.acts import outlives
from policies.consent import ConsentEvent, Level
from policies.states import ConsentState


class Todo(StrEnum):
    """Act of a recipient on a person's record."""

    STOP = "stop"
    DELETE = "delete"


WORDS: Mapping[Todo, str] = MappingProxyType(
    {
        Todo.STOP: "Use this record in nothing new: leave it out of every analysis from now on. Results that exist may stand.",
        Todo.DELETE: "Delete every copy of this record, in derived files of single people too, and confirm that it was done.",
    }
)
WITHIN: Mapping[Todo, timedelta] = MappingProxyType({Todo.STOP: timedelta(days=14), Todo.DELETE: timedelta(days=30)})
"""Time that a recipient has."""


def todo(*, permitted: bool, shows_excluded: bool, asked_to_delete: bool, lawful_then: bool) -> Todo | None:
    """Act due on a record that left, None where it may be held.

    Args:
        permitted: the person's consent permits the project's purpose now.
        shows_excluded: what was released has places that the person has excluded since.
        asked_to_delete: as ``asks_deletion`` tells.
        lawful_then: what is known now permitted the release when it was made.
    """
    if permitted and not shows_excluded:
        return None
    return Todo.DELETE if not permitted and (asked_to_delete or not lawful_then) else Todo.STOP


def asks_deletion(state: ConsentState) -> bool:
    """True if a withdrawal at the level of erasure stands that no later acceptance undoes."""
    erasing = [item for item in state.oppositions if item.level is Level.ERASE]
    return any(not any(outlives(yes, item) and yes.answer.explicit for yes in state.acceptances) for item in erasing)


def learned_since(events: Sequence[ConsentEvent], released: datetime) -> bool:
    """True if something was recorded after a release about the time before it, or corrects what was known then."""
    return any(event.recorded_at > released and (bool(event.supersedes) or event.legal_time <= released) for event in events)


def replaces(known: Todo | None, wanted: Todo, *, acknowledged: bool) -> bool:
    """True if a notice has to take the place of one that says ``known`` (None: there is none). What was done already stays done."""
    return known is None or (known is not wanted and not (acknowledged and known is Todo.DELETE))
