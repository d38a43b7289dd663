"""Corrections that wait for another steward: what agrees, who sees them, and how they are taken back."""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta

import pytest

from policies.consent import SignerRole, Status
from tests.support.consent_work import permits
from vault.audit.entry import decode_leaf
from vault.consent import corrections, proposals, recording, work_queue
from vault.consent.corrected_events import Amendment
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import InputError, RefusedError
from vault.operations.recovery import open_recovered
from vault.session import principals

PAPER, OTHER = "ab" * 32, "cd" * 32
BOB = PassphraseFactor.from_text("another horse battery staple")


@pytest.fixture
def wrong(held):
    """A withdrawal of SAMPLE_3 in a vault of two stewards."""
    held.everyone_consents()
    held.project("demo")
    principals.add(held.vault, "bob", Role.STEWARD, BOB, profile=Argon2Profile.TEST_ONLY)
    return recording.withdraw(held.vault, "SAMPLE_3").event_id


@pytest.fixture
def bob(held, wrong):
    with closing(open_recovered(held.folder / "v", factor=BOB, principal="bob", clock=held.clock)) as other:
        yield other


def propose(vault, event, **given):
    return corrections.correct(vault, event, **{"reason": "another Muster", "evidence": PAPER, **given})


def waiting(vault):
    return work_queue.queue(vault).proposals


def test_other_evidence_is_no_agreement_and_is_told_what_differs(held, wrong, bob):
    assert propose(held.vault, wrong).state == "proposed"
    done = propose(bob, wrong, evidence=OTHER, reason="I saw it")
    assert (done.state, done.differs) == ("proposed", {"ann": ("evidence",)})
    assert permits(held) == 11
    assert [one.proposed_by for one in waiting(bob)] == ["ann", "bob"]
    assert propose(bob, wrong, reason="I saw it").state == "corrected"
    assert waiting(bob) == ()


def test_another_kind_is_another_proposal(held, wrong, bob):
    propose(held.vault, wrong)
    done = propose(bob, wrong, amendment=Amendment(at=date(2019, 1, 1)))
    assert (done.state, done.differs) == ("proposed", {"ann": ("kind", "what is said rightly")})


def test_another_name_of_who_signed_is_no_agreement(held, wrong, bob):
    event = recording.history(held.vault, "SAMPLE_1").events[-1].event_id
    no = corrections.correct(held.vault, event, reason="x", amendment=Amendment(answers={"research_use": "no"})).effect.event_id
    yes = {"answers": {"research_use": "yes"}, "signer": SignerRole.GUARDIAN}
    assert propose(held.vault, no, amendment=Amendment(**yes, signed_by="Bea")).state == "proposed"
    assert propose(bob, no, amendment=Amendment(**yes, signed_by="Cid")).state == "proposed"
    assert propose(bob, no, amendment=Amendment(**yes, signed_by="Bea")).state == "corrected"


def test_a_proposal_is_listed_until_it_is_settled_outdated_or_old(held, wrong, bob):
    assert waiting(bob) == ()
    amendment = Amendment(at=date(2019, 1, 1))
    propose(held.vault, wrong, amendment=amendment)
    (one,) = waiting(bob)
    assert (one.event_id, one.proposed_by, one.asked.reason, one.asked.evidence) == (wrong, "ann", "another Muster", PAPER)
    assert (one.asked.amendment, "SAMPLE_3" in one.who) == (amendment, True)
    assert recording.history(bob, "SAMPLE_3").proposals == (one,)
    assert recording.history(bob, "SAMPLE_4").proposals == ()
    held.clock.forward(days=31)
    assert waiting(bob) == ()
    propose(held.vault, wrong, amendment=amendment)
    assert len(waiting(bob)) == 1
    recording.note(bob, "SAMPLE_3", Status.CAPACITY_LOST)
    assert waiting(bob) == ()


def test_who_proposed_takes_it_back_and_nobody_else(held, wrong, bob):
    propose(held.vault, wrong)
    with pytest.raises(InputError) as caught:
        proposals.take_back(bob, wrong, reason="no")
    assert caught.value.code == "not_proposed"
    with pytest.raises(RefusedError) as refused:
        propose(held.vault, wrong)
    assert refused.value.code == "self_confirmation"
    held.clock.now += timedelta(minutes=1)
    proposals.take_back(held.vault, wrong, reason="it was hers")
    assert waiting(bob) == ()
    entries = [(entry.index, decode_leaf(entry.leaf)) for entry in held.vault.trail.log.entries(0)]
    ((index, leaf),) = [one for one in entries if (one[1]["act"], one[1]["outcome"]) == ("consent.correct.take_back", "done")]
    assert leaf["actor"]["id"] == "ann"
    assert held.vault.trail.detail(index)["reason"] == "it was hers"
    assert propose(bob, wrong).state == "proposed"
    with pytest.raises(InputError) as again:
        proposals.take_back(held.vault, wrong, reason="no")
    assert again.value.code == "not_proposed"
    assert held.verified().ok
