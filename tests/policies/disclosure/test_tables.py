"""Exact frequency tables: what is shown and how, prices, strength, and cohorts that lie too near."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.disclosure import membership, tables

FLOORS = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000)


@pytest.mark.parametrize(
    ("copies", "called", "carriers", "people", "shown"),
    [
        (100, 1000, 95, 500, True),
        (50, 1000, 50, 500, True),
        (49, 1000, 49, 500, False),  # rarer than 0.05
        (951, 1000, 490, 500, False),
        (20, 260, 20, 130, False),  # 20 carriers
        (21, 260, 21, 130, True),
        (200, 260, 110, 130, False),  # 20 who do not carry it
        (200, 260, 109, 130, True),
        (60, 198, 50, 99, False),  # fewer people than anything is counted of
        (0, 0, 0, 0, False),
    ],
)
def test_sites_that_are_shown(copies, called, carriers, people, shown):
    assert tables.shown(copies, called, carriers=carriers, people=people) is shown


@pytest.mark.parametrize(("floor", "step"), [(100, "1/20"), (200, "1/50"), (500, "1/100"), (2_000, "1/500"), (50_000, "1/10000")])
def test_steps_grow_finer_with_the_cohort(floor, step):
    assert tables.step(floor) == Fraction(step)


@pytest.mark.parametrize("floor", FLOORS)
def test_every_written_number_stands_for_eight_chromosomes_or_more_whoever_the_people_are(floor):
    for n in (floor, floor + 1, 2 * floor - 1):
        counts = {}
        for copies in range(2 * n // 10, 2 * n // 5):
            found = tables.written(copies, 2 * n, floor)
            counts[found] = counts.get(found, 0) + 1
        assert min(sorted(counts.values())[2:]) >= 7  # whole steps; the two at the ends are cut


@given(st.sampled_from(FLOORS), st.integers(1, 10_000), st.data())
def test_a_written_frequency_is_within_half_a_step(floor, called, data):
    copies = data.draw(st.integers(0, called))
    text = tables.written(copies, called, floor)
    assert abs(Fraction(text) - Fraction(copies, called)) <= tables.step(floor) / 2
    assert (Fraction(text) / tables.step(floor)).denominator == 1


def test_the_price_is_of_somebody_heterozygous_at_the_rarest_sites_throughout():
    paid = tables.price(330, 2504)
    variance = 330 * 0.9**2 / (2 * 2504 * 0.05 * 0.95)
    assert paid / 1_000_000 == pytest.approx(variance / 2, abs=0.01)
    assert tables.covered(variance, paid)
    assert not tables.covered(variance + 0.03, paid)
    assert tables.price(660, 2504) > 1.9 * paid


def test_most_alleles_are_m_max_and_a_declaration_lowers_it():
    assert tables.most_alleles(2504) == membership.m_max(2504) == 330
    assert tables.most_alleles(2504, 363_000) == 329
    assert tables.most_alleles(2504, 100_000) == 25


def test_evidence_of_several_tables_adds_up():
    assert tables.within(tables.together([(330, 2504)]))
    assert not tables.within(tables.together([(331, 2504)]))
    assert not tables.within(tables.together([(200, 2504), (150, 2400)]))
    assert not tables.within(tables.together([(100, 2504)]), 100_000)
    assert tables.within(tables.together([]))


@pytest.mark.parametrize(
    ("other", "gone", "near"),
    [(100, 0, False), (99, 0, True), (80, 0, True), (79, 0, False), (99, 19, True), (99, 20, False), (100, 1, True)],
)
def test_cohorts_that_differ_by_1_to_20(other, gone, near):
    people = {bytes([at]) for at in range(100)}
    assert tables.too_near(people, {bytes([at]) for at in range(other)}, gone=gone) is near


def test_who_came_and_who_left_both_count():
    people = {bytes([at]) for at in range(100)}
    swapped = {bytes([at]) for at in range(10, 110)}
    assert tables.too_near(people, swapped)
    assert not tables.too_near(people, {bytes([at]) for at in range(11, 111)})
