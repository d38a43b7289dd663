"""Consents that end soon, open questions, and the rulings that settle them."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest

from tests.support.consent_work import FORM, disease_project, guardian, permits, sheet
from vault.access import projects, rulings
from vault.consent import recording, work_queue
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import InputError, RefusedError
from vault.operations.recovery import open_recovered
from vault.session import principals

BEA = PassphraseFactor.from_text("passphrase of bea")


def test_what_ends_soon_is_listed_with_its_cause(held, clock):
    recording.import_answers(held.vault, sheet(guardian("SAMPLE_2", "Ada")), FORM)
    answers = {"subject": "SAMPLE_3", "research_use": "any_health", "legal_time": "1996-06-20"}
    recording.import_answers(held.vault, sheet(answers), "disease-research")
    assert work_queue.expiring(held.vault, within=timedelta(days=1)) == []
    found = work_queue.expiring(held.vault, within=timedelta(days=60))
    assert [(due.policy, due.ends.date().isoformat(), due.cause) for due in found] == [
        ("research_use", "2026-06-20", "validity"),
        ("research_use", "2026-07-01", "majority"),
    ]
    clock.forward(days=61)
    assert work_queue.expiring(held.vault, within=timedelta(days=60)) == []


def test_one_stewards_ruling_settles_a_review_and_can_be_taken_back(held):
    held.everyone_consents()
    disease_project(held, controls=True)
    (open_question,) = work_queue.queue(held.vault).waiting
    assert (open_question.reason.about, open_question.people, open_question.by_ruling) == ("controls", 12, True)
    ruling = rulings.rule(held.vault, "lungs", "controls", reason="not contacted")
    assert ruling.confirmed_by == "ann"
    assert "self_approved" in held.entries()[-1]["flags"]
    assert permits(held, "lungs") == 12
    assert work_queue.queue(held.vault).waiting == ()
    rulings.rule(held.vault, "lungs", "controls", reason="reconsidered", allows=False)
    assert permits(held, "lungs") == 0
    assert [(one.allows, one.reason) for one in rulings.list_all(held.vault, "lungs")] == [
        (True, "not contacted"),
        (False, "reconsidered"),
    ]


def test_with_two_stewards_a_ruling_takes_both(held):
    held.everyone_consents()
    disease_project(held, controls=True)
    principals.add(held.vault, "bea", Role.STEWARD, BEA, profile=Argon2Profile.TEST_ONLY)
    assert rulings.rule(held.vault, "lungs", "controls", reason="x").confirmed_by is None
    assert permits(held, "lungs") == 0
    assert [one.item for one in work_queue.queue(held.vault).unconfirmed] == ["controls"]
    with pytest.raises(RefusedError) as caught:
        rulings.rule(held.vault, "lungs", "controls", reason="x")
    assert caught.value.code == "self_confirmation"
    held.vault.close()
    held.vault = open_recovered(held.vault.folder, factor=BEA, principal="bea", clock=held.clock)
    assert rulings.rule(held.vault, "lungs", "controls", reason="y").confirmed_by == "bea"
    assert permits(held, "lungs") == 12


@pytest.mark.parametrize(("item", "reason", "code"), [("colour", "x", "item_unknown"), ("controls", " ", "reason_missing")])
def test_a_ruling_names_a_known_item_and_a_reason(held, item, reason, code):
    held.project("demo")
    with pytest.raises(InputError) as caught:
        rulings.rule(held.vault, "demo", item, reason=reason)
    assert caught.value.code == code


def test_a_ruling_that_was_taken_back_no_longer_waits_for_another_steward(held):
    held.everyone_consents()
    held.project("demo")
    factor = PassphraseFactor.from_text("another horse battery staple")
    principals.add(held.vault, "bob", Role.STEWARD, factor, profile=Argon2Profile.TEST_ONLY)
    rulings.rule(held.vault, "demo", "controls", reason="x")
    assert [ruling.item for ruling in work_queue.queue(held.vault).unconfirmed] == ["controls"]
    rulings.rule(held.vault, "demo", "controls", reason="a mistake", allows=False)
    assert work_queue.queue(held.vault).unconfirmed == ()
    with closing(open_recovered(held.folder / "v", factor=factor, principal="bob", clock=held.clock)) as other:
        assert rulings.rule(other, "demo", "controls", reason="y").confirmed_by is None
    assert projects.load(held.vault, "demo").ruled == ()
