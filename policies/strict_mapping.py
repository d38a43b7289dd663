"""Strict reader of hand-written mappings: every problem with its place; an unknown key is a problem.

A ``Section`` reads one mapping. Each method takes a key once and returns a value of the right type; for a wrong value it notes a
problem and returns a placeholder, so that one pass finds every problem. ``finish`` notes the keys that were not read. The caller
raises when the list of problems is not empty, so that a placeholder never leaves the parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, tzinfo

from policies import canonical
from policies.disclosure import nats
from policies.errors import InputProblem, PolicyInputError

MAX_TEXT = 20_000  # characters of one text; long consent clauses are shorter
MAX_ITEMS = 10_000  # items of one list; more are not written by hand

HANDLE = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
"""Names that people type: lower case, digits, single hyphens or underscores between."""


class Section:
    """Mapping at ``place`` of the document, read key by key."""

    def __init__(self, data: object, place: str, problems: list[InputProblem]) -> None:
        self.place = place
        self.problems = problems
        self._data: dict[str, object] = {}
        if not isinstance(data, Mapping):
            self.note("not_a_mapping", f"must be a mapping of keys to values, not {_kind(data)}")
            return
        for key, value in data.items():
            if isinstance(key, str):
                self._data[key] = value
            else:
                self.note("bad_key", f"the key {key!r:.40} is not text; quote it")

    def note(self, code: str, message: str, key: str = "") -> None:
        """Add a problem at ``key`` of this mapping."""
        self.problems.append(InputProblem(self._at(key), code, message))

    def has(self, key: str) -> bool:
        """True if ``key`` is given and not null."""
        return self._data.get(key) is not None

    def text(self, key: str, *, default: str | None = None, longest: int = MAX_TEXT) -> str:
        """A text, trimmed; required unless a default is given."""
        value = self._take(key, required=default is None)
        if value is None:
            return default or ""
        return self._text(value, key, longest)

    def handle(self, key: str, *, default: str | None = None) -> str:
        """A text that matches ``HANDLE``."""
        value = self.text(key, default=default, longest=64)
        if value and value != default and not HANDLE.fullmatch(value):
            self.note("bad_name", "lower-case letters, digits and single hyphens or underscores, beginning with a letter", key)
        return value

    def choice(self, key: str, allowed: tuple[str, ...], *, default: str | None = None) -> str:
        """One of ``allowed``."""
        value = self._take(key, required=default is None)
        return (default or allowed[0]) if value is None else self._choice(value, key, allowed, default or allowed[0])

    def choices(self, key: str, allowed: tuple[str, ...], *, required: bool = False) -> tuple[str, ...]:
        """A list drawn from ``allowed``, without repeats, sorted as in ``allowed``."""
        found = {self._choice(item, place, allowed, "") for place, item in self.items(key, required=required)}
        return tuple(item for item in allowed if item in found)

    def flag(self, key: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self.maybe(key)
        return default if value is None else value

    def maybe(self, key: str) -> bool | None:
        """True, false, or None when not given."""
        value = self._take(key, required=False)
        if value is None or isinstance(value, bool):
            return value
        self.note("not_a_flag", f"must be true or false, not {_kind(value)}", key)
        return None

    def whole(self, key: str, low: int, high: int) -> int | None:
        """A whole number from ``low`` to ``high``, or None when not given."""
        value = self._take(key, required=False)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.note("not_a_number", f"must be a whole number from {low} to {high}", key)
            return None
        return value

    def millionths(self, key: str, low: int, high: int) -> int | None:
        """Millionths of a decimal from ``low`` to ``high`` millionths, written as a number or as a text, or None when not given."""
        value = self._take(key, required=False)
        if value is None:
            return None
        said = str(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else ""
        try:
            found = nats.parse(said, place=key)
        except PolicyInputError:
            found = -1
        if not low <= found <= high:
            digits = "with at most six digits behind the point"
            self.note("not_a_number", f"must be a number from {nats.text(low)} to {nats.text(high)}, {digits}", key)
            return None
        return found

    def texts(self, key: str, *, required: bool = False, longest: int = 500) -> tuple[str, ...]:
        """A list of texts without repeats, in the order given."""
        found = [self._text(item, place, longest) for place, item in self.items(key, required=required)]
        for index, item in enumerate(found):
            if item and item in found[:index]:
                self.note("repeated", f"{item!r:.60} is given twice", f"{key}[{index}]")
        return tuple(dict.fromkeys(item for item in found if item))

    def instant(self, key: str, *, zone: tzinfo = UTC) -> datetime | None:
        """An instant in UTC: a date-time with an offset, or a day, which means its first moment in ``zone``."""
        value = self._take(key, required=False)
        if value is None:
            return None
        try:
            return read_instant(value, zone=zone, place=self._at(key))
        except PolicyInputError as error:
            self.problems.extend(error.problems)
            return None

    def items(self, key: str, *, required: bool = False) -> Iterator[tuple[str, object]]:
        """The items of a list with their keys (``key[0]`` …); a required list has at least one."""
        value = self._take(key, required=required)
        if value is None:
            return
        if not isinstance(value, (list, tuple)):
            self.note("not_a_list", f"must be a list, not {_kind(value)}", key)
            return
        if required and not value:
            self.note("empty", "at least one is needed", key)
        if len(value) > MAX_ITEMS:
            self.note("too_many", f"at most {MAX_ITEMS} items", key)
            return
        for index, item in enumerate(value):
            yield f"{key}[{index}]", item

    def section(self, key: str, *, required: bool = False) -> Section:
        """The mapping at ``key``; empty when not given."""
        value = self._take(key, required=required)
        return Section({} if value is None else value, self._at(key), self.problems)

    def sections(self, key: str, *, required: bool = False) -> tuple[Section, ...]:
        """The mappings of the list at ``key``."""
        return tuple(Section(item, self._at(place), self.problems) for place, item in self.items(key, required=required))

    def entries(self, key: str, *, most: int, required: bool = False) -> Iterator[tuple[str, object]]:
        """Names and values of the mapping at ``key``, whose names the writer chooses; a required one has at least one."""
        value = self._take(key, required=required)
        if value is None:
            return
        if not isinstance(value, Mapping):
            self.note("not_a_mapping", f"must be a mapping of names to values, not {_kind(value)}", key)
            return
        if required and not value:
            self.note("empty", "at least one is needed", key)
        if len(value) > most:
            self.note("too_many", f"at most {most:,} entries", key)
            return
        for name, item in value.items():
            if isinstance(name, str):
                yield name, item
            else:
                self.note("bad_key", f"the name {name!r:.40} is not text; quote it", key)

    def raw(self, key: str) -> object:
        """Value at ``key`` unchecked, for shapes that only the caller knows."""
        return self._take(key, required=False)

    def finish(self) -> None:
        """Note every key that was not read as an unknown field."""
        for key in self._data:
            self.note("unknown_field", "this field is not known here", key)

    def _take(self, key: str, *, required: bool) -> object:
        value = self._data.pop(key, None)
        if value is None and required:
            self.note("missing", "this field is required", key)
        return value

    def _text(self, value: object, key: str, longest: int) -> str:
        if isinstance(value, bool):
            self.note("not_text", "must be text; YAML reads yes, no and NO as a flag, so quote it", key)
        elif not isinstance(value, str):
            self.note("not_text", f"must be text, not {_kind(value)}; quote it", key)
        elif not value.strip():
            self.note("empty", "must not be empty", key)
        elif len(value) > longest:
            self.note("too_long", f"at most {longest} characters", key)
        elif not all(char.isprintable() or char in "\n\t" for char in value):
            self.note("not_printable", "holds a control character", key)
        else:
            return value.strip()
        return ""

    def _choice(self, value: object, key: str, allowed: tuple[str, ...], default: str) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        self.note("not_a_choice", f"must be one of {', '.join(allowed)}", key)
        return default

    def _at(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place and key else self.place or key


def read_instant(value: object, *, zone: tzinfo, place: str = "") -> datetime:
    """An instant in UTC from a date-time with an offset, or a day (its first moment in ``zone``), as text or as YAML gives it.

    Raises:
        PolicyInputError: ``bad_time``, ``bad_date``, ``time_without_zone``.
    """
    if isinstance(value, str):
        text = value.strip()
        value = (
            canonical.parse_day(text, place=place)
            if len(text) <= len("2025-01-31")
            else canonical.parse_instant(text, place=place)
        )
    if isinstance(value, datetime):
        return canonical.aware(value, place=place)
    if isinstance(value, date):
        return canonical.aware(datetime.combine(value, time(), tzinfo=zone), place=place)
    raise PolicyInputError("bad_time", f"must be a date or a date and time, not {_kind(value)}", place)


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    names = {"dict": "a mapping", "list": "a list", "str": "text", "int": "a number", "float": "a number", "bool": "a flag"}
    return names.get(type(value).__name__, type(value).__name__)
