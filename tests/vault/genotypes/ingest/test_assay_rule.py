"""The rule of what counts as assayed: its options, its text."""

from __future__ import annotations

import pytest

from vault.errors import UsageError
from vault.genotypes.ingest.assay_rule import AssayRule


def test_the_defaults_are_those_of_the_page():
    rule = AssayRule.chosen()
    assert rule == AssayRule()
    assert (rule.min_gq, rule.min_dp, rule.min_dp_haploid, rule.accepted_filters, rule.filtered) == (20, 10, 5, (), "missing")


def test_one_copy_needs_half_the_depth():
    assert [AssayRule.chosen(min_dp=depth).min_dp_haploid for depth in (0, 1, 7, 20)] == [0, 1, 4, 10]


@pytest.mark.parametrize(("gq", "band"), [(0, 1), (5, 1), (10, 1), (19, 1), (20, 2), (29, 2), (30, 3), (99, 3)])
def test_a_track_is_read_in_the_band_of_its_threshold(gq, band):
    assert AssayRule(min_gq=gq).band == band


def test_the_text_is_canonical_and_comes_back():
    rule = AssayRule.chosen(min_gq=10, accepted_filters=("q10", "PASS", "LowGQX", "q10"), filtered="keep")
    assert rule.accepted_filters == ("LowGQX", "q10")
    text = '{"accepted_filters":["LowGQX","q10"],"filtered":"keep","min_dp":10,"min_dp_haploid":5,"min_gq":10}'
    assert rule.text() == text
    assert AssayRule.from_text(text) == rule


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "7", '{"accepted_filters":7}', AssayRule().text() + " ", AssayRule().text().replace("20", "-1")],
)
def test_another_text_is_none(text):
    with pytest.raises(ValueError, match="assay rule"):
        AssayRule.from_text(text)


@pytest.mark.parametrize(
    "options",
    [{"min_gq": -1}, {"min_gq": 100}, {"min_dp": -1}, {"min_dp": 10_001}, {"filtered": "drop"}]
    + [{"accepted_filters": (name,)} for name in ("", "0", "a b", "a;b", "a,b", "<x>", "a\n", "x" * 201)],
)
def test_other_options_are_refused(options):
    with pytest.raises(UsageError) as error:
        AssayRule.chosen(**options)
    assert error.value.code == "assay_rule"
