"""Dates of signatures that a person's life rules out."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from policies.consent import Answer, ConsentEvent, Precision, SignerRole, Status
from policies.errors import PolicyInputError
from policies.signers import LifeDates, require_possible, with_facts
from tests.support.consenting import accept, answer, event, withdraw

BORN = date(2020, 3, 1)
OF_AGE = datetime(2038, 3, 1, tzinfo=UTC)
LIFE = LifeDates(BORN, OF_AGE)


def at(when: str, one: ConsentEvent | None = None, **rest: object) -> ConsentEvent:
    moment = datetime.fromisoformat(when).replace(tzinfo=UTC)
    return replace(one or accept(1), legal_time=moment, recorded_at=datetime(2040, 1, 1, tzinfo=UTC), **rest)


def code(one: ConsentEvent, life: LifeDates = LIFE) -> str:
    try:
        require_possible(one, life, zone=UTC)
    except PolicyInputError as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    ("when", "signer", "expected"),
    [
        ("2038-02-28T23:59:59", SignerRole.SELF, "minor"),
        ("2038-03-01", SignerRole.SELF, ""),
        ("2026-01-01", SignerRole.SELF, "minor"),
        ("2026-01-01", SignerRole.GUARDIAN, ""),
        ("2026-01-01", SignerRole.LEGAL_REP, ""),
        ("2018-01-01", SignerRole.GUARDIAN, "before_birth"),
        ("2018-01-01", SignerRole.SELF, "before_birth"),
        ("2020-03-01", SignerRole.GUARDIAN, ""),
        ("1899-12-30", SignerRole.SELF, "long_ago"),
        ("1904-01-01", SignerRole.SELF, "long_ago"),
    ],
)
def test_a_signature_has_to_be_possible(when, signer, expected):
    assert code(at(when, signer=signer)) == expected


def test_an_unknown_birth_date_rules_out_day_zero_alone():
    assert code(at("1980-01-01"), LifeDates()) == ""
    assert code(at("1899-12-30"), LifeDates()) == "long_ago"


@pytest.mark.parametrize("said", [Answer.DECLINED, Answer.WITHDRAWN, Answer.OBJECTED])
def test_the_no_of_a_child_stands(said):
    assert code(at("2030-01-01", event(1, answer(said)))) == ""
    assert code(at("2030-01-01", withdraw(1))) == ""
    assert code(at("2010-01-01", withdraw(1))) == "before_birth"


def test_who_was_emancipated_signs_for_themselves():
    freed = with_facts(LIFE, (at("2036-01-01", event(1, status=Status.EMANCIPATED)),))
    assert code(at("2036-06-01"), freed) == ""
    assert code(at("2035-06-01"), freed) == "minor"


def test_after_a_death_the_next_of_kin_signs_and_before_it_not():
    death = at("2039-05-05", event(1, status=Status.DECEASED))
    dead = with_facts(LIFE, (death,))
    assert code(at("2039-05-05"), dead) == ""
    assert code(at("2039-05-06"), dead) == "after_death"
    assert code(at("2039-05-06", signer=SignerRole.NEXT_OF_KIN), dead) == ""
    assert code(at("2039-05-04", signer=SignerRole.NEXT_OF_KIN), dead) == "before_death"
    assert code(at("2039-05-06", signer=SignerRole.NEXT_OF_KIN), LifeDates()) == "no_death"
    assert code(at("2039-06-06", withdraw(2)), dead) == ""
    undone = event(3, answer(Answer.NOT_ASKED), supersedes="e1", evidence_hash="ab")
    assert code(at("2039-05-06"), with_facts(LIFE, (death, undone))) == ""


def test_a_death_before_birth_is_none():
    assert code(at("2019-01-01", event(1, status=Status.DECEASED))) == "before_birth"
    assert code(at("2030-01-01", event(1, status=Status.DECEASED))) == ""


def test_a_newborn_s_day_counts_where_it_began_first():
    east = at("2020-02-29", signer=SignerRole.GUARDIAN, precision=Precision.DAY)
    assert code(replace(east, legal_time=east.legal_time + timedelta(hours=20))) == ""
    assert code(replace(east, legal_time=east.legal_time + timedelta(hours=9))) == "before_birth"
