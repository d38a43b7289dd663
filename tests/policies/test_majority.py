"""Ages of majority: by country, from a pack, strictly read."""

import json
from datetime import UTC, date, datetime
from importlib import resources

import pytest

from policies.errors import PolicyInputError
from policies.majority import parse_majority

PACK = {
    "version": "test",
    "source": "nowhere",
    "date": "2026-01-01",
    "default": 18,
    "leap_day": "mar_1",
    "ages": {"gb": 16, "KR": 19},
}


def pack(**changes: object) -> str:
    return json.dumps({**PACK, **changes})


@pytest.mark.parametrize(("country", "age"), [("GB", 16), ("KR", 19), ("DE", 18), ("", 18)])
def test_the_age_of_a_country(country, age):
    assert parse_majority(pack()).age(country) == age


def test_a_leap_day_follows_the_pack():
    born = date(2008, 2, 29)
    assert parse_majority(pack()).reached(born, "DE") == datetime(2026, 3, 1, tzinfo=UTC)
    assert parse_majority(pack(leap_day="feb_28")).reached(born, "DE") == datetime(2026, 2, 28, tzinfo=UTC)
    assert parse_majority(pack()).reached(born, "GB") == datetime(2024, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"default": None}, "default"),
        ({"default": 180}, "default"),
        ({"ages": {"DE": 5}}, "ages.DE"),
        ({"ages": {"DE": "18"}}, "ages.DE"),
        ({"ages": {"Germany": 18}}, "ages.Germany"),
        ({"leap_day": "never"}, "leap_day"),
        ({"ages": [18]}, "ages"),
        ({"colour": "blue"}, "colour"),
        ({"source": None}, "source"),
    ],
)
def test_a_bad_pack_is_refused_with_its_place(changes, place):
    with pytest.raises(PolicyInputError) as caught:
        parse_majority(pack(**changes))
    assert place in {problem.place for problem in caught.value.problems}


def test_the_shipped_pack_is_read_and_errs_to_the_earlier_day():
    text = next(
        item.read_text(encoding="utf-8")
        for item in (resources.files("policies") / "packs").iterdir()
        if item.name.startswith("majority-")
    )
    shipped = parse_majority(text)
    assert (shipped.default, shipped.age("GB"), shipped.leap_day) == (18, 16, "feb_28")
