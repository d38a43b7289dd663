"""What a withdrawal or an answer names is held against what exists; what a withdrawal changed is told."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from policies.consent import Level, Precision
from tests.support.consent_work import START, permits, refused
from vault import gate
from vault.consent import recording
from vault.consent.signatures import Signature
from vault.errors import InputError

MEANT = Signature(as_written=True)


@pytest.fixture
def asked(held):
    """Everybody accepted, and there is a project."""
    held.everyone_consents()
    held.project("demo")
    return held


@pytest.mark.parametrize(
    ("scope", "hint"),
    [
        ("policy:research", "policy:research_use"),
        ("policy:research-use", "policy:research_use"),
        ("policy:resaerch_use", "policy:research_use"),
        ("policy:zzz", "--as-written"),
        ("module:broad_research/research_use", "module:broad-research/research_use"),
        ("module:broad-research/research", "module:broad-research/research_use"),
        ("module:clinical-matching/matching", "module:broad-research/research_use"),
        ("purpose:comercial", "purpose:commercial"),
        ("purpose:Disease", "purpose:disease"),
        ("recipient:project:Demo", "recipient:project:demo"),
        ("recipient:project:demoo", "recipient:project:demo"),
        ("recipient:country:UK", "recipient:country:U"),
        ("recipient:country:de", "recipient:country:DE"),
    ],
)
def test_a_scope_that_names_nothing_is_refused_with_its_like(asked, scope, hint):
    before = len(recording.history(asked.vault, "SAMPLE_3").events)
    with pytest.raises(InputError) as caught:
        recording.withdraw(asked.vault, "SAMPLE_3", scope=scope)
    assert caught.value.code == "name_unknown"
    assert hint in caught.value.hint
    kind = scope.partition(":")[0]
    meant = caught.value.hint.partition("did you mean ")[2].partition("?")[0]
    assert all(name.startswith(f"{kind}:") for name in meant.split(", ") if name)
    assert len(recording.history(asked.vault, "SAMPLE_3").events) == before
    assert asked.entries()[-2]["reasons"] == {"name_unknown": 1}


@pytest.mark.parametrize(
    "scope", ["policy:research_use", "module:broad-research/research_use", "recipient:project:demo", "purpose:hmb", "everything"]
)
def test_a_scope_that_is_known_takes_the_person_out(asked, scope):
    done = recording.withdraw(asked.vault, "SAMPLE_3", scope=scope)
    assert done.projects == ("demo",)
    assert done.ended or done.excluded
    assert permits(asked) == 11


def test_whoever_insists_is_taken_by_the_letter(asked):
    done = recording.withdraw(asked.vault, "SAMPLE_3", scope="recipient:https://ror.org/012345", signature=MEANT)
    assert done.excluded == ("recipient:https://ror.org/012345",)
    recording.withdraw(asked.vault, "SAMPLE_3", scope="policy:recontacts", signature=MEANT)
    assert recording.history(asked.vault, "SAMPLE_3").events[-1].withdrawal.scope == "policy:recontacts"


def test_a_withdrawal_says_what_it_changed(asked, tmp_path):
    gate.extract(asked.vault, asked.request("demo"), tmp_path / "out")
    done = recording.withdraw(asked.vault, "SAMPLE_3")
    assert (done.ended, done.projects) == (("research_use",), ("demo",))
    assert [release["project"] for release in done.releases] == ["demo"]
    again = recording.withdraw(asked.vault, "SAMPLE_3")
    assert (again.ended, again.projects) == ((), ())
    assert recording.withdraw(asked.vault, "SAMPLE_4", level=Level.NO_CONTACT).ended == ()
    assert recording.withdraw(asked.vault, "SAMPLE_5", level=Level.NO_NEW_DATA).excluded == ("new data of research_use",)


def test_what_cannot_be_listed_is_no_error_of_the_withdrawal(asked, monkeypatch):
    def broken(*_):
        raise InputError("broken", "not now")

    monkeypatch.setattr("vault.consent.withdrawal_effect.releases_with", broken)
    done = recording.withdraw(asked.vault, "SAMPLE_3")
    assert (done.projects, done.releases) == (None, None)
    assert done.ended == ("research_use",)
    assert permits(asked) == 11


def test_a_withdrawal_takes_a_day_and_a_paper(asked):
    paper = asked.write("letter.pdf", b"I withdraw")
    recording.withdraw(asked.vault, "SAMPLE_3", signature=Signature(at=date(2026, 5, 2), evidence=str(paper)))
    shown = recording.history(asked.vault, "SAMPLE_3")
    event = shown.events[-1]
    assert (event.legal_time, event.precision) == (datetime(2026, 5, 2, tzinfo=UTC), Precision.DAY)
    assert len(shown.private[event.event_id]["evidence"]) == 64
    assert event.recorded_at > START
    assert permits(asked) == 11


def test_answers_name_projects_that_are_here(asked):
    question = "research_use"
    rows = [{"subject": "SAMPLE_3", question: "GRU + PS(Demo)"}, {"subject": "SAMPLE_4", question: "GRU + PS(demo)"}]
    assert refused(asked, *rows, form="duo-codes") == [(2, question)]
    with pytest.raises(InputError) as caught:
        recording.record(asked.vault, "SAMPLE_3", "duo-codes", {question: "GRU + PS(Demo)"})
    assert "did you mean demo?" in caught.value.message
    recording.record(asked.vault, "SAMPLE_3", "duo-codes", {question: "GRU + PS(Demo)"}, signature=MEANT)
    recording.record(asked.vault, "SAMPLE_4", "duo-codes", {question: "GRU + PS(demo)"})
