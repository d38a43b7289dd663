"""Bits by the published vectors, by counting, and the orders of a call's alleles."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.views.genotype_bits import allele_bits, frequencies, orders, site_bits


def of(*counts, haploid=False):
    return float(site_bits(np.array(counts, np.int64), np.array([0, len(counts)]), np.array([haploid]))[0])


@pytest.mark.parametrize(
    ("minor", "pi", "bits", "sites"),
    [(50, .375, 1.415, 24), (30, .4246, 1.236, 27), (20, .5136, .961, 35), (10, .6886, .538, 62), (5, .8235375, .280, 118), (1, .96098806, .0574, 574)],
)  # fmt: skip
def test_the_reference_vectors(minor, pi, bits, sites):
    found = of(100 - minor, minor)
    assert 2**-found == pytest.approx(pi, abs=5e-5)
    assert found == pytest.approx(bits, abs=5e-4)
    assert math.ceil(math.log2(8e9) / found) == sites


def chance(frequency, ploidy):
    """PI by going through every pair of people."""
    genotypes: dict[tuple[int, ...], float] = {}
    for drawn in itertools.product(range(len(frequency)), repeat=ploidy):
        key = tuple(sorted(drawn))
        genotypes[key] = genotypes.get(key, 0) + math.prod(frequency[a] for a in drawn)
    return sum(p * p for p in genotypes.values())


@given(st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=5), max_size=6), st.booleans())
def test_it_is_the_chance_that_two_people_are_alike(sites, haploid):
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in sites])]).astype(np.int64)
    counts = np.array([count for one in sites for count in one], np.int64)
    found = site_bits(counts, offsets, np.full(len(sites), haploid))
    for one, bits in zip(sites, found.tolist(), strict=True):
        expected = chance([count / sum(one) for count in one], 1 if haploid else 2) if sum(one) else 1.0
        assert bits == pytest.approx(-math.log2(expected), abs=1e-9)
        assert bits >= 0


def test_a_site_where_all_are_alike_or_nobody_is_called_tells_nothing():
    assert (of(10, 0), of(0, 4), of(0, 0), of(7)) == (0, 0, 0, 0)
    assert len(site_bits(np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros(0, np.bool_))) == 0
    assert len(frequencies(np.zeros(0, np.int64), np.zeros(1, np.int64))) == 0


def test_the_bits_of_an_allele():
    assert allele_bits(np.array([3, 1, 0, 0, 8]), np.array([0, 3, 5])).tolist() == [pytest.approx(math.log2(4 / 3)), 2, 0, 0, 0]


@given(st.lists(st.lists(st.integers(-1, 3), min_size=1, max_size=4), max_size=8))
def test_orders_are_the_different_ways_to_write_a_call(calls):
    lengths = np.array([len(call) for call in calls], np.int64)
    found = orders(lengths, np.array([a for call in calls for a in call], np.int16))
    for call, bits in zip(calls, found.tolist(), strict=True):
        known = [a for a in call if a >= 0]
        assert bits == pytest.approx(math.log2(len(set(itertools.permutations(known)))))
