"""Explanation of one decision with the clauses behind it."""

from __future__ import annotations

from policies.consent import Level
from tests.support.consent_work import START
from vault.audit.actions import Action
from vault.consent import explanations, recording
from vault.subjects.sheet_import import import_sheet
from vault.subjects.subject_sheet import read_subject_sheet


def test_an_explanation_has_the_clause_of_the_form(held):
    held.answer({"SAMPLE_3": "yes"})
    held.project("demo")
    found = explanations.explain(held.vault, "SAMPLE_3", "demo")
    assert found.words[0].startswith("Yes")
    assert "under a code instead of my name" in found.clauses[0].wording
    assert found.clauses[0].answer == "yes (GRU)"
    recording.withdraw(held.vault, "SAMPLE_3", level=Level.ERASE)
    found = explanations.explain(held.vault, "SAMPLE_3", "demo")
    assert found.words[:2] == (
        "No: this person's data cannot be released to the project.",
        "The person withdrew. A withdrawal never expires. [research_use]",
    )
    assert (found.clauses[-1].wording, found.clauses[-1].answer) == ("withdrawal of everything", "erase")
    assert held.entries()[-1]["act"] == Action.CONSENT_EXPLAIN


def test_an_explanation_says_that_there_is_no_data(held):
    import_sheet(held.vault, read_subject_sheet(held.write("t.csv", "sample_id\nELSE\n"), today=START.date()))
    held.project("demo")
    found = explanations.explain(held.vault, "ELSE", "demo")
    assert not found.has_data
    assert found.words[1] == "The project's datasets hold no data of this person."
