"""Decisions on linked sites: which one serves a cohort, and what becomes of them when somebody is erased or a row is edited."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from policies.disclosure.view_profiles import Linkage
from policies.loci import Interval
from tests.support import vaults
from tests.support.held import Held
from vault.access.disclosure import linkage_decisions
from vault.access.disclosure.linkage_decisions import LinkageDecision
from vault.errors import IntegrityError
from vault.ids import DatasetId, SubjectId
from vault.operations import doctor
from vault.storage.disclosure_tables import LinkageDecisionRow

DATASET = DatasetId(b"d" * 16)
PLACE, RULES = Interval("22", 100, 200), Linkage(20, 1_000, 21)
SITE, OTHER = Interval("22", 500, 501), Interval("22", 700, 701)


def people(first, last, calls=b"before"):
    return {SubjectId(number.to_bytes(16, "big")): calls.ljust(8) for number in range(first, last)}


def decision(calls, linked=(SITE,), made=1, **said):
    fields = {"dataset_id": DATASET, "made": made, "place": PLACE, "linkage": RULES, "calls": calls, "linked": linked}
    return LinkageDecision(**{**fields, **said})


@pytest.fixture
def held(tmp_path):
    held = Held.make(tmp_path)
    yield held
    held.vault.close()


def code_of(act):
    with pytest.raises(IntegrityError) as refused:
        act()
    return refused.value.code


def kept(held, one):
    with held.vault.books.write() as tx:
        return linkage_decisions.keep(held.vault, tx, one)


def known(held):
    with held.vault.books.read() as tx:
        return linkage_decisions.of_dataset(held.vault, tx, DATASET)


@pytest.mark.parametrize(
    ("calls", "serves"),
    [
        (people(0, 50), True),
        (people(0, 30), True),
        (people(0, 29), False),
        (people(0, 70), True),
        (people(0, 71), False),
        (people(10, 60), True),
        (people(11, 61), False),
        (people(0, 40) | people(40, 50, b"moved"), True),
        (people(0, 29) | people(29, 50, b"moved"), False),
    ],
)
def test_it_serves_who_differs_by_twenty_or_fewer(calls, serves):
    assert decision(people(0, 50)).serves(calls) == serves


def test_the_erased_count_among_those_who_left():
    one = decision(people(0, 40), gone=10)
    assert one.serves(people(0, 30))
    assert not one.serves(people(0, 29))


def test_the_first_one_that_serves_is_kept_and_given_back(held):
    first = kept(held, decision(people(0, 50)))
    assert kept(held, decision(people(0, 45), linked=(), made=2)) == first
    assert known(held) == (first,)
    far = kept(held, decision(people(0, 20), linked=(), made=3))
    assert linkage_decisions.serving(known(held), PLACE, RULES, people(0, 35)) == first
    assert linkage_decisions.serving(known(held), PLACE, RULES, people(0, 22)) == far
    assert linkage_decisions.serving(known(held), PLACE, Linkage(30, 1_000, 21), people(0, 50)) is None
    assert linkage_decisions.serving(known(held), SITE, RULES, people(0, 50)) is None


def test_what_was_hidden_stays_hidden_when_calls_alone_moved(held):
    kept(held, decision(people(0, 50)))
    assert kept(held, decision(people(0, 50, b"moved"), linked=(OTHER,), made=2)).linked == (SITE, OTHER)


def test_an_erased_person_leaves_the_people_and_is_counted(held):
    first = kept(held, decision(people(0, 50)))
    (person,) = people(7, 8)
    with held.vault.books.write() as tx:
        linkage_decisions.forget(held.vault, tx, person)
    (left,) = known(held)
    assert (left.gone, left.linked) == (1, first.linked)
    assert left.calls.keys() == first.calls.keys() - {person}


def test_an_edited_decision_is_refused_and_found(held, tmp_path):
    kept(held, decision(people(0, 50)))
    with held.vault.books.write() as tx:  # as a signature alone would let it pass
        tx.execute(update(LinkageDecisionRow).values(gone=1))
    assert code_of(lambda: known(held)) == "linkage_decision_altered"
    assert "linkage_decision_altered" in {finding.code for finding in doctor.examine(held.vault).findings}
    vaults.sql(tmp_path / "v" / "books.db", "DELETE FROM linkage_decision")
    assert code_of(lambda: known(held)) == "collection_altered"
