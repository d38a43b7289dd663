"""Times as people state them: an instant, or a day, which means the whole of it where the vault is (docs/design/consent.md §2.2).

A day lies in the future only where it has begun nowhere on Earth. One that has begun further east than the vault counts from now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from policies import canonical
from policies.consent import Precision
from policies.errors import PolicyInputError

FARTHEST_EAST = timedelta(hours=14)
"""Offset of the time zone in which each day begins first."""

Stated = date | datetime
"""A day, or an instant with a zone (``datetime`` is a kind of ``date``)."""


@dataclass(frozen=True)
class LegalTime:
    """Time at which an act took effect, as the ledger keeps it."""

    at: datetime
    precision: Precision = Precision.INSTANT


def parse(text: str, *, place: str = "") -> Stated:
    """A day ``2026-01-31``, or an ISO 8601 date and time with a zone.

    Raises:
        PolicyInputError: ``bad_time``.
    """
    try:
        return canonical.parse_day(text) if len(text) <= len("2026-01-31") else canonical.parse_instant(text)
    except PolicyInputError:
        raise PolicyInputError("bad_time", "not a day, nor a date and time with a zone", place) from None


def first_instant(stated: Stated, *, zone: tzinfo) -> datetime:
    """The instant itself, or the first one of the day in ``zone``; in UTC.

    Raises:
        PolicyInputError: ``bad_time``, ``time_without_zone``.
    """
    return canonical.aware(stated if isinstance(stated, datetime) else datetime.combine(stated, time(), tzinfo=zone))


def legal_time(stated: Stated, *, zone: tzinfo, now: datetime) -> LegalTime:
    """Legal time of an act that has happened.

    Raises:
        PolicyInputError: ``in_the_future``, ``bad_time``, ``time_without_zone``.
    """
    at = first_instant(stated, zone=zone)
    if isinstance(stated, datetime):
        if at > now:
            raise _future()
        return LegalTime(at)
    if stated > latest_day(now):
        raise _future()
    return LegalTime(min(at, now), Precision.DAY)


def latest_day(now: datetime) -> date:
    """The latest day that has begun anywhere."""
    return (canonical.aware(now) + FARTHEST_EAST).date()


def _future() -> PolicyInputError:
    return PolicyInputError("in_the_future", "lies in the future")
