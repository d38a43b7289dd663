"""A dataset is described without a small cell, and identities are opened only where that was asked for and logged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.access.dataset_description import describe, markdown
from vault.audit.bands import band, spoken
from vault.audit.entry import decode_leaf
from vault.errors import InputError


def test_counts_are_bands_and_no_cell_is_small(held):
    described = describe(held.vault, "cohort", demographics=True)
    assert described.people == described.sites == "20 or fewer"
    assert described.sex == {"female": "20 or fewer", "male": "20 or fewer", "other or unknown": "20 or fewer"}
    assert described.born == {"2010s": "20 or fewer", "unknown": "20 or fewer"}
    page = markdown(described)
    assert "GRCh38" in page
    assert "12" not in page


def test_identities_are_opened_only_where_that_was_asked_for(held, monkeypatch):
    asked: list[int] = []
    real = held.vault.keys.open_keys
    monkeypatch.setattr(held.vault.keys, "open_keys", lambda purpose, who: (asked.append(len(who)), real(purpose, who))[1])
    assert describe(held.vault, "cohort").sex == {}
    assert asked == []
    describe(held.vault, "cohort", demographics=True)
    leaf = decode_leaf(list(held.vault.trail.log.entries())[-1].leaf)
    assert leaf["act"] == "dataset.show"
    assert asked == [12]
    assert leaf["subj"]["n"] == 12


def test_what_is_known_as_assayed_and_the_panels_are_told(s):
    described = describe(s, "cohort")
    assert described.panels == {"pgx": 2}
    assert described.assayed
    with pytest.raises(InputError) as caught:
        describe(s, "nosuch")
    assert caught.value.code == "dataset_unknown"


@given(st.integers(0, 10**9))
def test_a_band_in_words_holds_the_count_and_begins_where_the_log_s_does(count):
    if count <= 20:
        assert spoken(count) == "20 or fewer"
    else:
        first, last = (int(text.replace(",", "")) for text in spoken(count).split(" to "))
        assert first == band(count) <= count <= last
        assert band(last) == first < band(last + 1)
