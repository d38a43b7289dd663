"""Acts of consent that stand, and which of two that disagree decides (docs/design/consent.md §4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from policies.consent import FormRef, Level, OnMajority, PolicyAnswer, Scope, SignerRole, Status

INSTANT = timedelta(microseconds=1)
WHOLE_DAY = timedelta(days=1)
SHORTEST_DAY = timedelta(hours=23)
"""Distance of two consecutive dates where the clocks go forward between them."""


@dataclass(frozen=True)
class Acceptance:
    """One acceptance that survived supersession and its quality check.

    ``place``: its place in the ledger's order, of every act: ``seq``, or that of the event that it corrects.
    """

    event_id: str
    seq: int
    place: int
    legal_time: datetime
    answer: PolicyAnswer
    form: FormRef | None
    signer: SignerRole
    signer_ref: str
    lapses_at: datetime | None
    on_majority: OnMajority
    valid_from: datetime | None
    valid_to: datetime | None
    rules: int = 1
    dated: bool = True  # the legal time may stand for a whole day

    @property
    def lapse(self) -> datetime | None:
        """Lapse of a guardian's signature; None for any other, and where the form lets it continue."""
        lapses = self.signer is SignerRole.GUARDIAN and self.on_majority is OnMajority.LAPSE
        return self.lapses_at if lapses else None


@dataclass(frozen=True)
class Opposition:
    """One withdrawal, decline, objection or invalidation in force. ``cause`` is a reason code.

    ``in_place``: it stands where the acceptance stood that it invalidates, not where it was recorded. ``by_time``: it stands where its
    legal time puts it.
    """

    event_id: str
    seq: int
    place: int
    legal_time: datetime
    recorded_at: datetime
    cause: str
    scope: Scope
    level: Level
    signer: SignerRole
    signer_ref: str
    rules: int = 1
    dated: bool = True
    in_place: bool = False
    by_time: bool = False


@dataclass(frozen=True)
class Mark:
    """One status in force."""

    event_id: str
    seq: int
    place: int
    legal_time: datetime
    status: Status
    rules: int = 1
    dated: bool = True
    by_time: bool = False


Act = Acceptance | Opposition | Mark


def outlives(yes: Acceptance | Mark, no: Opposition | Mark) -> bool:
    """True if an opening act undoes an opposing one, as far as ledger order and legal time go (docs/design/consent.md §4, §4.2).

    Rule set 2, as soon as either act was recorded under it: later in the ledger, and legally later, by a day where either is a date
    only. Rule set 1: legally later.
    """
    if max(yes.rules, no.rules) == 1:
        return yes.legal_time > no.legal_time
    return (no.by_time or yes.place > no.place) and yes.legal_time - no.legal_time >= _least(yes, no)


def overtaken(yes: Acceptance, no: Opposition) -> bool:
    """True if an opposing act beats an opening one by its later place in the ledger alone (rule set 2).

    One that stands in the place of an older acceptance does not: it beats too, but nothing comes into the place of what it beats. One
    that stands where its legal time puts it has no later place.
    """
    return max(yes.rules, no.rules) > 1 and yes.place <= no.place and not no.in_place and not no.by_time


def _least(yes: Act, no: Act) -> timedelta:
    if yes.dated and no.dated:
        return SHORTEST_DAY
    return WHOLE_DAY if yes.dated or no.dated else INSTANT
