"""Sheets of answers and single records: refused with every fault, or recorded whole."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from policies.consent import SignerRole
from tests.support.consent_work import FORM, guardian, permits, refused, sheet
from vault.consent import recording
from vault.consent.signatures import Signature
from vault.errors import InputError


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ({"subject": "SAMPLE_99"}, "subject"),
        ({"research_use": "maybe"}, "research_use"),
        ({"research_use": ""}, "research_use"),
        ({"legal_time": "2026-01-01T09:00:00"}, "legal_time"),
        ({"legal_time": "2027-01-01"}, "legal_time"),
        ({"signer": "aunt"}, "signer"),
        ({"signer": "guardian"}, "signer"),  # SAMPLE_3 has no birth date
        ({"evidence": "no-such-file"}, "evidence"),
        ({"qc": "invalid"}, "qc"),
    ],
)
def test_a_bad_field_refuses_the_sheet(held, row, column):
    good = {"subject": "SAMPLE_4", "research_use": "yes"}
    assert refused(held, good, {"subject": "SAMPLE_3", "research_use": "yes", **row}) == [(3, column)]


def test_an_unknown_question_form_or_version_refuses_the_sheet(held):
    assert refused(held, {"subject": "SAMPLE_3", "research_use": "yes", "colour": "blue"}) == [(1, "")]
    for name in ("nope", f"{FORM}@9"):
        with pytest.raises(InputError) as caught:
            recording.import_answers(held.vault, sheet({"subject": "SAMPLE_3", "research_use": "yes"}), name)
        assert caught.value.code == "form_unknown"


def test_a_sheet_brings_nobody_back_who_withdrew(held):
    held.answer({"SAMPLE_3": "yes"})
    recording.withdraw(held.vault, "SAMPLE_3")
    assert refused(held, {"subject": "SAMPLE_3", "research_use": "yes"}) == [(2, "research_use")]
    header, rows = recording.blank_sheet(held.vault, "clinical-matching", accept=True)
    assert "sample:SAMPLE_3" not in {row[header.index("subject")] for row in rows}
    held.project("demo")
    assert permits(held) == 0
    recording.record(held.vault, "SAMPLE_3", FORM, {"research_use": "yes"})
    assert permits(held) == 1


def test_a_refusal_can_always_be_imported(held):
    held.answer({"SAMPLE_3": "yes"})
    recording.withdraw(held.vault, "SAMPLE_3")
    held.answer({"SAMPLE_3": "no"})


def test_two_guardians_overlap_and_one_may_sign_again(held):
    recording.import_answers(held.vault, sheet(guardian("SAMPLE_1", "Ada")), FORM)
    assert refused(held, guardian("SAMPLE_1", "Bob")) == [(2, "signer")]
    recording.import_answers(held.vault, sheet(guardian("SAMPLE_1", "Ada")), FORM)
    recording.record(
        held.vault,
        "SAMPLE_1",
        FORM,
        {"research_use": "no"},
        signature=Signature(signer=SignerRole.GUARDIAN, signed_by="Bob"),
    )
    shown = recording.history(held.vault, "SAMPLE_1")
    assert [event.signer_ref for event in shown.events] == ["1", "1", "2"]
    assert [shown.private[event.event_id]["signed_by"] for event in shown.events] == ["Ada", "Ada", "Bob"]
    assert dict(shown.standing.refused)["research_use"] == "declined"
    recording.record(
        held.vault,
        "SAMPLE_1",
        FORM,
        {"research_use": "yes"},
        signature=Signature(signer=SignerRole.GUARDIAN, signed_by="Ada"),
    )
    assert dict(recording.history(held.vault, "SAMPLE_1").standing.refused)["research_use"] == "guardians_disagree"


def test_a_guardian_cannot_sign_for_somebody_of_age_where_they_live(held):
    assert refused(held, guardian("SAMPLE_2", "Ada", legal_time="2026-07-01")) == [(2, "legal_time")]  # still to come
    recording.import_answers(held.vault, sheet(guardian("SAMPLE_2", "Ada")), FORM)
    (event,) = recording.history(held.vault, "SAMPLE_2").events
    assert event.lapses_at == datetime(2026, 7, 1, tzinfo=UTC)  # sixteen


def test_of_age_is_said_at_the_signer(held, clock):
    clock.forward(days=60)
    assert refused(held, guardian("SAMPLE_2", "Ada")) == [(2, "signer")]
