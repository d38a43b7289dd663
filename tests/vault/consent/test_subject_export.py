"""A subject's own export: acts, decisions and disclosures."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from policies.consent import Level
from tests.support.consent_work import FORM, START, permits, sheet
from vault.consent import explanations, recording, subject_export
from vault.consent.signatures import Signature
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
