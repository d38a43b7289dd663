"""What a release must keep to, or is refused for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from policies.declarations import parse_project, project_template
from policies.disclosure.view_rules import view_rules
from policies.loci import END, Catalogue, Interval, LocusRule, RuleKind
from policies.obligations import Obligations
from vault.access.release_limits import limits, stated
from vault.access.shipped_profiles import shipped
from vault.errors import RefusedError
from vault.files.yaml_documents import parse_yaml

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOWHERE = Catalogue("none", "GRCh38", {}, {})


def project(**disclosure):
    made = parse_project(parse_yaml(project_template("demo", "cohort").encode(), name="t"))
    expires = disclosure.pop("expires", None)
    return replace(made, disclosure=replace(made.disclosure, **disclosure), expires=expires)


NONE = Obligations()


def held(declaration=None, duties=NONE, *, permitted=20, asked=()):
    declared = declaration or project()
    rules = view_rules(declared.disclosure, shipped()["distance-only@1"])
    return limits(declared, duties, rules=rules, permitted=permitted, places=NOWHERE, tags=(), asked=asked, now=NOW)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"declaration": project(expires=NOW)}, "project_expired"),
        ({"declaration": project(expires=NOW - timedelta(days=1))}, "project_expired"),
        ({"permitted": 0}, "no_one_permitted"),
        ({"declaration": project(min_group=21)}, "group_too_small"),
        ({"duties": Obligations(min_group=21)}, "group_too_small"),
    ],
)
def test_reasons_to_refuse(given, code):
    with pytest.raises(RefusedError) as caught:
        held(**given)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"declaration": project(expires=NOW + timedelta(microseconds=1))},
        {"declaration": project(min_group=20), "duties": Obligations(min_group=3)},
        {"permitted": 1},
    ],
)
def test_at_the_boundary_it_passes(given):
    found = held(**given)
    assert not found.hidden
    assert not found.hidden.hides("22", 1, END)


def test_two_duties_stand_on_every_release():
    assert [duty.code for duty in stated(Obligations())] == ["NRI", "NRL"]


def test_every_duty_is_said_in_words():
    duties = Obligations(
        publish=True, publish_embargo=date(2027, 1, 1), ethics_ref="E-1", collaborate=("ann", "bob"), return_derived=True
    )
    found = {duty.code: duty.text for duty in stated(duties)}
    assert set(found) == {"NRI", "NRL", "PUB", "MOR", "IRB", "COL", "RTN"}
    assert "2027-01-01" in found["MOR"]
    assert "E-1" in found["IRB"]
    assert "ann, bob" in found["COL"]


def test_everything_outside_the_only_intervals_is_hidden():
    only = Obligations(only=((LocusRule(RuleKind.INTERVAL, "", "GRCh38", Interval("22", 10, 20)),),))
    found = held(duties=only)
    for contig in ("chr22", "22", "NC_000022.11"):
        assert [bound.tolist() for bound in found.hidden.on(contig)] == [[0, 20], [10, END]]
    for contig in ("X", "chr22_KI270734v1_random", "NC_000022.10", "strange"):
        assert [bound.tolist() for bound in found.hidden.on(contig)] == [[0], [END]]


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ([Interval("22", 10, 20)], False),
        ([Interval("chr22", 12, 13)], False),
        ([Interval("22", 9, 20)], True),
        ([Interval("22", 10, 21)], True),
        ([Interval("22", 0, END)], True),
        ([Interval("22", 10, 20), Interval("X", 0, 1)], True),
        ([Interval("22", 10, 20), Interval("22", 15, 19)], False),
        ([], True),
    ],
)
def test_something_of_what_is_asked_must_be_left(asked, left):
    outside = (
        LocusRule(RuleKind.INTERVAL, "", "GRCh38", Interval("22", 0, 10)),
        LocusRule(RuleKind.INTERVAL, "", "GRCh38", Interval("22", 20, END)),
        LocusRule(RuleKind.INTERVAL, "", "GRCh38", Interval("X", 0, END)),
    )
    duties = Obligations(only=(outside,))
    if left:
        assert held(duties=duties, asked=asked)
        return
    with pytest.raises(RefusedError) as caught:
        held(duties=duties, asked=asked)
    assert caught.value.code == "nothing_left"
