"""What a sheet's row makes of a known person: what it says and nothing else, and what it replaced is kept."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.subjects.corrected_identity import REPLACED, Correction, another_person, changes, corrected
from vault.subjects.identities import Identity

BY = Correction(date(2026, 11, 29), "ann", "typo")
WORDS = st.sampled_from(["", "x", "y"])
IDENTITIES = st.builds(
    Identity,
    st.sampled_from([("A",), ("A", "B"), ("C",)]),
    WORDS,
    WORDS,
    WORDS,
    WORDS,
    WORDS,
    st.sampled_from([(), ("MONDO:1",)]),
    WORDS,
    also=st.just(()),
    former=st.just(()),
)


@given(IDENTITIES, IDENTITIES, st.sets(st.sampled_from(REPLACED)))
def test_each_field_is_what_the_row_says_or_what_was_held(old, row, cleared):
    new = corrected(old, row, BY, cleared=cleared)
    for name in REPLACED:
        said, held, now = getattr(row, name), getattr(old, name), getattr(new, name)
        assert now == (said if said or name in cleared else held)
    assert set(new.samples) == {*old.samples, *row.samples}
    replaced = [name for name in REPLACED if getattr(old, name) and getattr(old, name) != getattr(new, name)]
    assert [line.split()[2].rstrip(":") for line in new.former] == replaced
    assert {change.field for change in changes(old, new)} - {"samples"} >= set(replaced)


@given(IDENTITIES, IDENTITIES)
def test_a_row_taken_twice_changes_nothing_the_second_time(old, row):
    once = corrected(old, row, BY)
    assert corrected(once, row, BY) == once


@pytest.mark.parametrize(
    ("old", "row", "another"),
    [
        (("Ada Quill", "1970-01-01"), ("quill, ADA", "1970-01-01"), False),
        (("Ada Quill", "1970-01-01"), ("Ada Brook", ""), True),  # the record number alone, and another name
        (("Ada Quill", ""), ("Ada Quill", "1970-01-01"), False),
        (("", ""), ("Ada Quill", "1970-01-01"), False),
        (("J\u00f6rg", ""), ("Jo\u0308rg", ""), False),
    ],
)
def test_a_record_number_names_nobody_of_another_name_or_birth_date(old, row, another):
    held, given_ = Identity(("A",), "1", *old), Identity(("B",), "1", *row)
    assert bool(another_person(held, given_)) == another


def test_with_a_sample_one_of_both_may_change():
    held = Identity(("A",), "1", "Ada Quill", "1970-01-01")
    assert not another_person(held, Identity(("A",), "1", "Ada Brook", "1970-01-01"))
    assert another_person(held, Identity(("A",), "1", "Ada Brook", "1971-01-01"))
