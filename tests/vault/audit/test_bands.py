"""Bands of counts in leaves."""

import pytest

from vault.audit.bands import band, banded


@pytest.mark.parametrize(
    ("first", "last"),
    [(0, 0), (1, 20), (21, 50), (51, 100), (101, 200), (201, 500), (501, 1_000), (1_001, 2_000), (500_001, 1_000_000)],
)
def test_a_band_is_told_by_its_first_number(first, last):
    assert band(first) == band(last) == first
    assert band(last + 1) == last + 1


def test_each_count_for_itself():
    assert banded({"asked": 12, "permitted": 0, "sites": 6_109}) == {"asked": 1, "permitted": 0, "sites": 5_001}
