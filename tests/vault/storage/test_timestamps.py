"""Whole microseconds, one spelling per instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.storage.timestamps import from_micros, rfc3339, to_micros

MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-9))]))


@given(MOMENTS)
def test_micros_round_trip(moment):
    assert from_micros(to_micros(moment)) == moment


@given(MOMENTS, MOMENTS)
def test_micros_keep_the_order(one, two):
    assert (one < two) == (to_micros(one) < to_micros(two))


def test_the_epoch_and_before():
    assert to_micros(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert to_micros(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


def test_a_naive_time_is_refused():
    with pytest.raises(ValueError, match="without a zone"):
        to_micros(datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test


def test_text_is_utc_with_microseconds():
    east = timezone(timedelta(hours=2))
    assert rfc3339(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)) == "2026-01-02T03:04:05.000006Z"
    assert rfc3339(datetime(2026, 1, 2, 5, 4, 5, 6, tzinfo=east)) == "2026-01-02T03:04:05.000006Z"
