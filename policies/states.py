"""Consent state: the reduction of one subject's events, independent of the legal time.

A release counts all events up to the ledger's head (a sequence number, never a time). Opposing acts count once recorded, whatever
their legal time; only acceptances wait for theirs. With ``known_at``, a question about the past, both clocks filter
(docs/design/consent.md §2.2, §11).

Between a yes and a no the ledger's order decides first (rule set 2, ``outlives``); events of rule set 1 among themselves keep the
order of their legal times.

Supersession is fail-closed in both directions. An acceptance that any later event supersedes is gone for good; where the later event
opposes something, the acceptance also counts as invalidated from its own legal time, so that no older acceptance takes its place. A
withdrawal, decline or objection is undone only by a later event that passed its quality check, names evidence, opposes nothing
itself and is not superseded in turn: adding a withdrawal therefore never permits anything.

A *correction* says what the superseded event should have been (docs/design/consent.md §4.2): nothing, or its own content, which then
stands in that event's place in the ledger. What opposes in it stands where its legal time puts it. Only such a correction brings back
what a wrong event had superseded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from policies.acts import Acceptance, Mark, Opposition
from policies.consent import (
    OPPOSING,
    RELIEVING,
    Answer,
    ConsentEvent,
    CorrectionKind,
    Level,
    PolicyAnswer,
    Precision,
    QcState,
    Scope,
    Status,
    Withdrawal,
    answer_scope,
    scope,
)
from policies.errors import PolicyInputError
from policies.loci import LocusRule


@dataclass(frozen=True)
class ConsentState:
    """Reduction of the known events of one subject.

    ``head`` is the ledger position up to which events count, None with ``known_at``. ``asked`` holds every policy and scope key that
    the subject was ever asked about, ``unchecked`` those whose acceptance lacks its quality check, ``loci`` the places that each
    ``loci:`` key stands for.
    """

    acceptances: tuple[Acceptance, ...] = ()
    oppositions: tuple[Opposition, ...] = ()
    marks: tuple[Mark, ...] = ()
    asked: frozenset[str] = frozenset()
    unchecked: frozenset[str] = frozenset()
    loci: tuple[tuple[str, tuple[LocusRule, ...]], ...] = ()
    events: tuple[ConsentEvent, ...] = ()
    head: int | None = None
    known_at: datetime | None = None


def fold(events: Iterable[ConsentEvent], *, head: int | None = None, known_at: datetime | None = None) -> ConsentState:
    """Reduce the events of one subject to a state; their order in ``events`` does not matter.

    ``head``: count events up to this ledger position (default: all). ``known_at``: count events recorded by that instant instead,
    for a question about the past.

    Raises:
        PolicyInputError: ``duplicate_event`` for a repeated id or position, ``two_clocks`` for both ``head`` and ``known_at``.
    """
    if head is not None and known_at is not None:
        raise PolicyInputError("two_clocks", "give the ledger head or a time, not both")
    known = sorted(events, key=lambda event: event.seq)
    if len({event.event_id for event in known}) != len(known) or len({event.seq for event in known}) != len(known):
        raise PolicyInputError("duplicate_event", "an event id or ledger position appears twice")
    if head is None and known_at is None:
        head = known[-1].seq if known else 0
    known = [event for event in known if (event.seq <= head if head is not None else _recorded(event, known_at))]
    ledger = _Ledger(_under_rules(known))
    for event in ledger.known:
        ledger.add(event)
    return ConsentState(
        acceptances=tuple(ledger.acceptances),
        oppositions=tuple(ledger.oppositions),
        marks=tuple(ledger.marks),
        asked=frozenset(ledger.asked),
        unchecked=frozenset(ledger.unchecked),
        loci=tuple(sorted((key, tuple(sorted(rules))) for key, rules in ledger.loci.items())),
        events=tuple(known),
        head=head,
        known_at=known_at,
    )


def _recorded(event: ConsentEvent, known_at: datetime | None) -> bool:
    return known_at is not None and event.recorded_at <= known_at


def _under_rules(known: list[ConsentEvent]) -> list[ConsentEvent]:
    """The events, each under the rule set that the ledger had reached: rule set 1 is that of history before an upgrade alone."""
    reached, found = 1, []
    for event in known:
        reached = max(reached, event.rules)
        found.append(event if event.rules == reached else replace(event, rules=reached))
    return found


@dataclass
class _Ledger:
    """Fold in progress: supersession first, then each event in ledger order."""

    known: list[ConsentEvent]
    acceptances: list[Acceptance] = field(default_factory=list)
    oppositions: list[Opposition] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    unchecked: set[str] = field(default_factory=set)
    loci: dict[str, set[LocusRule]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._later: dict[str, list[ConsentEvent]] = {}
        self._places = {event.event_id: event.seq for event in self.known}
        for event in self.known:
            if event.supersedes and self._places.get(event.supersedes, event.seq) < event.seq:
                self._later.setdefault(event.supersedes, []).append(event)
                if event.correction is not None:
                    self._places[event.event_id] = self._places[event.supersedes]
        self._undoing: set[str] = set()
        for event in reversed(self.known):
            if self._undoes(event):
                self._undoing.add(event.event_id)

    def add(self, event: ConsentEvent) -> None:
        later = self._later.get(event.event_id, ())
        replaced = any(one.qc is not QcState.INVALID and not self._voided(one) for one in later)
        undone = any(one.event_id in self._undoing for one in later)
        if event.withdrawal is not None and event.qc is not QcState.INVALID and not undone:
            self._withdraw(event, event.withdrawal)
        for answer in event.answers:
            self._answer(event, answer, replaced=replaced, undone=undone)
        if event.status is not None:
            relieving = event.status in RELIEVING
            stands = event.qc is QcState.VALID and not replaced if relieving else event.qc is not QcState.INVALID and not undone
            if stands:
                self.marks.append(self._mark(event, event.status))

    def _undoes(self, event: ConsentEvent) -> bool:
        """True if an event may undo the opposing one that it supersedes: it is checked and evidenced, opposes nothing unless it says that
        one rightly, and nothing supersedes it but what says it rightly in turn. Later events were looked at before.
        """
        if event.qc is not QcState.VALID or not event.evidence_hash or (event.opposes and event.correction is None):
            return False
        again = self._later.get(event.event_id, ())
        return all(one.correction is CorrectionKind.RESTATED and one.event_id in self._undoing for one in again)

    def _voided(self, event: ConsentEvent) -> bool:
        again = self._later.get(event.event_id, ())
        return any(one.correction is CorrectionKind.VOID and one.event_id in self._undoing for one in again)

    def _mark(self, event: ConsentEvent, status: Status) -> Mark:
        return Mark(
            event.event_id,
            event.seq,
            self._places[event.event_id],
            event.legal_time,
            status,
            event.rules,
            event.dated,
            by_time=self._places[event.event_id] < event.seq,
        )

    def _withdraw(self, event: ConsentEvent, withdrawal: Withdrawal) -> None:
        reach = scope(withdrawal.scope)
        self._name_loci(reach.key, withdrawal.loci)
        self._oppose(event, reach, Answer.WITHDRAWN, withdrawal.level)

    def _answer(self, event: ConsentEvent, answer: PolicyAnswer, *, replaced: bool, undone: bool) -> None:
        reach = answer_scope(answer.policy)
        if answer.answer in OPPOSING:
            if event.qc is not QcState.INVALID and not undone:
                self._name(answer)
                self._oppose(event, reach, answer.answer, Level.NO_NEW_USE)
            return
        if event.qc is QcState.INVALID:
            return
        if replaced:
            self._invalidate(event, answer, reach)
            return
        self._name(answer)
        if answer.answer is Answer.ACCEPTED and event.qc is QcState.VALID:
            self.acceptances.append(_acceptance(event, answer, self._places[event.event_id]))
        elif answer.answer is Answer.ACCEPTED:
            self.unchecked.add(answer.policy)

    def _invalidate(self, event: ConsentEvent, answer: PolicyAnswer, reach: Scope) -> None:
        """Handle an answer that an opposing event supersedes: it stays asked, and an acceptance becomes an invalidation."""
        for later in self._later.get(event.event_id, ()):
            annulled = any(last.event_id in self._undoing for last in self._later.get(later.event_id, ()))
            if later.opposes and later.correction is None and later.qc is not QcState.INVALID and not annulled:
                self._name(answer)
                if answer.answer is Answer.ACCEPTED:
                    self._oppose(_in_place_of(event, later), reach, Answer.INVALIDATED, Level.NO_NEW_USE, in_place=True)

    def _name(self, answer: PolicyAnswer) -> None:
        self.asked.add(answer.policy)
        self._name_loci(answer.policy, answer.loci)

    def _oppose(self, event: ConsentEvent, reach: Scope, cause: Answer, level: Level, *, in_place: bool = False) -> None:
        self.oppositions.append(
            Opposition(
                event_id=event.event_id,
                seq=event.seq,
                place=event.seq if in_place else self._places[event.event_id],
                legal_time=event.legal_time,
                recorded_at=event.recorded_at,
                cause=str(cause),
                scope=reach,
                level=level,
                signer=event.signer,
                signer_ref=event.signer_ref,
                rules=event.rules,
                dated=event.dated,
                in_place=in_place,
                by_time=not in_place and self._places[event.event_id] < event.seq,
            )
        )

    def _name_loci(self, key: str, rules: tuple[LocusRule, ...]) -> None:
        if rules:
            self.loci.setdefault(key, set()).update(rules)


def _in_place_of(event: ConsentEvent, later: ConsentEvent) -> ConsentEvent:
    """The opposing event with the time of the one it supersedes and, under rule set 2, with its place in the ledger."""
    if later.rules == 1:
        return replace(later, legal_time=event.legal_time)
    return replace(
        later, legal_time=event.legal_time, precision=Precision.DAY if event.dated else Precision.INSTANT, seq=event.seq
    )


def _acceptance(event: ConsentEvent, answer: PolicyAnswer, place: int) -> Acceptance:
    return Acceptance(
        event_id=event.event_id,
        seq=event.seq,
        place=place,
        legal_time=event.legal_time,
        answer=answer,
        form=event.form,
        signer=event.signer,
        signer_ref=event.signer_ref,
        lapses_at=event.lapses_at,
        on_majority=event.on_majority,
        valid_from=event.valid_from,
        valid_to=event.valid_to,
        rules=event.rules,
        dated=event.dated,
    )
