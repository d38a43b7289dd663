"""Times of the consent ledger that doctor names: clocks that were wrong, and dates that a person's own dates rule out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import select

from policies import signers
from policies.acts import Act
from policies.consent import ConsentEvent
from policies.errors import PolicyInputError
from policies.states import fold
from vault.access import reference_data
from vault.consent import ledger
from vault.consent.form_responses import life_dates
from vault.consent.ledger import Ledger
from vault.consent.ledger_columns import CLOCK_BEHIND, Columns, Ints
from vault.ids import SubjectId
from vault.session.moments import CLOCK_SLACK
from vault.session.time_zone import zone_of
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import SubjectRow
from vault.storage.timestamps import from_micros, rfc3339
from vault.subjects.identities import open_identities
from vault.subjects.references import ReferenceIndex

REMEDY = "set the clock; where the ledger's own time is wrong, consent record --clock-checked"
LOOK = "a clock was behind or was set back: look at what was recorded then"
MOST = 20  # steps back, or people, that are named one by one
AT_ONCE = 10_000  # identities opened together
_SLACK, _LONGEST = (span // timedelta(microseconds=1) for span in (CLOCK_SLACK, signers.LONGEST_LIFE))  # µs


def odd_times(book: Ledger, now: datetime) -> Iterator[str]:
    """Recorded times that go back, that a clock behind the ledger left, and a last one that lies in the future."""
    recorded = book.columns.recorded_at
    back = np.flatnonzero(recorded[:-1] - recorded[1:] > _SLACK)
    for at in back[:MOST].tolist():
        later, earlier = (rfc3339(from_micros(int(recorded[place]))) for place in (at, at + 1))
        yield f"event {at + 2} of the consent ledger was recorded at {earlier}, earlier than {later} before it"
    if len(back) > MOST:
        yield f"times of the consent ledger go backwards in {len(back) - MOST} further places"
    behind = int(np.count_nonzero(book.columns.flags & CLOCK_BEHIND))
    if behind:
        yield f"{behind} events were recorded while the clock was behind the consent ledger, and have its time"
    if len(recorded) and from_micros(int(recorded[-1])) - now > CLOCK_SLACK:
        yield f"the last event of the consent ledger is of {rfc3339(from_micros(int(recorded[-1])))}, and this machine's clock is behind it"


def impossible_dates(vault: UnlockedVault) -> Iterator[str]:
    """Acts that stand and that the person's dates rule out, by handle and event."""
    zone, named = zone_of(vault), 0
    with vault.books.read() as tx:
        book, ages = ledger.read(tx, vault), reference_data.majority(tx)
        live = [SubjectId(s) for s in tx.scalars(select(SubjectRow.subject_id).where(SubjectRow.state == "active"))]
    columns, index = book.columns, ReferenceIndex(vault)
    bounds = np.searchsorted(columns.subject[columns.order], np.arange(len(columns.ids) + 1))
    for first in range(0, len(live), AT_ONCE):
        for subject, identity in open_identities(vault, live[first : first + AT_ONCE]).items():
            number = int(columns.numbers([subject])[0])
            places = columns.order[bounds[number] : bounds[number + 1]]  # none for -1
            if number < 0 or not (identity.birth_date or _odd(columns, places)):
                continue
            events = tuple(columns.event(int(at)) for at in places)
            life = signers.with_facts(life_dates(identity, ages, zone), events)
            for event in _standing(events):
                try:
                    signers.require_possible(event, life, zone=zone)
                except PolicyInputError as error:
                    named += 1
                    if named <= MOST:
                        yield f"{index.handle(subject)}: event {event.event_id}: {error.place} {error.message}"
    if named > MOST:
        yield f"{named - MOST} further acts have a date that cannot be"


def _odd(columns: Columns, places: Ints) -> bool:
    """True if events say more than a birth date could: a fact such as a death, or a time of long ago."""
    spans = columns.recorded_at[places] - columns.legal_time[places]
    if spans.max() > _LONGEST:
        return True
    return any(columns.statements.pattern(int(one)).status is not None for one in columns.statement_ids[places])


def _standing(events: tuple[ConsentEvent, ...]) -> list[ConsentEvent]:
    """The events that still count for something: what was corrected is no fault any more."""
    state = fold(events)
    acts: tuple[Act, ...] = (*state.acceptances, *state.oppositions, *state.marks)
    counting = {act.event_id for act in acts}
    return [event for event in events if event.event_id in counting]
