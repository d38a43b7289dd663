"""What recipients are told of the end of somebody's consent."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.times import coarse_end

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (datetime(2031, 5, 17, tzinfo=UTC), datetime(2031, 4, 1, tzinfo=UTC)),
        (datetime(2026, 12, 20, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
        (datetime(2026, 11, 30, tzinfo=UTC), NOW),
        (datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_beginning_of_a_quarter_or_a_month_or_now(end, told):
    assert coarse_end(end, now=NOW) == told


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=9000)), st.timedeltas(timedelta(0), timedelta(days=20)))
def test_never_later_than_the_end_and_of_two_days_of_a_month_the_same(after, later):
    end = NOW + after
    told = coarse_end(end, now=NOW)
    assert NOW <= told <= end
    if (end + later).month == end.month:
        assert coarse_end(end + later, now=NOW) == told
