"""Decisions over a cohort, with the end of the consents that they rest on."""

from __future__ import annotations

import json

from tests.support.consent_work import sheet
from vault.consent import recording


def test_the_end_of_a_consent_stands_on_the_release(held, clock):
    recording.import_answers(
        held.vault, sheet({"subject": "SAMPLE_3", "research_use": "any_health", "commercial": "yes"}), "disease-research"
    )
    held.project("demo")
    folder = held.extract("demo", regions=["22:1-17000000"])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "2056-04-01" in json.dumps(manifest)  # 30 years from the signature
