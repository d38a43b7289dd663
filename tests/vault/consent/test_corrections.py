"""Corrections of recorded consent: who may give them, what they ask for, and what they leave."""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta

import pytest

from policies.consent import CorrectionKind, QcState, SignerRole, Status
from tests.support.consent_work import FORM, START, permits, sheet
from vault.audit.entry import decode_leaf
from vault.consent import corrections, explanations, recording, subject_export
from vault.consent.corrected_events import Amendment
from vault.consent.signatures import Signature
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import InputError, RefusedError
from vault.operations import doctor
from vault.operations.health import Severity
from vault.operations.recovery import open_recovered
from vault.session import principals

PAPER = "ab" * 32
BOB = PassphraseFactor.from_text("another horse battery staple")


@pytest.fixture
def asked(held):
    held.everyone_consents()
    held.project("demo")
    return held


def correct(held, event, **given):
    return corrections.correct(held.vault, event, **{"reason": "another person's letter", "evidence": PAPER, **given})


def refused(held, code, event, **given):
    with pytest.raises((InputError, RefusedError)) as caught:
        correct(held, event, **given)
    assert caught.value.code == code


def acts(held):
    return [decode_leaf(entry.leaf)["act"] for entry in held.vault.trail.log.entries(0)]


def test_a_withdrawal_of_another_person_is_taken_back_and_stays_in_the_history(asked):
    wrong = recording.withdraw(asked.vault, "SAMPLE_3").event_id
    assert permits(asked) == 11
    done = correct(asked, wrong)
    assert (done.state, done.kind, done.allowed) == ("corrected", CorrectionKind.VOID, ("research_use",))
    assert permits(asked) == 12
    shown = recording.history(asked.vault, "SAMPLE_3")
    assert [event.supersedes for event in shown.events] == ["", "", wrong]
    assert shown.private[done.effect.event_id]["reason"] == "another person's letter"
    assert shown.events[-1].recorded_by == "ann"
    assert acts(asked).count("consent.correct") == 1


def test_without_a_reason_evidence_or_such_an_event_it_is_refused_and_changes_nothing(asked):
    wrong = recording.withdraw(asked.vault, "SAMPLE_3").event_id
    size = len(recording.history(asked.vault, "SAMPLE_3").events)
    refused(asked, "reason_missing", wrong, reason="  ")
    refused(asked, "evidence_missing", wrong, evidence="")
    refused(asked, "bad_evidence", wrong, evidence="/nowhere")
    refused(asked, "event_unknown", "no-such-event")
    refused(asked, "event_unknown", "ö")
    refused(asked, "record_rejected", wrong, amendment=Amendment(answers={"research_use": "no"}))
    assert len(recording.history(asked.vault, "SAMPLE_3").events) == size
    assert permits(asked) == 11


def test_what_was_corrected_is_corrected_by_its_correction(asked):
    wrong = recording.note(asked.vault, "SAMPLE_3", Status.DECEASED).event.event_id
    first = correct(asked, wrong).effect.event_id
    refused(asked, "event_corrected", wrong)
    assert permits(asked) == 12
    correct(asked, first, reason="she has died after all")
    assert permits(asked) == 11
    refused(asked, "nothing_said", correct(asked, wrong).effect.event_id, amendment=Amendment(at=date(2026, 1, 1)))


def test_two_stewards_revive_a_consent_together(asked):
    principals.add(asked.vault, "bob", Role.STEWARD, BOB, profile=Argon2Profile.TEST_ONLY)
    wrong = recording.withdraw(asked.vault, "SAMPLE_3").event_id
    first = correct(asked, wrong)
    assert (first.state, first.takes_two, first.effect) == ("proposed", True, None)
    assert permits(asked) == 11
    refused(asked, "self_confirmation", wrong)
    with closing(open_recovered(asked.folder / "v", factor=BOB, principal="bob", clock=asked.clock)) as other:
        done = corrections.correct(other, wrong, reason="I saw the letter", evidence=PAPER)
    assert done.state == "corrected"
    assert permits(asked) == 12
    private = recording.history(asked.vault, "SAMPLE_3").private[done.effect.event_id]
    assert (private["proposed_by"], private["reason"]) == ("ann", "I saw the letter")
    assert private["proposed_reason"] == "another person's letter"
    assert acts(asked).count("consent.correct.propose") == 1


def test_a_proposal_does_not_hold_for_another_correction_or_a_later_history(asked):
    principals.add(asked.vault, "bob", Role.STEWARD, BOB, profile=Argon2Profile.TEST_ONLY)
    wrong = recording.withdraw(asked.vault, "SAMPLE_3").event_id
    correct(asked, wrong)
    with closing(open_recovered(asked.folder / "v", factor=BOB, principal="bob", clock=asked.clock)) as other:
        dated = Amendment(at=date(2019, 1, 1))
        assert corrections.correct(other, wrong, reason="x", evidence=PAPER, amendment=dated).state == "proposed"
        recording.note(other, "SAMPLE_3", Status.CAPACITY_LOST)
        assert corrections.correct(other, wrong, reason="x", evidence=PAPER).state == "proposed"
    assert permits(asked) == 11


def test_what_opens_nothing_takes_one_steward_and_no_paper(asked):
    principals.add(asked.vault, "bob", Role.STEWARD, BOB, profile=Argon2Profile.TEST_ONLY)
    yes = recording.history(asked.vault, "SAMPLE_3").events[0].event_id
    done = correct(asked, yes, evidence="")
    assert (done.state, done.allowed, done.effect.ended) == ("corrected", (), ("research_use",))
    assert done.effect.projects == ("demo",)
    assert permits(asked) == 11


def test_a_wrong_answer_is_said_rightly_and_the_others_stay(asked):
    yes = recording.history(asked.vault, "SAMPLE_3").events[0].event_id
    done = correct(asked, yes, amendment=Amendment(answers={"research_use": "no"}), evidence="")
    shown = recording.history(asked.vault, "SAMPLE_3")
    said = {answer.policy: str(answer.answer) for answer in shown.events[-1].answers}
    before = {answer.policy: str(answer.answer) for answer in shown.events[0].answers}
    assert said == {**before, "research_use": "declined"}
    assert done.effect.ended == ("research_use",)
    again = correct(asked, done.effect.event_id, amendment=Amendment(answers={"research_use": "yes"}))
    assert again.allowed == ("research_use",)
    assert permits(asked) == 12


def test_a_late_withdrawal_is_put_in_its_place_and_a_later_one_wins_all_the_same(asked, clock):
    late = recording.withdraw(asked.vault, "SAMPLE_3", signature=Signature(at=date(2019, 5, 2))).event_id
    assert permits(asked) == 11
    placed = correct(asked, late, amendment=Amendment(at=date(2019, 5, 2)))
    assert permits(asked) == 12
    clock.forward(days=1)
    recording.withdraw(asked.vault, "SAMPLE_3")
    yes = recording.history(asked.vault, "SAMPLE_3").events[0].event_id
    correct(asked, yes, amendment=Amendment(at=clock.now))
    assert permits(asked) == 11
    assert placed.effect.event_id in explanations.explain(asked.vault, "SAMPLE_3", "demo").decision.explain()


def test_a_pending_paper_that_passed_its_check_counts(held):
    held.project("demo")
    pending = Signature(qc=QcState.PENDING)
    event = recording.record(held.vault, "SAMPLE_3", FORM, {"research_use": "yes"}, signature=pending).event.event_id
    assert permits(held) == 0
    correct(held, event, amendment=Amendment(checked=True))
    assert permits(held) == 1


def test_a_guardians_signature_that_was_taken_for_the_childs(held):
    row = {"subject": "SAMPLE_1", "research_use": "yes", "signer": "guardian", "signed_by": "Ada"}
    recording.import_answers(held.vault, sheet(row), FORM)
    event = recording.history(held.vault, "SAMPLE_1").events[0]
    refused(held, "bad_signer", event.event_id, amendment=Amendment(signer=SignerRole.SELF))
    done = correct(held, event.event_id, amendment=Amendment(signed_by="Bea"))
    said = recording.history(held.vault, "SAMPLE_1")
    assert said.events[-1].lapses_at == event.lapses_at
    assert said.private[done.effect.event_id]["signed_by"] == "Bea"


def test_an_event_of_a_clock_that_ran_ahead_is_mended(asked, clock):
    clock.forward(days=2_000)
    ahead = recording.record(asked.vault, "SAMPLE_3", FORM, {"research_use": "no"}).event
    clock.now = START + timedelta(hours=1)
    with pytest.raises(Exception, match="clock"):
        correct(asked, ahead.event_id, amendment=Amendment(at=START))
    correct(asked, ahead.event_id, amendment=Amendment(at=START), clock_checked=True)
    newest = recording.history(asked.vault, "SAMPLE_3").events[-1]
    assert newest.recorded_at <= clock.now
    recording.record(asked.vault, "SAMPLE_4", FORM, {"research_use": "yes"})


def test_a_corrected_ledger_verifies_and_is_in_the_persons_own_copy(asked):
    wrong = recording.withdraw(asked.vault, "SAMPLE_3").event_id
    done = correct(asked, wrong)
    assert not [found.code for found in doctor.examine(asked.vault).findings if found.severity is Severity.ERROR]
    assert asked.verified().ok
    page = subject_export.export(asked.vault, "SAMPLE_3", asked.folder / "copy")
    assert done.effect.event_id in str(page)
    assert "This takes back what was recorded on 1 June 2026." in (asked.folder / "copy" / "dossier.html").read_text()
