"""Consent forms: those shipped, and those answered, kept as they were."""

from __future__ import annotations

import pytest

from tests.support.consent_work import permits, sheet
from tests.support.vaults import sql
from vault import gate
from vault.consent import forms, recording
from vault.errors import InputError, IntegrityError


def test_the_shipped_forms_parse_and_are_named():
    found = [(form.id, form.version) for form, _ in forms.shipped()]
    assert ("broad-research", "1") in found
    assert found == sorted(found)
    assert len(set(found)) == len(found)


def test_a_form_by_name_and_version(s):
    newest, text = forms.find(s, "broad-research")
    assert forms.find(s, f"broad-research@{newest.version}") == (newest, text)


@pytest.mark.parametrize("name", ["", "nosuch", "broad-research@99", "@1", "../broad-research"])
def test_an_unknown_form(s, name):
    with pytest.raises(InputError) as caught:
        forms.find(s, name)
    assert caught.value.code == "form_unknown"


def test_an_answered_form_is_kept_and_cannot_be_edited(folder, s):
    rows = sql(folder / "books.db", "SELECT form_id, version FROM consent_form")
    assert rows == [("broad-research", "1")]
    sql(folder / "books.db", "UPDATE consent_form SET body = replace(body, 'I allow', 'I demand')")
    with pytest.raises(IntegrityError) as caught:
        forms.find(s, "broad-research")
    assert caught.value.code == "collection_altered"


SITE_FORM = """
form: site
version: "2"
title: Our own consent
language: en
material_change: true
effective: 2026-06-10
questions:
  - id: research_use
    required: true
    wording: I allow it.
    alternatives: [{permission: GRU}]
"""


def test_a_form_of_a_sites_own_is_kept_and_changes_nothing_silently(held, clock):
    form = forms.add(held.vault, SITE_FORM)
    assert (form.id, form.version) in {(one.id, one.version) for one in forms.list_all(held.vault)}
    forms.add(held.vault, SITE_FORM)
    with pytest.raises(InputError) as caught:
        forms.add(held.vault, SITE_FORM.replace("I allow it.", "I allow all of it."))
    assert caught.value.code == "form_exists"
    with pytest.raises(InputError) as caught:
        forms.add(held.vault, SITE_FORM.replace("id: research_use", "id: signer"))
    assert caught.value.code == "document_rejected"
    with pytest.raises(InputError) as caught:
        forms.add(held.vault, SITE_FORM + "colour: blue\n")
    assert "colour" in str(caught.value)
    with pytest.raises(InputError) as caught:
        forms.add(held.vault, "#" * 10_000_000)
    assert caught.value.code == "document_too_large"


def test_a_material_change_ends_the_old_version_for_later_purposes_alone(held, clock):
    old = SITE_FORM.replace('"2"', '"1"').replace("material_change: true\neffective: 2026-06-10\n", "")
    forms.add(held.vault, old)
    recording.import_answers(held.vault, sheet({"subject": "SAMPLE_3", "research_use": "yes"}), "site@1")
    held.project("early")
    forms.add(held.vault, SITE_FORM)
    clock.forward(days=30)
    held.project("late")
    assert (permits(held, "early"), permits(held, "late")) == (1, 0)
    assert dict(gate.check(held.vault, "late").deny)["material_change"] == 1
    recording.import_answers(held.vault, sheet({"subject": "SAMPLE_3", "research_use": "yes"}), "site@2")
    assert permits(held, "late") == 1


def test_a_form_added_by_mistake_is_taken_out_unless_somebody_answered_it(held):
    form = forms.add(held.vault, SITE_FORM)
    name = f"{form.id}@{form.version}"
    forms.take_out(held.vault, name, reason="another site's")
    assert name not in {f"{one.id}@{one.version}" for one in forms.list_all(held.vault)}
    forms.add(held.vault, SITE_FORM)
    recording.record(held.vault, "SAMPLE_3", name, form.accept_all())
    for which, code in ((name, "form_answered"), ("nothing@1", "form_unknown")):
        with pytest.raises(InputError) as caught:
            forms.take_out(held.vault, which, reason="x")
        assert caught.value.code == code
