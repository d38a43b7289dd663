"""Ends that recipients are told: of a project to the day, of a consent so that nobody's birthday is told."""

from __future__ import annotations

import json
from datetime import date

import pytest

from tests.support.consent_work import FORM, guardian, sheet
from vault.consent import recording


@pytest.mark.parametrize(("birth", "coming_of_age"), [("SAMPLE_1", date(2028, 2, 28)), ("SAMPLE_2", date(2028, 7, 1))])
def test_the_birthday_of_a_child_is_in_no_file_of_a_release(held, birth, coming_of_age):
    recording.import_answers(held.vault, sheet(guardian(birth, "Ada")), FORM)
    held.project("demo")
    out = held.extract("demo")
    manifest = json.loads((out / "manifest.json").read_text())["manifest"]
    told = date.fromisoformat(manifest["expires"][:10])
    assert (told.day, told.month % 3) == (1, 1)
    assert told <= coming_of_age
    said = (out / "README.txt").read_text()
    assert f"Use until:  {told}" in said
    if told != coming_of_age:
        assert all(str(coming_of_age) not in path.read_text(errors="ignore") for path in out.iterdir())
