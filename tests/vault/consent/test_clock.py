"""A clock behind the ledger refuses what may permit and takes what withdraws; days are of the vault's time zone."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta

import pytest

from policies.consent import Precision, Status
from policies.stated_times import latest_day
from tests.support.consent_work import FORM, START, guardian, permits, refused, sheet
from tests.support.held import FACTOR, Held
from vault.consent import recording
from vault.consent.signatures import Signature
from vault.crypto.primitives import Argon2Profile
from vault.errors import InputError, UnavailableError
from vault.operations import create, doctor, upgrade
from vault.operations.recovery import open_recovered
from vault.session import time_zone
from vault.subjects.sheet_import import import_sheet
from vault.subjects.subject_sheet import read_subject_sheet

YES = {"research_use": "yes"}


def behind(act) -> str:
    with pytest.raises(UnavailableError) as caught:
        act()
    assert "\n" not in caught.value.message
    return caught.value.code


def events(held: Held, who: str = "SAMPLE_3"):
    return recording.history(held.vault, who).events


@pytest.mark.parametrize("back", [timedelta(minutes=2), timedelta(days=330)])
def test_a_clock_behind_refuses_what_may_permit(held, clock, back):
    held.answer({"SAMPLE_3": "yes"})
    before = len(events(held))
    clock.now -= back
    for act in (
        lambda: recording.record(held.vault, "SAMPLE_4", FORM, YES),
        lambda: recording.import_answers(held.vault, sheet({"subject": "SAMPLE_4", **YES}), FORM),
        lambda: recording.restrict(held.vault, "SAMPLE_4", lift=True),
        lambda: recording.note(held.vault, "SAMPLE_4", Status.CAPACITY_REGAINED),
    ):
        assert behind(act) == "clock_behind"
        assert held.entries()[-1]["reasons"] == {"clock_behind": 1}
    assert events(held, "SAMPLE_4") == ()
    assert len(events(held)) == before


@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(days=330)])
def test_a_withdrawal_takes_the_time_of_the_ledger_and_is_flagged(held, clock, back):
    held.answer({"SAMPLE_3": "yes", "SAMPLE_4": "yes"})
    held.project("demo")
    (yes,) = events(held)
    clock.now -= back
    recording.withdraw(held.vault, "SAMPLE_3")
    no = events(held)[-1]
    assert no.clock_behind
    assert (no.recorded_at, no.legal_time) == (yes.recorded_at, yes.recorded_at)
    assert held.entries()[-2]["flags"] == ["clock_behind"]
    clock.now += back
    assert permits(held) == 1
    recording.record(held.vault, "SAMPLE_3", FORM, YES)
    assert permits(held) == 2
    assert not events(held)[-1].clock_behind


def test_a_no_stays_possible_with_every_clock(held, clock):
    held.answer({"SAMPLE_3": "yes", "SAMPLE_4": "yes"})
    clock.now -= timedelta(days=3)
    recording.restrict(held.vault, "SAMPLE_3")
    recording.note(held.vault, "SAMPLE_3", Status.DECEASED)
    held.answer({"SAMPLE_4": "no"})
    stated = START - timedelta(days=30)
    recording.withdraw(held.vault, "SAMPLE_4", signature=Signature(at=stated))
    assert events(held, "SAMPLE_4")[-1].legal_time == stated


def test_seconds_are_no_clock_put_back_and_the_ledger_never_goes_back(held, clock):
    held.answer({"SAMPLE_3": "yes"})
    (first,) = events(held)
    clock.now -= timedelta(seconds=50)
    recording.record(held.vault, "SAMPLE_4", FORM, YES)
    (second,) = events(held, "SAMPLE_4")
    assert second.recorded_at == first.recorded_at
    assert second.legal_time < first.legal_time
    assert not second.clock_behind


def test_a_ledger_from_the_future_has_a_way_out(held, clock):
    clock.forward(days=3_650)
    held.answer({"SAMPLE_3": "yes"})
    clock.now = START
    with pytest.raises(UnavailableError) as caught:
        recording.record(held.vault, "SAMPLE_4", FORM, YES)
    assert "--clock-checked" in caught.value.hint
    assert "consent_time_odd" in {finding.code for finding in doctor.examine(held.vault).findings}
    event = recording.record(held.vault, "SAMPLE_4", FORM, YES, signature=Signature(clock_checked=True)).event
    assert event.recorded_at < START + timedelta(minutes=1)
    recording.record(held.vault, "SAMPLE_5", FORM, YES)
    found = [finding.message for finding in doctor.examine(held.vault).findings if finding.code == "consent_time_odd"]
    assert len(found) == 1
    assert "event 2 of the consent ledger" in found[0]


def test_the_flag_says_who_said_that_the_clock_is_right(held, clock):
    clock.forward(days=9)
    held.answer({"SAMPLE_3": "yes"})
    clock.now = START
    recording.import_answers(held.vault, sheet({"subject": "SAMPLE_4", **YES}), FORM, clock_checked=True)
    assert held.entries()[-1]["flags"] == ["clock_checked"]


@pytest.fixture
def auckland(tmp_path, clock):
    """A vault of Auckland, at nine in the morning of 1 December there, with a person born that day."""
    clock.now = datetime(2026, 11, 30, 20, tzinfo=UTC)
    create.init(
        tmp_path / "v",
        steward="ann",
        factor=FACTOR,
        profile=Argon2Profile.TEST_ONLY,
        time_zone="Pacific/Auckland",
        clock=clock,
    )
    made = Held(tmp_path, open_recovered(tmp_path / "v", factor=FACTOR, clock=clock), clock, os.urandom)
    people = made.write("s.csv", "sample_id,birth_date,country\nKID,2026-12-01,NZ\nOLD,1950-01-01,NZ\n")
    import_sheet(made.vault, read_subject_sheet(people, today=latest_day(clock.now)))
    yield made
    made.vault.close()


def test_a_day_is_one_of_the_vault(auckland):
    recording.record(auckland.vault, "OLD", FORM, YES, signature=Signature(at=date(2026, 12, 1)))
    (event,) = events(auckland, "OLD")
    assert (event.legal_time, event.precision) == (datetime(2026, 11, 30, 11, tzinfo=UTC), Precision.DAY)
    recording.import_answers(auckland.vault, sheet(guardian("KID", "Ada", legal_time="2026-12-01")), FORM)
    (event,) = events(auckland, "KID")
    assert event.lapses_at == datetime(2046, 11, 30, 11, tzinfo=UTC)  # twenty in New Zealand, at midnight there
    with pytest.raises(InputError) as caught:
        recording.withdraw(auckland.vault, "OLD", signature=Signature(at=date(2026, 12, 2)))
    assert caught.value.code == "bad_time"


def test_a_withdrawal_on_paper_beats_a_yes_of_the_same_day(auckland):
    nine = datetime(2026, 11, 30, 19, 59, tzinfo=UTC)
    recording.record(auckland.vault, "OLD", FORM, YES, signature=Signature(at=nine))
    recording.withdraw(auckland.vault, "OLD", signature=Signature(at=date(2026, 12, 1)))
    assert not recording.history(auckland.vault, "OLD").standing.grants
    recording.record(auckland.vault, "OLD", FORM, YES, signature=Signature(at=nine))
    assert not recording.history(auckland.vault, "OLD").standing.grants


def test_a_day_further_east_than_the_vault_counts_at_once(held, clock):
    clock.now = datetime(2026, 11, 30, 20, tzinfo=UTC)
    recording.record(held.vault, "SAMPLE_3", FORM, YES, signature=Signature(at=date(2026, 12, 1)))
    assert recording.history(held.vault, "SAMPLE_3").standing.grants
    with pytest.raises(InputError):
        recording.record(held.vault, "SAMPLE_3", FORM, YES, signature=Signature(at=date(2026, 12, 2)))


def test_the_zone_is_signed_with_the_books(auckland):
    assert str(time_zone.zone_of(auckland.vault)) == "Pacific/Auckland"
    with pytest.raises(InputError) as caught:
        time_zone.require_zone("Auckland")
    assert caught.value.code == "time_zone_unknown"


def test_a_zone_that_was_wrong_can_be_set_and_the_log_says_so(auckland):
    before = recording.record(auckland.vault, "OLD", FORM, YES, signature=Signature(at=date(2026, 11, 20))).event
    assert upgrade.set_time_zone(auckland.vault, "Europe/Berlin") == "Europe/Berlin"
    after = recording.record(auckland.vault, "OLD", FORM, YES, signature=Signature(at=date(2026, 11, 20))).event
    assert after.legal_time - before.legal_time == timedelta(hours=12)
    assert [entry["act"] for entry in auckland.entries()][-2] == "vault.upgrade"
    with pytest.raises(InputError):
        upgrade.set_time_zone(auckland.vault, "Berlin")


def test_the_zone_of_a_machine_is_a_known_one(monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    assert time_zone.of_machine() == "Pacific/Auckland"
    monkeypatch.setenv("TZ", "EST5EDT,M3.2.0,M11.1.0")
    assert time_zone.of_machine() == "UTC"
    monkeypatch.setenv("TZ", ":Etc/UTC")
    assert time_zone.of_machine() == "UTC"


def test_impossible_dates_are_refused_line_by_line(held):
    rows = [
        {"subject": "SAMPLE_1", **YES},  # sixteen, of Germany
        {"subject": "SAMPLE_2", **YES},  # fifteen, of a country where sixteen is of age
        {"subject": "SAMPLE_3", **YES, "legal_time": "1899-12-30"},
    ]
    assert refused(held, *rows) == [(2, "signer"), (3, "signer"), (4, "legal_time")]
    assert refused(held, guardian("SAMPLE_1", "Ada", legal_time="2009-01-01")) == [(2, "legal_time")]
    for act in (
        lambda: recording.withdraw(held.vault, "SAMPLE_1", signature=Signature(at=date(2009, 1, 1))),
        lambda: recording.note(held.vault, "SAMPLE_1", Status.DECEASED, signature=Signature(at=date(2009, 1, 1))),
    ):
        with pytest.raises(InputError) as caught:
            act()
        assert caught.value.code == "bad_time"
    recording.note(held.vault, "SAMPLE_3", Status.DECEASED, signature=Signature(at=START - timedelta(days=9)))
    assert refused(held, {"subject": "SAMPLE_3", **YES}) == [(2, "legal_time")]
    header, blank = recording.blank_sheet(held.vault, FORM, accept=True)
    signers = {row[0]: row[header.index("signer")] for row in blank}
    assert "sample:SAMPLE_3" not in signers
    assert [signers[f"sample:SAMPLE_{n}"] for n in (1, 2, 4)] == ["guardian", "guardian", "self"]


def test_doctor_names_what_stands_already(held, monkeypatch):
    monkeypatch.setattr("vault.consent.form_responses.signers.require_possible", lambda *_, **__: None)
    recording.import_answers(held.vault, sheet({"subject": "SAMPLE_1", **YES}), FORM)
    event = recording.record(held.vault, "SAMPLE_2", FORM, YES, signature=Signature(at=date(2001, 1, 1))).event
    monkeypatch.undo()
    found = [finding for finding in doctor.examine(held.vault).findings if finding.code == "consent_date_impossible"]
    assert len(found) == 2
    assert any(event.event_id in finding.message and "before the person's birth" in finding.message for finding in found)
    assert not any("SAMPLE" in finding.message for finding in found)
