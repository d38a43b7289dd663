"""The benchmark suite: its table says what was measured, and it runs, small."""

from __future__ import annotations

import sys

import pytest

from benchmarks import run
from benchmarks.peers import Tools
from benchmarks.results import Row, table
from benchmarks.timing import Figures, ratio, show
from tests.support.outside import extra, tool


def test_ratios_are_of_runs_made_in_turn():
    assert ratio(Figures((1.0, 4.0, 9.0)), Figures((2.0, 4.0, 3.0))) == 1.0


@pytest.mark.parametrize(("seconds", "text"), [(0.0000123, "12 µs"), (0.0123, "12.3 ms"), (12.3, "12.3 s")])
def test_times_are_shown_in_a_fitting_unit(seconds, text):
    assert show(seconds) == text


def test_the_table_says_whether_a_target_is_met():
    met = Row("D1", "size", [3e6], {"BCF": [12e6]})
    missed = Row("D1", "size", [3e6], {"PGEN": [3e6]})
    plain = Row("D1", "other work", [1.0], {"anyone": [2.0]})
    lines = table([met, missed, plain, Row("D1", "not measured")]).splitlines()[2:]
    assert [("met" in line, "missed" in line) for line in lines] == [(True, False), (False, True), (False, False)]


def test_a_tool_that_is_missing_has_no_path(tmp_path):
    assert Tools(tmp_path).path("no-such-program-anywhere") is None


@pytest.mark.long
def test_the_suite_runs_small(tmp_path, monkeypatch, capsys):
    for name in ("bcftools", "bgzip"):
        tool(name)
    extra("msprime")
    arguments = ["run", "--work", tmp_path, "--scale", "0.02", "--only", "D1", "--rounds", "1", "--peers", tmp_path / "none"]
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
    run.main()
    printed = capsys.readouterr().out
    assert all(work in printed for work in run.Cohort.TASKS.values())
