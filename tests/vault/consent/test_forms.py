"""Consent forms: those shipped, and those answered, kept as they were."""

from __future__ import annotations

import pytest

from tests.support.vaults import sql
from vault.consent import forms
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
    assert caught.value.code == "form_altered"
