"""Events taken apart into what was said and when, and put together again."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import PolicyInputError
from policies.records import join, parse_statement, separate, separate_all
from tests.support.consenting import accept, day
from tests.support.histories import event

seeds = st.integers(0, 2**40).map(Random)


@given(seeds)
def test_an_event_is_put_together_as_it_was(random):
    one = event(random, 3)
    text, times = separate(one)
    pattern = parse_statement(text)
    own = {"event_id": one.event_id, "seq": one.seq, "legal_time": one.legal_time, "recorded_at": one.recorded_at}
    assert join(pattern, **own, times=times) == one


@given(seeds, st.integers(0, 12))
def test_many_are_taken_apart_as_each_alone(random, size):
    kinds = [event(random, 3) for _ in range(3)]  # so that some say the same, at the same times and at others
    events = [
        replace(random.choice(kinds), event_id=f"n{seq}", seq=seq, valid_to=random.choice([None, day(300), day(301)]))
        for seq in range(1, size + 1)
    ]
    assert separate_all(events) == [separate(one) for one in events]


@given(seeds)
def test_who_and_when_are_not_said(random):
    one = event(random, 3)
    other = replace(one, event_id="other", seq=9, legal_time=day(-5), recorded_at=day(50))
    assert separate(one)[0] == separate(other)[0]


def test_many_ends_are_one_text():
    first, second = accept(1, valid_to=day(300)), accept(2, valid_to=day(301))
    assert separate(first)[0] == separate(second)[0]
    assert separate(first)[1] == (day(300),)


def test_equal_times_share_a_mark_and_others_do_not():
    one = accept(1, valid_to=day(300), lapses_at=day(300))
    assert separate(one)[1] == (day(300),)
    two = accept(1, valid_to=day(300), lapses_at=day(200))
    assert separate(two)[1] == (day(300), day(200))
    assert separate(one)[0] != separate(two)[0]


@pytest.mark.parametrize("text", ["[]", '{"seq":1}', '{"qc":"valid"}', '{"qc":"valid","signer":"self","colour":"blue"}', "{"])
def test_a_bad_text_is_refused(text):
    with pytest.raises(PolicyInputError):
        parse_statement(text)


def test_a_mark_without_a_time_is_refused():
    text, _ = separate(accept(1, valid_to=day(3), lapses_at=day(2)))
    with pytest.raises(PolicyInputError) as caught:
        join(parse_statement(text), event_id="e", seq=1, legal_time=day(0), recorded_at=day(0), times=[day(3)])
    assert caught.value.code == "bad_said"
