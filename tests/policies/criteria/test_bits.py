"""Bits of matches: what an answer tells of who is listed and who is not."""

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.criteria.bits import bound, surprisals, worst


def test_one_in_a_thousand_is_ten_bits_and_the_others_are_next_to_none():
    listed, others = surprisals(1, 1024)
    assert (listed, worst(1, 1024)) == (10.0, 10.0)
    assert others == pytest.approx(-log2(1023 / 1024))


def test_where_all_are_alike_nothing_is_told():
    assert [worst(matched, 500) for matched in (0, 500)] == [0.0, 0.0]
    assert worst(250, 500) == 1.0


@given(st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=1, max_size=5))
def test_the_bound_is_above_what_is_told_of_anybody(answers):
    told = [0.0] * 7
    for listed in answers:
        bits = surprisals(sum(listed), 7)
        for person, matched in enumerate(listed):
            told[person] += bits[0] if matched else bits[1]
    assert max(told) <= bound((sum(listed) for listed in answers), 7) + 1e-9
