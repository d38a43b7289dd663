"""The benchmark of matching runs, small, and finds that both sides give the same."""

from __future__ import annotations

import sys

import pytest

from benchmarks import matching
from tests.support.outside import extra


@pytest.mark.long
def test_it_runs_small(monkeypatch, capsys):
    extra("pandas")
    monkeypatch.setattr(sys, "argv", ["matching", "--people", "500", "--loci", "50", "--criteria", "40", "--times", "1"])
    matching.main()
    printed = capsys.readouterr().out
    assert all(what in printed for what in ("genovault, alleles", "one in five a diplotype", "pandas, alleles"))
