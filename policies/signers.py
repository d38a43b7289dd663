"""Dates of a signature against those of the person's life: what cannot be is refused where it is recorded (docs/design/consent.md §3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from policies.consent import ConsentEvent, SignerRole, Status
from policies.errors import PolicyInputError
from policies.stated_times import latest_day
from policies.states import fold

LONGEST_LIFE = timedelta(days=120 * 366)
"""Nobody who signed longer ago lives; before it lies day zero of every spreadsheet."""

BEFORE_BIRTH = "lies before the person's birth"
AFTER_DEATH = "lies after the person's death: only a next of kin signs then"
BEFORE_DEATH = "lies before the person's death: a next of kin signs after it"
NO_DEATH = (
    "a next of kin signs only for somebody who has died, and no death is recorded: record it first (consent note REF deceased)"
)
LONG_AGO = "lies longer ago than anybody lives: a spreadsheet's day zero?"
MINOR = "the person was a minor then: a guardian signs, or somebody who represents them"


@dataclass(frozen=True)
class LifeDates:
    """Known dates of a person's life. ``of_age``: the instant of majority; ``None``: not known, or not happened."""

    birth: date | None = None
    of_age: datetime | None = None
    died: datetime | None = None
    emancipated: datetime | None = None


def with_facts(life: LifeDates, events: tuple[ConsentEvent, ...]) -> LifeDates:
    """The dates with a death and an emancipation that stand in the person's ledger."""
    if not any(event.status in {Status.DECEASED, Status.EMANCIPATED} for event in events):
        return life
    marks = fold(events).marks
    died = [mark.legal_time for mark in marks if mark.status is Status.DECEASED]
    freed = [mark.legal_time for mark in marks if mark.status is Status.EMANCIPATED]
    return LifeDates(life.birth, life.of_age, min(died, default=None), min(freed, default=None))


def require_possible(event: ConsentEvent, life: LifeDates, *, zone: tzinfo) -> None:
    """Refuse an act that the person's dates rule out; of its signer, only where it accepts. A no of somebody who has died, or of a minor, stands.

    Raises:
        PolicyInputError: ``before_birth``, ``after_death``, ``before_death``, ``long_ago`` (place ``legal_time``); ``minor``, ``no_death``
            (place ``signer``).
    """
    if event.recorded_at - event.legal_time > LONGEST_LIFE:
        raise PolicyInputError("long_ago", LONG_AGO, "legal_time")
    if (
        life.birth is not None and latest_day(event.legal_time) < life.birth
    ):  # as a registration takes a day that has begun anywhere
        raise PolicyInputError("before_birth", BEFORE_BIRTH, "legal_time")
    day = event.legal_time.astimezone(zone).date()
    if not event.accepts:
        return
    kin, died = event.signer is SignerRole.NEXT_OF_KIN, life.died and life.died.astimezone(zone).date()
    if died and day > died and not kin:
        raise PolicyInputError("after_death", AFTER_DEATH, "legal_time")
    if kin and not died:
        raise PolicyInputError("no_death", NO_DEATH, "signer")
    if died and day < died and kin:
        raise PolicyInputError("before_death", BEFORE_DEATH, "legal_time")
    minor = life.of_age is not None and event.legal_time < life.of_age
    freed = life.emancipated is not None and event.legal_time >= life.emancipated
    if event.signer is SignerRole.SELF and minor and not freed:
        raise PolicyInputError("minor", MINOR, "signer")
