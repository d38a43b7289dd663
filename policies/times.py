"""Calendar arithmetic: months, birthdays, start of a day. The time zone and the leap-day rule are arguments."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, tzinfo
from enum import StrEnum

from policies import canonical
from policies.errors import PolicyInputError


class LeapDay(StrEnum):
    """Birthday of a person born on 29 February in a common year; national laws differ, so it is an argument."""

    FEB_28 = "feb_28"
    MAR_1 = "mar_1"


def add_months(at: datetime, months: int) -> datetime:
    """Add whole months; a day past the end of the month becomes its last day. Beyond year 9999: ``datetime.max``."""
    count = at.year * 12 + at.month - 1 + months
    year, month = divmod(count, 12)
    if year > date.max.year:
        return datetime.max.replace(tzinfo=UTC)
    return at.replace(year=year, month=month + 1, day=min(at.day, _days(year, month + 1)))


def comes_of_age(birth: date, years: int, *, zone: tzinfo, leap_day: LeapDay) -> datetime:
    """Instant of majority in UTC: 00:00 local time of the birthday.

    Raises:
        PolicyInputError: ``bad_time`` for a year after 9999.
    """
    year = birth.year + years
    if year > date.max.year:
        raise PolicyInputError("bad_time", "outside the years that can be written")
    day = birth.replace(year=year) if birth.day <= _days(year, birth.month) else _leap(year, leap_day)
    return canonical.aware(datetime.combine(day, time(), tzinfo=zone))


def coarse_end(end: datetime, *, now: datetime) -> datetime:
    """A time no later than ``end`` that may be told to recipients: whose consent ends then, and when the person comes of age, is not.

    The beginning in UTC of the quarter in which ``end`` lies, else of the month, else ``now``: the first of them that is not before ``now``.
    """
    month = end.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    quarter = month.replace(month=(month.month - 1) // 3 * 3 + 1)
    return next((at for at in (quarter, month) if at > now), min(now, end))


def first_moment(text: str) -> datetime | None:
    """00:00 UTC of a day in text, or None when the text is not a day."""
    try:
        return datetime.combine(canonical.parse_day(text), time(), tzinfo=UTC)
    except PolicyInputError:
        return None


def _leap(year: int, rule: LeapDay) -> date:
    return date(year, 2, 28) if rule is LeapDay.FEB_28 else date(year, 3, 1)


def _days(year: int, month: int) -> int:
    following = date(year + month // 12, month % 12 + 1, 1) if (year, month) != (date.max.year, 12) else None
    return 31 if following is None else (following - date(year, month, 1)).days
