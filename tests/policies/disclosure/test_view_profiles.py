"""Disclosure profiles as data: what is shipped, what is refused, and what a declaration says beside one."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from policies.disclosure.view_profiles import STANDARD, Linkage, OptOuts, ViewField, parse_profile
from policies.disclosure.view_rules import view_rules
from policies.errors import PolicyInputError
from policies.purposes import DisclosureProfile

RULES = {
    "fields": ["GT", "FILTER"],
    "margin": 1000,
    "min_carriers": 3,
    "opt_outs": "leave_out",
    "linkage": {"percent": 20, "window": 2_000_000, "carriers": 21},
}


def text(**changed):
    rules = {key: value for key, value in {**RULES, **changed.pop("rules", {})}.items() if value is not None}
    document = {"format": "profile/1", "name": "own", "version": 2, "source": "ours", "date": "2026-01-01", "rules": rules}
    return json.dumps({**document, **changed})


def test_each_shipped_profile_is_named_as_its_file_is():
    found = [item for item in (resources.files("policies") / "packs").iterdir() if item.name.startswith("profile-")]
    profiles = {item.name: parse_profile(item.read_text(encoding="utf-8")) for item in found}
    assert {f"profile-{one.name}-{one.version}.json" for one in profiles.values()} == set(profiles)
    assert STANDARD in {one.reference for one in profiles.values()}


def test_without_a_declared_profile_a_view_shows_genotypes_and_filters():
    standard = parse_profile((resources.files("policies") / "packs" / "profile-standard-1.json").read_text(encoding="utf-8"))
    rules = view_rules(DisclosureProfile(), standard)
    assert (rules.keep_phase, rules.keep_ids, rules.keep_filters) == (False, False, True)
    assert (rules.margin, rules.min_carriers, rules.opt_outs) == (500_000, 1, OptOuts.MASK)


def test_a_profile_states_every_rule():
    found = parse_profile(text())
    assert (found.reference, found.linkage) == ("own@2", Linkage(20, 2_000_000, 21))
    assert parse_profile(text(rules={"linkage": "none"})).linkage is None
    for rule in RULES:
        with pytest.raises(PolicyInputError):
            parse_profile(text(rules={rule: None}))


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"rules": {"noise": 1}}, "rules.noise"),
        ({"format": "profile/2"}, "format"),
        ({"name": "Own"}, "name"),
        ({"version": 0}, "version"),
        ({"rules": {"fields": ["FILTER"]}}, "rules.fields"),
        ({"rules": {"fields": ["GT", "DP"]}}, "rules.fields[1]"),
        ({"rules": {"opt_outs": "ignore"}}, "rules.opt_outs"),
        ({"rules": {"linkage": {"percent": 20, "window": 5}}}, "rules.linkage"),
        ({"rules": {"linkage": {"percent": 20, "window": 5, "carriers": 1, "map": "x"}}}, "rules.linkage.map"),
        ({"rules": {"linkage": "off"}}, "rules.linkage"),
        ({"rules": {"margin": -1}}, "rules.margin"),
    ],
)
def test_what_is_not_known_refuses_the_profile(changed, place):
    with pytest.raises(PolicyInputError) as caught:
        parse_profile(text(**changed))
    assert place in [problem.place for problem in caught.value.problems]


def test_the_digest_is_of_the_text():
    assert parse_profile(text()).sha256 != parse_profile(text() + "\n").sha256


def test_a_declaration_beside_its_profile():
    profile = parse_profile(text())
    assert view_rules(DisclosureProfile(min_carriers=2), profile).min_carriers == 3
    assert view_rules(DisclosureProfile(min_carriers=9), profile).min_carriers == 9
    assert view_rules(DisclosureProfile(opt_outs=OptOuts.MASK), profile).opt_outs is OptOuts.MASK
    assert view_rules(DisclosureProfile(fields=(ViewField.GT,)), profile).fields == (ViewField.GT,)
    kept = view_rules(DisclosureProfile(keep_phase=True, keep_ids=True), profile)
    assert kept.fields == (ViewField.GT, ViewField.FILTER, ViewField.ID, ViewField.PHASE)
