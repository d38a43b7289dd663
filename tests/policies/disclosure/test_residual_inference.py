"""Residual inference against the vector of the page, and against haplotypes counted one by one."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from policies.disclosure.residual_inference import TOLERATED, residual_inference
from policies.errors import PolicyInputError


def test_the_vector_of_the_page():
    found = residual_inference(sensitive=0.14, tag=0.20, r2=0.6)
    assert found.disequilibrium == pytest.approx(0.107510, abs=1e-6)
    assert (found.given_tag, found.given_no_tag) == pytest.approx((0.677550, 0.005613), abs=1e-6)
    assert (found.accuracy, found.baseline) == pytest.approx((0.931, 0.860), abs=5e-4)
    assert found.ratio == pytest.approx(4.84, abs=5e-3)
    assert found.ratio > TOLERATED


def test_without_correlation_a_tag_tells_nothing():
    found = residual_inference(sensitive=0.14, tag=0.20, r2=0)
    assert (found.given_tag, found.given_no_tag, found.ratio) == (0.14, 0.14, 1)
    assert found.accuracy == pytest.approx(found.baseline)


@given(st.tuples(*[st.integers(0, 200)] * 4))
def test_haplotypes_counted_one_by_one(table):
    both, sensitive, tag, neither = table
    n = sum(table)
    assume(n)
    p_a, p_b, p_ab = (both + sensitive) / n, (both + tag) / n, both / n
    assume(0 < p_a < 1 and 0 < p_b < 1 and p_ab >= p_a * p_b)
    r2 = (p_ab - p_a * p_b) ** 2 / (p_a * (1 - p_a) * p_b * (1 - p_b))
    found = residual_inference(sensitive=p_a, tag=p_b, r2=min(r2, 1.0))
    assert found.given_tag == pytest.approx(both / (both + tag), abs=1e-9)
    assert found.given_no_tag == pytest.approx(sensitive / (sensitive + neither), abs=1e-9)
    right = max(both, tag) + max(sensitive, neither)
    assert found.accuracy == pytest.approx(right / n, abs=1e-9)


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.floats(0, 1))
def test_more_correlation_tells_no_less(sensitive, tag, r2):
    less, more = (residual_inference(sensitive=sensitive, tag=tag, r2=share) for share in (r2 / 2, r2))
    assert less.given_no_tag >= -1e-9
    assert more.given_tag <= 1 + 1e-9
    assert more.given_tag >= less.given_tag - 1e-12


@pytest.mark.parametrize("said", [(0, 0.5, 0.5), (0.5, 1, 0.5), (0.5, 0.5, 1.1), (0.5, 0.5, float("nan"))])
def test_what_is_no_share_is_refused(said):
    with pytest.raises(PolicyInputError):
        residual_inference(sensitive=said[0], tag=said[1], r2=said[2])
