"""Bits of a view's people, against one call after another by its definition."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.vcf_text import vcf
from tests.support.views import parse_gt, view_of
from vault.genotypes.codec.allele_counts import count_calls
from vault.views.released_bits import ReleasedBits

CALLS = st.sampled_from(
    ["0/0", "0|0", "0/1", "1|0", "1/1", "2/1", "./.", "./1", "0", "1", ".", "0/1/2", "1|1/1/1", "11/0", "3|12", "12", ".|12/1"]
)
ALTS = ",".join("A" * at + "C" for at in range(1, 13))


def added(rows, *, pieces=1):
    people = " ".join(f"P{at}" for at in range(len(rows[0])))
    view = view_of(vcf(people, *(f"22 {at + 1} A {ALTS} {' '.join(row)}" for at, row in enumerate(rows))))
    counts = count_calls(view.sites, view.codes, view.escapes)
    found = ReleasedBits(len(rows[0]))
    for _ in range(pieces):
        sites = found.add(view.sites, counts, view.codes, view.escapes)
    return found, sites


def surprisal(row, gt):
    """-log2 of the chance of one genotype, by the frequencies in its row."""
    called = Counter(a for other in row for a in parse_gt(other)[0] if a >= 0)
    known = [a for a in parse_gt(gt)[0] if a >= 0]
    ways = math.factorial(len(known)) // math.prod(math.factorial(n) for n in Counter(known).values())
    return -math.log2(ways * math.prod(called[a] / called.total() for a in known))


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(CALLS, min_size=n, max_size=n), min_size=1, max_size=4)))
def test_the_most_exposed_person_is_the_one_by_definition(rows):
    found, _ = added(rows)
    assert found.largest == pytest.approx(max(sum(surprisal(row, row[at]) for row in rows) for at in range(len(rows[0]))))


def test_of_several_windows_bits_add_up():
    rows = [["0/1", "0/0", "1"], ["0/0", "1/1", "./."]]
    once, twice = added(rows)[0], added(rows, pieces=2)[0]
    assert (twice.mean, twice.largest) == (pytest.approx(2 * once.mean), pytest.approx(2 * once.largest))


def test_a_site_at_which_all_are_haploid_counts_as_that():
    _, sites = added([["0", "1"], ["0", "0/1"], ["0/1", "0/1"], [".", "."], ["0", "."]])
    third = 1 / 3
    mixed = 2 * (4 * third**2 + third**2) ** 2 - (16 + 1) * third**4
    assert sites.tolist() == pytest.approx([1, -math.log2(mixed), -math.log2(0.375), 0, 0])


def test_a_view_of_nothing_has_no_bits():
    assert (ReleasedBits(0).mean, ReleasedBits(3).largest) == (0, 0)


def test_threads_share_the_work():
    rng = np.random.default_rng(5)
    rows = [[("0/0", "0/1", "1/1")[g] for g in line] for line in rng.integers(0, 3, (3, 4))]
    view = view_of(vcf("A B C D", *(f"22 {at + 1} A C {' '.join(row)}" for at, row in enumerate(rows))))
    counts = count_calls(view.sites, view.codes, view.escapes)
    many = np.ascontiguousarray(np.tile(view.codes, (1 << 17, 1)))
    found, whole = ReleasedBits(4), type(counts).concat([counts] * (1 << 17))
    found.add(type(view.sites).concat([view.sites] * (1 << 17)), whole, many, view.escapes)
    single = ReleasedBits(4)
    single.add(view.sites, counts, view.codes, view.escapes)
    assert found.largest == pytest.approx(single.largest * (1 << 17))
