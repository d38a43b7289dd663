"""One person's two histories become one: nothing opens that neither opened, and no no is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from policies import reasons
from policies.consent import Answer, ConsentEvent, Level, Status, Withdrawal
from policies.decisions import Decision, decide
from policies.merging import to_repeat
from policies.purposes import Purpose
from policies.standing import Standing, standing
from policies.states import fold
from tests.support.consenting import ONTOLOGY, T0, answer, day
from tests.support.histories import AT, a_purpose, history

seeds = st.integers(0, 2**40).map(Random)
NO = {reasons.WITHDRAWN, reasons.DECLINED, reasons.OBJECTED, reasons.INVALIDATED}
LATER = AT + timedelta(days=900)


def merged(stays: list[ConsentEvent], goes: list[ConsentEvent]) -> list[ConsentEvent]:
    """The history of the registration that stays, as the ledger would have it."""
    last = max((event.seq for event in [*stays, *goes]), default=0)
    ids: dict[str, str] = {}
    added = []
    for at, item in enumerate(to_repeat(stays, goes)):
        said = item.said
        name = f"m{at}"
        moved = replace(
            said, event_id=name, seq=last + 1 + at, recorded_at=AT, rules=2, supersedes=ids.get(said.supersedes, said.supersedes)
        )
        ids |= {said.event_id: name} if item.whole else {}
        added.append(moved)
    return [*stays, *added]


def two(random: Random) -> tuple[list[ConsentEvent], list[ConsentEvent]]:
    """Two histories that lie in one ledger, each in its own order."""
    both = history(random), history(random)
    places = random.sample([0] * len(both[0]) + [1] * len(both[1]), len(both[0]) + len(both[1]))
    seqs = [[at + 1 for at, whose in enumerate(places) if whose == which] for which in (0, 1)]
    made = []
    for prefix, events, numbers in zip("kg", both, seqs, strict=True):
        named = [
            replace(e, event_id=f"{prefix}{e.seq}", supersedes=e.supersedes.replace("e", prefix), seq=at)
            for e, at in zip(events, numbers, strict=True)
        ]
        made.append(named)
    reached, found = 1, dict[str, ConsentEvent]()
    for event in sorted(
        [*made[0], *made[1]], key=lambda event: event.seq
    ):  # rule set 1 is of before an upgrade of the whole ledger
        reached = max(reached, event.rules)
        found[event.event_id] = replace(event, rules=reached)
    return [found[e.event_id] for e in made[0]], [found[e.event_id] for e in made[1]]


def decided(events: list[ConsentEvent], what: Purpose) -> Decision:
    return decide(fold(events), what, legal_at=AT, ontology=ONTOLOGY)


def at(events: list[ConsentEvent], when=AT) -> Standing:
    return standing(fold(events), legal_at=when)


@settings(max_examples=500)
@given(seeds)
def test_what_neither_permitted_is_not_permitted(random):
    stays, goes = two(random)
    what = a_purpose(random)
    if decided(merged(stays, goes), what).permitted:
        assert decided(stays, what).permitted or decided(goes, what).permitted


@settings(max_examples=500)
@given(seeds)
def test_a_no_of_either_never_loses(random):
    stays, goes = two(random)
    found = at(merged(stays, goes), LATER)
    for own in (stays, goes):
        alone, state = at(own, LATER), fold(own)
        ended = {item.answer.policy for item in state.acceptances}  # a yes that took a no back is over: not a no
        for name, why in alone.refused:
            if why in NO and name not in ended:
                assert found.grant(name) is None
        assert set(alone.mask) <= set(found.mask)
        assert found.restricted >= alone.restricted
        assert found.deceased >= alone.deceased


@settings(max_examples=400)
@given(seeds)
def test_a_registration_that_said_nothing_changes_nothing(random):
    stays, _ = two(random)
    assert merged(stays, []) == stays
    later = [replace(event, rules=2) for event in stays]
    assert at(merged([], later)) == at(later)


def said(seq: int, **fields) -> ConsentEvent:
    return ConsentEvent(f"e{seq}", seq, day(fields.pop("on", seq)), day(seq), rules=2, **fields)


def yes(seq: int, terms: str = "GRU", **fields) -> ConsentEvent:
    return said(seq, answers=(answer(Answer.ACCEPTED, terms),), **fields)


def granted(events: list[ConsentEvent]) -> str | None:
    found = at(events).grant("research_use")
    return None if found is None else found.alternatives[0].permission


def test_a_yes_elsewhere_does_not_undo_a_withdrawal():
    withdrew = [yes(1), said(2, withdrawal=Withdrawal())]
    accepts = [yes(3)]
    assert granted(merged(withdrew, accepts)) is None
    assert granted(merged(accepts, withdrew)) is None


def test_a_new_yes_after_the_merge_does():
    events = merged([yes(1)], [said(2, withdrawal=Withdrawal("policy:research_use"))])
    assert granted(events) is None
    assert granted([*events, yes(50, on=20)]) == "GRU"


def test_what_was_taken_back_stays_taken_back():
    again = [yes(1), said(2, withdrawal=Withdrawal()), yes(4)]
    assert granted(merged(again, [yes(3)])) == "GRU"
    assert granted(merged([yes(3)], again)) == "GRU"


def test_of_two_acceptances_the_later_ones_terms_count():
    assert granted(merged([yes(1), yes(4, "HMB")], [said(2, withdrawal=Withdrawal()), yes(3)])) == "HMB"
    assert granted(merged([said(2, withdrawal=Withdrawal()), yes(3)], [yes(1), yes(4, "HMB")])) == "HMB"


def test_no_new_data_of_either_cuts_the_others_grant():
    stops = [yes(1), said(2, withdrawal=Withdrawal("policy:research_use", Level.NO_NEW_DATA))]
    for events in (merged(stops, [yes(3)]), merged([yes(3)], stops)):
        grant = at(events).grant("research_use")
        assert grant is not None
        assert grant.data_before == day(2)


def test_lost_capacity_is_not_regained_elsewhere():
    lost, regained = said(1, status=Status.CAPACITY_LOST), said(2, status=Status.CAPACITY_REGAINED)
    assert at(merged([lost], [regained])).capacity_lost
    assert at(merged([regained], [lost])).capacity_lost
    assert T0 < AT
