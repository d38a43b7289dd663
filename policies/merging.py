"""Consent of a person who was registered twice: what is recorded for the registration that stays (docs/design/consent.md §4.1).

The histories are united in the order in which the ledger has them. Since it only grows, what the other registration said is said again
at its end, and with it whatever this one said after the other had begun; so each statement stands behind those that it stood behind.
Then comes each no that its own registration has not taken back and that a yes of the other would undo: a no of either never loses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from policies.acts import Acceptance, Mark, Opposition, outlives
from policies.consent import Answer, ConsentEvent, Level, PolicyAnswer, Precision, QcState, ScopeKind, Status, Withdrawal
from policies.standing import covers
from policies.states import ConsentState, fold

RELIEFS = {Status.RESTRICTED: Status.RESTRICTION_LIFTED, Status.CAPACITY_LOST: Status.CAPACITY_REGAINED}


@dataclass(frozen=True)
class Repeated:
    """One event to be recorded: what it says, and the event whose word it is (``event_id`` and ``seq`` are still that one's).

    ``whole``: all of that event, so that what superseded it supersedes this one; else a no of it, said once more.
    """

    said: ConsentEvent
    whole: bool = True


def to_repeat(stays: Sequence[ConsentEvent], goes: Sequence[ConsentEvent]) -> list[Repeated]:
    """Events to record for the registration that stays, in order, from the histories of both."""
    if not goes:
        return []
    begun = 0 if any(event.rules == 1 for event in goes) else min(event.seq for event in goes)
    united = _in_order([event for one in (goes, stays) for event in _with_what_counts(one) if one is goes or event.seq > begun])
    again = [Repeated(replace(event, precision=Precision.DAY) if event.dated else event) for event in united]
    return [*again, *(Repeated(no, whole=False) for no in (*_noes(stays, goes), *_noes(goes, stays)))]


def _with_what_counts(events: Sequence[ConsentEvent]) -> Iterator[ConsentEvent]:
    """The events without corrections of what is not there, or not before them: in another order these would count."""
    places = {event.event_id: event.seq for event in events}
    for event in events:
        if places.get(event.supersedes, event.seq) < event.seq:
            yield event
        elif event.answers or event.withdrawal or event.status:
            yield replace(event, supersedes="", correction=None)


def _in_order(events: Sequence[ConsentEvent]) -> list[ConsentEvent]:
    """The events as rule set 2, under which they are recorded anew, has to find them: those of rule set 1 first, by legal time, which
    was what decided between them; one that another supersedes not behind that.
    """
    known = sorted(events, key=lambda event: event.seq)
    times = {event.event_id: event.legal_time for event in known}
    for event in reversed(known):
        if event.supersedes in times:
            times[event.supersedes] = min(times[event.supersedes], times[event.event_id])
    old = sorted((event for event in known if event.rules == 1), key=lambda event: (times[event.event_id], event.seq))
    return [*old, *(event for event in known if event.rules > 1)]


def _noes(mine: Sequence[ConsentEvent], other: Sequence[ConsentEvent]) -> Iterator[ConsentEvent]:
    """Refusals that stand in one history and that a yes of the other speaks of, one event for each name."""
    state, theirs = fold(mine), fold(other)
    events = {event.event_id: event for event in mine}
    seen: set[tuple[str, Level]] = set()
    for yes in theirs.acceptances:
        name = yes.answer.policy
        for no in state.oppositions:
            if _speaks_of(no, yes) and (name, no.level) not in seen and not _taken_back(state, no, name):
                seen.add((name, no.level))
                yield _no(events[no.event_id], no, name, state)
    for mark in state.marks:
        if _mark_stands(state, mark) and any(item.status is RELIEFS[mark.status] for item in theirs.marks):
            yield replace(events[mark.event_id], answers=(), withdrawal=None, supersedes="", correction=None)


def _speaks_of(no: Opposition, yes: Acceptance) -> bool:
    """True if an opposing act covers what the acceptance names, or the question that it answers."""
    return covers(no, yes.answer.policy) or (no.scope.kind is ScopeKind.MODULE and no.scope.value == yes.answer.module)


def _taken_back(state: ConsentState, no: Opposition, name: str) -> bool:
    """True if a later yes of the same history, to that name by itself, undoes an opposing act."""
    own = (item for item in state.acceptances if item.answer.policy == name)
    return any(item.answer.explicit and outlives(item, no) for item in own)


def _no(event: ConsentEvent, no: Opposition, name: str, state: ConsentState) -> ConsentEvent:
    """A no to one name, by whoever said it, of its time. A legal time to come counts from its recording, as it did."""
    early = no.legal_time <= no.recorded_at
    cause, loci = Answer(no.cause), dict(state.loci).get(name, ())
    answered = no.level is Level.NO_NEW_USE and cause is not Answer.WITHDRAWN
    scope = name if ":" in name else f"{ScopeKind.POLICY}:{name}"
    return replace(
        event,
        legal_time=no.legal_time if early else no.recorded_at,
        precision=Precision.DAY if no.dated and early else Precision.INSTANT,
        answers=(PolicyAnswer(name, cause, loci=loci),) if answered else (),
        withdrawal=None if answered else Withdrawal(scope, no.level, loci),
        status=None,
        supersedes="",
        correction=None,
        qc=QcState.VALID,
    )


def _mark_stands(state: ConsentState, mark: Mark) -> bool:
    relief = RELIEFS.get(mark.status)
    return relief is not None and not any(item.status is relief and outlives(item, mark) for item in state.marks)
