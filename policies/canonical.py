"""Canonical JSON: one spelling per value, so that equal values have equal bytes and equal hashes.

Keys sorted by code point, no spaces, UTF-8 without escapes beyond what JSON needs, no floats and no NaN. Times are written as
``2025-01-31T23:00:00Z`` (microseconds only when they are not zero), always in UTC.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum

from policies.errors import PolicyInputError


def dumps(value: object) -> str:
    """The canonical JSON text of dicts, lists, tuples, text, whole numbers, booleans and None.

    Raises:
        TypeError: for a float, or a type that JSON does not have: an error of the program, not of its input.
    """
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def plain(value: object) -> object:  # noqa: PLR0911 - one return for each kind of value
    """Convert a frozen dataclass, enum, time or collection to JSON values; None, false and empty fields are left out of mappings."""
    if is_dataclass(value) and not isinstance(value, type):
        found = {item.name: plain(getattr(value, item.name)) for item in fields(value)}
        return {key: item for key, item in found.items() if item or (item == 0 and item is not False)}
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (frozenset, set)):
        return sorted((plain(item) for item in value), key=dumps)
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value


def sha256(value: object) -> str:
    """64 hex digits: SHA-256 of the canonical JSON of ``value`` in UTF-8."""
    return hashlib.sha256(dumps(value).encode()).hexdigest()


def loads(text: str, *, place: str = "") -> object:
    """Parse JSON text strictly.

    Raises:
        PolicyInputError: ``bad_json`` for malformed text, floats or non-numbers; ``duplicate_key`` for a key given twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float)
    except PolicyInputError:
        raise
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        raise PolicyInputError("bad_json", "not valid JSON", place) from error


def instant_text(at: datetime | None) -> str | None:
    """``at`` in UTC as text, or None.

    Raises:
        PolicyInputError: ``time_without_zone``.
    """
    if at is None:
        return None
    return aware(at).isoformat().replace("+00:00", "Z")


def parse_instant(text: str, *, place: str = "") -> datetime:
    """Parse the output of ``instant_text``, or any ISO 8601 date-time with an offset.

    Raises:
        PolicyInputError: ``bad_time``, ``time_without_zone``.
    """
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise PolicyInputError("bad_time", "not an ISO 8601 date and time", place) from error
    return aware(value, place=place)


def aware(at: datetime, *, place: str = "") -> datetime:
    """``at`` in UTC.

    Raises:
        PolicyInputError: ``time_without_zone``: a naive time depends on the machine's time zone; ``bad_time``: out of range in UTC.
    """
    if at.tzinfo is None or at.utcoffset() is None:
        raise PolicyInputError("time_without_zone", "a date and time needs a zone, for example 2025-01-31T09:00:00Z", place)
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise PolicyInputError("bad_time", "outside the years that can be converted to UTC", place) from error


def parse_day(text: str, *, place: str = "") -> date:
    """A calendar day written ``YYYY-MM-DD``.

    Raises:
        PolicyInputError: ``bad_date``.
    """
    try:
        value = date.fromisoformat(text)
    except ValueError as error:
        raise PolicyInputError("bad_date", "not a date like 2025-01-31", place) from error
    if value.isoformat() != text:  # 20250131 and 2025-W05-5 are second spellings
        raise PolicyInputError("bad_date", "not a date like 2025-01-31", place)
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise PolicyInputError("duplicate_key", "the same key appears twice")
    return found


def _no_float(_: str) -> object:
    raise PolicyInputError("bad_json", "whole numbers only")


_WITHOUT_FLOATS = frozenset({str, int, bool, type(None)})


def _refuse_floats(value: object) -> None:
    if isinstance(value, float):
        msg = "canonical JSON holds no floats"
        raise TypeError(msg)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    for item in items:
        if type(item) not in _WITHOUT_FLOATS:  # most are: a cohort's events have a hundred thousand values
            _refuse_floats(item)
