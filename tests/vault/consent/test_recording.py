"""Recording of answers, withdrawals and facts, and the history that they make."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from policies.consent import QcState, Status
from tests.support.consent_work import FORM, START, sheet
from vault import gate
from vault.consent import explanations, recording, subject_export
from vault.consent.signatures import Signature
from vault.errors import GenovaultError, InputError


def test_the_report_names_line_and_event(held):
    rows = [{"subject": f"SAMPLE_{n}", "research_use": "yes"} for n in (3, 5, 4)]
    report = recording.import_answers(held.vault, sheet(*rows), FORM)
    assert report.rows == ((2, 1), (3, 2), (4, 3))
    assert [event.seq for event in recording.history(held.vault, "SAMPLE_5").events] == [2]


def test_a_digest_of_the_evidence_is_sealed(held):
    paper = held.write("paper.pdf", b"signed")
    signature = Signature(evidence=str(paper), channel="told Dr Who on the phone")
    recording.record(held.vault, "SAMPLE_3", FORM, {"research_use": "yes"}, signature=signature)
    shown = recording.history(held.vault, "SAMPLE_3")
    assert (shown.events[0].evidence_hash, shown.events[0].channel) == ("sealed", "")
    assert shown.private[shown.events[0].event_id]["channel"] == "told Dr Who on the phone"
    assert b"Dr Who" not in (held.folder / "v" / "books.db").read_bytes() + (held.folder / "v" / "books.db-wal").read_bytes()
    assert len(shown.private[shown.events[0].event_id]["evidence"]) == 64
    with pytest.raises(InputError) as caught:
        recording.withdraw(held.vault, "SAMPLE_3", signature=Signature(evidence="nothing-here"))
    assert caught.value.code == "bad_evidence"


def test_pending_permits_nothing(held):
    held.project("demo")
    pending = Signature(qc=QcState.PENDING)
    recording.record(held.vault, "SAMPLE_3", FORM, {"research_use": "yes"}, signature=pending)
    assert gate.check(held.vault, "demo").deny == (("consent_not_checked", 1), ("no_active_consent", 11))


def test_a_death_stops_use_unless_it_was_allowed(held):
    held.everyone_consents()
    held.project("demo")
    recording.note(held.vault, "SAMPLE_3", Status.DECEASED, signature=Signature(at=START - timedelta(days=3)))
    assert gate.check(held.vault, "demo").deny == (("deceased", 1),)


def test_what_was_true_and_what_was_known_are_two_questions(held, clock):
    recording.record(held.vault, "SAMPLE_3", FORM, {"research_use": "yes"}, signature=Signature(at=START - timedelta(days=100)))
    before = clock.now
    clock.forward(days=1)
    recording.withdraw(held.vault, "SAMPLE_3", signature=Signature(at=START - timedelta(days=50)))

    def granted(**when: datetime) -> bool:
        return bool(recording.history(held.vault, "SAMPLE_3", **when).standing.grants)

    assert granted(at=START - timedelta(days=60), known_at=clock.now)
    assert not granted(at=START - timedelta(days=40), known_at=clock.now)
    assert granted(at=START - timedelta(days=40), known_at=before)
    assert not granted(at=START - timedelta(days=60), known_at=START - timedelta(days=1))
    assert not granted()


def test_every_service_refuses_an_unknown_person_and_says_so_in_the_log(held):
    held.project("demo")
    for call in (
        lambda: recording.withdraw(held.vault, "NOBODY"),
        lambda: recording.note(held.vault, "NOBODY", Status.DECEASED),
        lambda: recording.record(held.vault, "NOBODY", FORM, {"research_use": "yes"}),
        lambda: explanations.explain(held.vault, "NOBODY", "demo"),
        lambda: subject_export.export(held.vault, "NOBODY", held.folder / "x"),
    ):
        with pytest.raises(GenovaultError) as caught:
            call()
        assert caught.value.code == "subject_unknown"
        assert held.entries()[-1]["reasons"] == {"subject_unknown": 1}


def test_a_sheet_that_is_imported_again_says_nothing_new(held, clock):
    rows = [
        {"subject": "SAMPLE_5", "research_use": "yes", "legal_time": "2026-01-05", "channel": "paper", "evidence": "ab" * 32},
        {"subject": "SAMPLE_3", "research_use": "no", "legal_time": "2026-01-05"},
        {"subject": "SAMPLE_9", "research_use": "yes"},  # without a stated time it is of today, and so another statement
    ]
    first = recording.import_answers(held.vault, sheet(*rows), FORM)
    assert (first.recorded, first.unchanged) == (3, 0)
    clock.now += timedelta(days=1)
    tried = recording.import_answers(held.vault, sheet(*rows), FORM, dry_run=True)
    assert (tried.recorded, tried.unchanged) == (1, 2)
    again = recording.import_answers(held.vault, sheet(*rows), FORM)
    assert (again.recorded, again.unchanged, len(again.rows)) == (1, 2, 1)
    assert again.rows[0][0] == 4  # the line of the sheet
    clock.now += timedelta(days=1)
    none = recording.import_answers(held.vault, sheet(*rows[:2]), FORM)
    assert (none.recorded, none.unchanged, none.rows) == (0, 2, ())
    assert held.entries(held.vault.trail.log.size() - 1)[0]["counts"] == {"rows": 0, "unchanged": 2}
    assert len(recording.history(held.vault, "SAMPLE_5").events) == 1
    recording.record(held.vault, "SAMPLE_3", FORM, {"research_use": "yes"})
    counted = recording.import_answers(held.vault, sheet(*rows[:2]), FORM)
    assert (counted.recorded, counted.unchanged) == (1, 1)  # something else was said since: the no counts anew
