"""Time as the books hold it: whole microseconds since 1970 UTC, so that comparing a million of them is vector work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC of an aware datetime; ValueError on a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")  # a caller's bug, not a person's mistake: edges parse zones
    return (moment - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC datetime of ``to_micros``."""
    return EPOCH + micros * MICROSECOND


def rfc3339(moment: datetime) -> str:
    """RFC 3339 UTC text with microseconds, "2026-01-02T03:04:05.000006Z": one spelling per instant."""
    return f"{moment.astimezone(UTC).isoformat(timespec='microseconds')[:26]}Z"
