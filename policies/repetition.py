"""Repeated statements: an event that says what the person's last one says adds nothing, and is not recorded again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from policies import consent
from policies.consent import ConsentEvent

_OF_THE_RECORDING = frozenset({"event_id", "seq", "recorded_at", "recorded_by", "rules", "clock_behind"})


def repeats(history: Sequence[ConsentEvent], event: ConsentEvent, *, at: datetime) -> bool:
    """True if the last event of a person's history, of whatever kind, says the same as a new one of the same legal time and has not lapsed.

    An answer that something else was said after is not a repetition: given again, it counts again. Sealed parts are the caller's to compare.
    """
    if not history:
        return False
    last = history[-1]
    ends = [end for end in (last.lapses_at, last.valid_to) if end is not None]
    return _said(last) == _said(event) and all(end > at for end in ends)


def _said(event: ConsentEvent) -> dict[str, object]:
    return {name: value for name, value in consent.as_dict(event).items() if name not in _OF_THE_RECORDING}
