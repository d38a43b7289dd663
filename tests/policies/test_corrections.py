"""Corrections of consent events: what they undo, where they stand, and what they ask for (docs/design/consent.md §4.2)."""

from dataclasses import replace

import pytest

from policies.consent import Answer, ConsentEvent, CorrectionKind, Status
from policies.corrections import corrected_by, needs_evidence, opens
from policies.errors import PolicyInputError
from policies.records import dump_event, parse_event
from tests.support.consenting import NOW, accept, answer, ask, day, event, why, withdraw

VOID, RESTATED = CorrectionKind.VOID, CorrectionKind.RESTATED


def void(seq, wrong, **rest):
    return event(seq, legal=90, supersedes=wrong, correction=VOID, rules=2, **rest)


def rightly(one, seq, **rest):
    changed = {"evidence_hash": "ab", "rules": 2, **rest}
    return replace(one, event_id=f"e{seq}", seq=seq, supersedes=one.event_id, correction=RESTATED, **changed)


def now(*events):
    return [replace(one, rules=2) for one in events]


@pytest.mark.parametrize(
    "wrong",
    [
        withdraw(2, legal=5),
        event(2, answer(Answer.DECLINED)),
        event(2, status=Status.DECEASED),
        event(2, status=Status.RESTRICTED),
    ],
)
def test_a_no_that_was_never_said_is_undone_with_evidence_alone(wrong):
    events = now(accept(1), wrong)
    assert needs_evidence(wrong)
    assert not ask([*events, void(3, "e2")]).permitted
    assert ask([*events, void(3, "e2", evidence_hash="ab")]).permitted
    assert opens(events, void(3, "e2", evidence_hash="ab"), at=NOW)


def test_a_yes_that_was_never_said_is_gone_and_what_stood_before_it_stands_again():
    events = now(accept(1, "GRU"), accept(2, "POA", legal=5))
    assert not ask(events).permitted
    taken_back = void(3, "e2")
    assert ask([*events, taken_back]).permitted
    assert opens(events, taken_back, at=NOW)
    assert not opens(events[1:], taken_back, at=NOW)


def test_a_late_withdrawal_is_put_where_its_date_belongs():
    events = now(accept(1, legal=50), withdraw(2, legal=5))
    assert why(ask(events)) == ("deny", "withdrawn")
    assert ask([*events, rightly(events[1], 3)]).permitted
    assert not ask([*events, rightly(events[1], 3, legal_time=day(60))]).permitted
    assert not ask(
        [*now(accept(1, legal=4), withdraw(2, legal=60)), rightly(withdraw(2, legal=60), 3, legal_time=day(5))]
    ).permitted


def test_a_yes_that_is_said_rightly_stays_in_its_place_and_undoes_no_later_no():
    events = now(accept(1), withdraw(2, legal=5))
    assert why(ask([*events, rightly(events[0], 3, legal_time=day(50))])) == ("deny", "withdrawn")
    assert not opens(events, rightly(events[0], 3, legal_time=day(50)), at=NOW)


def test_a_yes_whose_date_was_in_the_future_counts_once_it_is_said_rightly():
    events = now(accept(1, legal=5_000))
    assert not ask(events).permitted
    rewritten = rightly(events[0], 2, legal_time=day(1))
    assert ask([*events, rewritten]).permitted
    assert opens(events, rewritten, at=NOW)


def test_an_answer_that_is_said_rightly_speaks_alone():
    wrong = replace(event(1, answer(Answer.ACCEPTED, "GRU"), answer(Answer.ACCEPTED, policy="matching")), rules=2)
    right = rightly(wrong, 2, answers=(wrong.answers[0], answer(Answer.DECLINED, policy="matching")))
    assert ask([wrong, right]).permitted
    assert not opens([wrong], right, at=NOW)


def test_a_correction_is_corrected_in_turn():
    events = now(accept(1, legal=50), withdraw(2, legal=5))
    first = rightly(events[1], 3, legal_time=day(60))
    again = rightly(first, 4, legal_time=day(5))
    assert why(ask([*events, first])) == ("deny", "withdrawn")
    assert ask([*events, first, again]).permitted
    assert why(ask([*events, first, again, void(5, "e4", evidence_hash="ab")])) == ("deny", "withdrawn")
    gone = void(3, "e1")
    assert not ask([events[0], gone]).permitted
    assert ask([events[0], gone, void(4, "e3", evidence_hash="ab")]).permitted
    assert not ask([events[0], gone, void(4, "e3")]).permitted


def test_the_newest_correction_that_stands_is_known():
    events = now(accept(1), withdraw(2))
    first = rightly(events[1], 3)
    assert corrected_by(events, "e2") is None
    assert corrected_by([*events, first], "e2") == first
    assert corrected_by([*events, first, void(4, "e3", evidence_hash="ab")], "e2") is None


def test_what_opens_is_told_by_anything_more_that_may_be_released_at_any_time():
    limited = now(accept(1, valid_to=day(600)))
    assert opens(limited, rightly(limited[0], 2, valid_to=day(700)), at=NOW)
    assert not opens(limited, rightly(limited[0], 2, valid_to=day(550)), at=NOW)
    excluded = now(accept(1), event(2, answer(Answer.DECLINED, policy="purpose:commercial")))
    assert opens(excluded, void(3, "e2", evidence_hash="ab"), at=NOW)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConsentEvent("e", 1, day(0), day(0), correction=VOID),
        lambda: replace(void(2, "e1"), status=Status.DECEASED),
        lambda: event(2, supersedes="e1", correction=RESTATED),
    ],
)
def test_a_correction_names_an_event_and_says_something_only_to_say_it_rightly(make):
    with pytest.raises(PolicyInputError):
        make()


def test_a_correction_survives_its_stored_text_and_may_open():
    for one in (void(2, "e1"), rightly(withdraw(1), 2)):
        assert parse_event(dump_event(one)) == one
        assert one.opens
