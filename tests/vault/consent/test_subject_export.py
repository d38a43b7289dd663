"""A subject's own export: acts, decisions and disclosures."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html import unescape

import pytest
import yaml

from policies.consent import Level
from policies.declarations import project_template
from policies.reasons import WORDS
from tests.support.consent_work import FORM, START, permits, sheet
from vault.access import projects
from vault.consent import explanations, recording, subject_export
from vault.consent.signatures import Signature
from vault.consent.subject_page import named, to_you
from vault.errors import InputError


def test_a_persons_copy_holds_acts_decisions_and_disclosures_and_is_logged(held):
    answers = {"subject": "SAMPLE_3", "matching": "yes", "research_use": "yes", "results_drugs": "want"}
    recording.import_answers(held.vault, sheet(answers), "clinical-matching")
    held.project("demo")
    held.extract("demo", regions=["22:1-17000000"])
    recording.withdraw(held.vault, "SAMPLE_3", signature=Signature(signed_by="<b>Eve</b>"))
    folder = held.folder / "copy"
    document = subject_export.export(held.vault, "SAMPLE_3", folder)
    assert json.loads((folder / "dossier.json").read_text()) == document
    assert [len(document[key]) for key in ("consent", "releases")] == [2, 1]
    assert document["preferences"]["pharmacogenes"] == "want"
    assert document["decisions"][0]["answer"] == "deny"
    acts = {entry["act"] for entry in document["log"]}
    assert {"consent.import", "extract.intent", "consent.withdraw"} <= acts
    page = (folder / "dossier.html").read_text()
    assert "<b>Eve</b>" not in page
    assert "&lt;b&gt;Eve&lt;/b&gt;" in page
    assert "http" not in page.split("</head>")[1].replace("http-equiv", "")
    assert held.entries()[-1]["act"] == "consent.export"
    with pytest.raises(InputError) as caught:
        subject_export.export(held.vault, "SAMPLE_3", folder)
    assert caught.value.code == "output_exists"


def test_the_page_speaks_to_the_person(held):
    """Words of the form, days and recipients; no ids of policies, no seconds, no word broken in its middle."""
    answers = {"subject": "SAMPLE_3", "matching": "yes", "research_use": "yes", "results_drugs": "want"}
    recording.import_answers(held.vault, sheet(answers), "clinical-matching")
    document = yaml.safe_load(project_template("demo", "cohort"))
    document["organisation"] = {
        "id": "https://ror.org/000000000",
        "name": "Example Institute",
        "country": "DE",
        "profit": "non_profit",
    }
    projects.create(held.vault, document)
    projects.change(held.vault, "demo", "approve")
    held.extract("demo", regions=["22:1-17000000"])
    recording.withdraw(held.vault, "SAMPLE_3")
    folder = held.folder / "copy"
    document = subject_export.export(held.vault, "SAMPLE_3", folder)
    shown = (folder / "dossier.html").read_text().split("</head>")[1]
    for raw in ("research_use", "results_drugs", "preference:", "no_new_use", "consent.import", "extract.intent", "The person"):
        assert raw not in shown, raw
    assert not re.search(r"\d:\d\d:\d\d|\.\d{6}|\dT\d", shown)
    for said in (
        "You withdrew everything. Your data are not used in anything new.",
        "Example Institute (DE)",
        "handed over",
        "your answers were recorded",
    ):
        assert said in shown, said
    (asked,) = {words for policy, words in document["wordings"].items() if policy == "research_use"}
    assert f"You said yes to “{asked}”" in unescape(shown)
    assert "overflow-wrap:anywhere" not in (folder / "dossier.html").read_text()
    (release,) = document["releases"]
    assert (release["recipients"], release["country"], release["ended"]) == (["Example Institute"], "DE", "done")


@pytest.mark.parametrize("code", sorted(WORDS))
def test_no_reason_is_said_about_somebody_else(code):
    assert not re.search(r"\b[Tt]h(?:e|is) person\b|themselves", to_you(WORDS[code]))


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("own_policy", "own policy"),
        ("purpose:commercial", "use that is commercial"),
        ("recipient:acme", "handing on to acme"),
        ("loci:heart_genes", "the places in your genes called heart genes"),
        ("asked", "“May we?”"),
    ],
)
def test_a_policy_has_words(policy, said):
    assert named(policy, {"asked": "May we?"}) == said


@pytest.mark.parametrize(("withdrawn", "answer"), [("after", "permit"), ("before", "deny")])
def test_a_persons_copy_answers_as_the_gate_does_where_new_data_are_excluded(held, withdrawn, answer):
    signature = Signature(at=START - timedelta(days=60))
    recording.record(held.vault, "SAMPLE_3", FORM, {"research_use": "yes"}, signature=signature)
    at = START - timedelta(days=10) if withdrawn == "before" else None
    recording.withdraw(held.vault, "SAMPLE_3", level=Level.NO_NEW_DATA, signature=Signature(at=at))
    held.project("demo")
    document = subject_export.export(held.vault, "SAMPLE_3", held.folder / "copy")
    explained = explanations.explain(held.vault, "SAMPLE_3", "demo").decision
    assert document["decisions"][0]["answer"] == explained.outcome == answer
    assert document["decisions"][0]["reasons"] == [reason.words() for reason in explained.reasons]
    assert permits(held) == (answer == "permit")
