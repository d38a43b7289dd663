"""Times as people state them: days of the vault's time zone, and what lies in the future."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.consent import Precision
from policies.errors import PolicyInputError
from policies.stated_times import LegalTime, first_instant, latest_day, legal_time, parse

NOW = datetime(2026, 11, 30, 20, tzinfo=UTC)  # nine in the morning of 1 December in Auckland
AUCKLAND, ALASKA = ZoneInfo("Pacific/Auckland"), ZoneInfo("America/Anchorage")
ZONES = st.sampled_from([UTC, AUCKLAND, ALASKA, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Apia")])


def code_of(text: str, zone=UTC) -> str:
    with pytest.raises(PolicyInputError) as caught:
        legal_time(parse(text), zone=zone, now=NOW)
    return caught.value.code


def test_a_day_is_a_whole_day_of_the_vault():
    assert legal_time(parse("2026-07-01"), zone=AUCKLAND, now=NOW) == LegalTime(
        datetime(2026, 6, 30, 12, tzinfo=UTC), Precision.DAY
    )
    assert legal_time(parse("2026-07-01T09:00:00+12:00"), zone=ALASKA, now=NOW) == LegalTime(
        datetime(2026, 6, 30, 21, tzinfo=UTC)
    )


@pytest.mark.parametrize("zone", [UTC, AUCKLAND, ALASKA])
def test_today_further_east_is_not_the_future_and_counts_from_now(zone):
    found = legal_time(parse("2026-12-01"), zone=zone, now=NOW)
    assert found.precision is Precision.DAY
    assert found.at == (datetime(2026, 11, 30, 11, tzinfo=UTC) if zone is AUCKLAND else NOW)


def test_what_has_begun_nowhere_is_the_future():
    assert code_of("2026-12-02", AUCKLAND) == "in_the_future"
    assert code_of("2026-11-30T20:00:01Z") == "in_the_future"
    assert code_of("2026-12-01T10:00:00+13:00") == "in_the_future"
    assert latest_day(NOW - timedelta(hours=10, microseconds=1)) == date(2026, 11, 30)
    assert latest_day(NOW - timedelta(hours=10)) == date(2026, 12, 1)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "20260131", "2026-W05-5", "2026-01-01T09:00:00", "31.01.2026"])
def test_other_spellings_are_refused(text):
    with pytest.raises(PolicyInputError) as caught:
        parse(text)
    assert caught.value.code == "bad_time"


@given(st.dates(date(1950, 1, 1), date(2100, 1, 1)), ZONES, st.timedeltas(timedelta(0), timedelta(days=54_000)))
def test_no_legal_time_lies_after_now_nor_before_its_day(day, zone, since):
    now = datetime(1950, 1, 1, tzinfo=UTC) + since
    try:
        found = legal_time(day, zone=zone, now=now)
    except PolicyInputError:
        assert first_instant(day, zone=ZoneInfo("Pacific/Kiritimati")) > now - timedelta(days=1)
        return
    assert found.at <= min(now, first_instant(day, zone=zone))
