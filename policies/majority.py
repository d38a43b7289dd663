"""Ages of majority by country, from a pack that names its source.

Where the day is uncertain the earlier one counts, because from then on the subject's own signature is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo

from policies import canonical
from policies.errors import InputProblem, PolicyInputError
from policies.strict_mapping import Section
from policies.terms import country
from policies.times import LeapDay, comes_of_age

YOUNGEST, OLDEST = 14, 25  # years: an age outside them is taken as a mistake


@dataclass(frozen=True)
class AgesOfMajority:
    """Ages of majority in years by ISO 3166-1 alpha-2 code. ``default`` for countries not listed, and where none is known."""

    version: str
    default: int
    leap_day: LeapDay
    ages: Mapping[str, int]

    def age(self, place: str) -> int:
        """Age of majority in years for a country code; the default for codes not listed."""
        return self.ages.get(place, self.default)

    def reached(self, birth: date, place: str, *, zone: tzinfo = UTC) -> datetime:
        """Instant of majority in UTC: 00:00 of that birthday in ``zone``."""
        return comes_of_age(birth, self.age(place), zone=zone, leap_day=self.leap_day)


def parse_majority(text: str) -> AgesOfMajority:
    """Parse a pack ``{version, source, date, default, leap_day, ages: {DE: 18}}``.

    Raises:
        PolicyInputError: with the place of every problem.
    """
    problems: list[InputProblem] = []
    top = Section(canonical.loads(text), "", problems)
    version = top.text("version")
    top.text("source")
    top.instant("date")
    default = top.whole("default", YOUNGEST, OLDEST)
    if default is None:
        top.note("missing", "an age is needed for countries that are not listed", "default")
    leap_day = LeapDay(top.choice("leap_day", tuple(LeapDay)))
    listed = top.raw("ages") or {}
    ages = _ages(Section(listed, "ages", problems), listed)
    top.finish()
    if problems:
        raise PolicyInputError.from_problems(problems)
    return AgesOfMajority(version, default or YOUNGEST, leap_day, ages)


def _ages(section: Section, listed: object) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in tuple(listed) if isinstance(listed, Mapping) else ():
        years = section.whole(str(name), YOUNGEST, OLDEST)
        try:
            place = country(str(name), place=f"ages.{name}")
        except PolicyInputError as error:
            section.problems.extend(error.problems)
            continue
        if years is not None:
            found[place] = years
    section.finish()
    return found
