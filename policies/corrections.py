"""Corrections of consent events: what one asks for before it is recorded (docs/design/consent.md §4.2).

A correction after which anything may be released that might not be before takes evidence and, where there are several, two stewards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from policies.consent import RELIEVING, ConsentEvent, CorrectionKind, QcState
from policies.standing import Grant, Standing, end_of, standing
from policies.states import ConsentState, fold


def needs_evidence(corrected: ConsentEvent) -> bool:
    """True if correcting the event can take a no out of force: then the correction counts only with evidence."""
    restricts = corrected.status is not None and corrected.status not in RELIEVING
    return corrected.opposes or restricts or bool(corrected.supersedes)


def opens(history: Sequence[ConsentEvent], new: ConsentEvent, *, at: datetime) -> bool:
    """True if, at ``at`` or at any later time, more may be released of the person with the event ``new`` than without it."""
    before, after = fold(history), fold((*history, new))
    moments = {at, *(moment for state in (before, after) for moment in _turns(state) if moment > at)}
    return any(_wider(standing(after, legal_at=moment), standing(before, legal_at=moment)) for moment in moments)


def _turns(state: ConsentState) -> Iterator[datetime]:
    """Every legal time at which the standing can change."""
    for item in state.acceptances:
        limits = [] if item.answer.terms is None else [m for one in item.answer.terms.alternatives for m in one.modifiers]
        ends = [item.lapses_at, *(end_of(item, (modifier,)) for modifier in limits)]
        times = [item.legal_time, item.valid_from, item.valid_to, item.answer.valid_to, *ends]
        yield from (moment for moment in times if moment is not None)
    yield from (mark.legal_time for mark in state.marks)


def _wider(after: Standing, before: Standing) -> bool:
    """True if a standing leaves out less than another, or grants anything that the other does not."""
    lifted = (
        (before.restricted and not after.restricted)
        or (before.deceased and not after.deceased)
        or (before.capacity_lost and not after.capacity_lost)
    )
    excluded = zip((before.purposes, before.recipients, before.mask), (after.purposes, after.recipients, after.mask), strict=True)
    if lifted or any(not set(was).issubset(now) for was, now in excluded):
        return True
    return any(not _within(grant, before.grant(grant.policy)) for grant in after.grants)


def _within(grant: Grant, held: Grant | None) -> bool:
    """True if a grant allows nothing that another does not."""
    if held is None or grant.form != held.form or not set(grant.alternatives).issubset(held.alternatives):
        return False
    return held.data_before is None or (grant.data_before is not None and grant.data_before <= held.data_before)


def corrected_by(history: Sequence[ConsentEvent], event_id: str) -> ConsentEvent | None:
    """The event that took the place of another and was not taken back since, or None."""
    taken_back = {event.supersedes for event in history if event.correction is CorrectionKind.VOID}
    stands = [event for event in history if event.supersedes == event_id and event.qc is not QcState.INVALID]
    return next((event for event in reversed(stands) if event.event_id not in taken_back), None)
