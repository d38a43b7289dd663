"""Budgets and families: sums by scope and family, nothing of one person."""

from hypothesis import given
from hypothesis import strategies as st

from policies.disclosure.budgets import DEFAULT_CAPS, Budget, BudgetScope, caps_of, owner_of, short
from policies.disclosure.families import joined
from policies.disclosure.noise import DEFAULT


def test_the_defaults_are_23_30_and_46_alleles():
    assert {scope: cap // DEFAULT for scope, cap in DEFAULT_CAPS.items()} == {
        BudgetScope.PROJECT: 23,
        BudgetScope.ORGANISATION: 30,
        BudgetScope.WORLD: 46,
    }


def test_the_first_budget_that_does_not_cover_it():
    budgets = [Budget(BudgetScope.PROJECT, "a", 100, 0), Budget(BudgetScope.WORLD, "", 100, 90)]
    assert short(budgets, 10) is None
    assert short(budgets, 11) == budgets[1]
    assert short(budgets, 101) == budgets[0]


def test_a_lowered_cap_leaves_nothing():
    assert Budget(BudgetScope.PROJECT, "a", 10, 90).left == 0


def test_a_declaration_lowers_the_cap_of_its_project_and_lifts_none():
    assert caps_of(None) == DEFAULT_CAPS
    assert caps_of(500_000) == {**DEFAULT_CAPS, BudgetScope.PROJECT: 500_000}
    assert caps_of(9_000_000) == DEFAULT_CAPS


def test_owners():
    assert owner_of(BudgetScope.WORLD, project="a", organisation="r") == ""
    assert owner_of(BudgetScope.ORGANISATION, project="a", organisation="r") == "r"
    assert owner_of(BudgetScope.ORGANISATION, project="a", organisation="") == "project:a"
    assert owner_of(BudgetScope.PROJECT, project="a", organisation="r") == "a"


def test_datasets_that_share_a_person_are_a_family():
    people = {"a": {b"1", b"2"}, "b": {b"2", b"3"}, "c": {b"3"}, "d": {b"9"}, "e": set()}
    assert {*joined(people)} == {frozenset("abc"), frozenset("d"), frozenset("e")}


def test_a_family_stays_one_whoever_leaves():
    assert {*joined({"a": {b"1"}, "b": {b"2"}}, [{"a", "b", "gone"}])} == {frozenset("ab")}


@given(st.dictionaries(st.integers(0, 9), st.sets(st.binary(min_size=1, max_size=1), max_size=4), max_size=8))
def test_families_are_connected_components(people):
    found = joined(people)
    assert sorted(dataset for family in found for dataset in family) == sorted(people)
    for family in found:
        inside = set().union(*(people[dataset] for dataset in family))
        outside = set().union(*(people[dataset] for dataset in people if dataset not in family))
        assert not inside & outside
    for family in found:  # none falls apart
        reached, left = {min(family)}, True
        while left:
            more = {d for d in family if any(people[d] & people[r] for r in reached)} - reached
            reached, left = reached | more, bool(more)
        assert reached == set(family)
