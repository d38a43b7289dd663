"""Sensitive sites and their tags: what is shipped, how a pack is read, and when tags count."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from policies.errors import PolicyInputError
from policies.loci import Interval, Mask
from policies.tagged_sites import parse_tagged_sites, tags_of

SHIPPED = next(item for item in (resources.files("policies") / "packs").iterdir() if item.name.startswith("tags-"))
RS429358 = {"GRCh37": 45_411_941, "GRCh38": 44_908_684}
RS157581 = {"GRCh37": 45_395_714, "GRCh38": 44_892_457}


@pytest.mark.parametrize("assembly", ["GRCh37", "GRCh38", "hg38"])
def test_apoe_is_given_away_by_tomm40(assembly):
    known = parse_tagged_sites(SHIPPED.read_text(encoding="utf-8"), assembly=assembly)
    build = assembly.replace("hg38", "GRCh38")
    pos = RS429358[build]
    tags = tags_of(known, Mask((Interval("19", pos - 1, pos),)))
    assert tags.covers("19", RS157581[build])
    assert sum(one.end - one.start for one in tags.intervals) == 7
    assert tags_of(known, Mask((Interval("19", 0, pos - 2000), Interval("20", 0, 99)))) == Mask()


def text(**changed):
    one = {"sites": ["1:5"], "tags": ["1:90", "chr1:95"]}
    document = {"version": "v", "source": "s", "date": "2026-01-01", "assemblies": {"GRCh38": {"X": one}}}
    return json.dumps({**document, **changed})


def test_a_pack_has_what_it_says_of_its_assembly_alone():
    (found,) = parse_tagged_sites(text(), assembly="GRCh38")
    assert (found.name, found.tags) == ("X", Mask((Interval("1", 89, 90), Interval("1", 94, 95))))
    assert parse_tagged_sites(text(), assembly="GRCh37") == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"assemblies": None},
        {"assemblies": []},
        {"assemblies": {"GRCh38": {"X": {"sites": ["1:5"]}}}},
        {"assemblies": {"GRCh37": {"X": {"sites": ["1:5"], "tags": ["nowhere:x"]}}}},
        {"assemblies": {"GRCh38": {"X": {"sites": ["1:5"], "tags": ["1:7"], "r2": 1}}}},
        {"source": None},
        {"map": "x"},
    ],
)
def test_what_cannot_be_read_is_refused(changed):
    with pytest.raises(PolicyInputError):
        parse_tagged_sites(text(**changed), assembly="GRCh38")
