"""An event that says what the last one says, and what is no repetition."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from policies.consent import Answer, ConsentEvent, Level, PolicyAnswer, QcState, SignerRole, Withdrawal
from policies.repetition import repeats

THEN = datetime(2026, 1, 2, tzinfo=UTC)
NOW = THEN + timedelta(days=90)
LAST = ConsentEvent("e1", 1, THEN, THEN, answers=(PolicyAnswer("research_use", Answer.DECLINED),), recorded_by="ann")
AGAIN = replace(LAST, event_id="e2", seq=0, recorded_at=NOW, recorded_by="bob")


def test_the_same_of_the_same_time_is_one():
    assert repeats([LAST], AGAIN, at=NOW)
    assert not repeats([], AGAIN, at=NOW)


@pytest.mark.parametrize(
    "changed",
    [
        {"legal_time": THEN + timedelta(days=1)},
        {"answers": (PolicyAnswer("research_use", Answer.WITHDRAWN),)},
        {"signer": SignerRole.NEXT_OF_KIN},
        {"signer_ref": "2"},
        {"qc": QcState.PENDING},
        {"evidence_hash": "0" * 64},
        {"channel": "phone"},
    ],
)
def test_what_says_anything_else_is_none(changed):
    assert not repeats([LAST], replace(AGAIN, **changed), at=NOW)


def test_nor_is_what_something_else_was_said_after():
    withdrawn = ConsentEvent("e3", 2, THEN, THEN, withdrawal=Withdrawal(level=Level.NO_NEW_USE))
    assert not repeats([LAST, withdrawn], AGAIN, at=NOW)


def test_nor_one_that_has_lapsed():
    ends = replace(LAST, lapses_at=NOW)
    assert not repeats([ends], replace(AGAIN, lapses_at=NOW), at=NOW)
    assert repeats([ends], replace(AGAIN, lapses_at=NOW), at=NOW - timedelta(days=1))
