"""The benchmark of delivery runs, small, and finds that both sides give the same."""

from __future__ import annotations

import sys

import pytest

from benchmarks import delivery
from tests.support.outside import extra, tool


@pytest.mark.long
def test_it_runs_small(tmp_path, monkeypatch, capsys):
    for name in ("bcftools", "bgzip"):
        tool(name)
    for module in ("msprime", "crypt4gh"):
        extra(module)
    arguments = ["delivery", "--work", tmp_path, "--scale", "0.02", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
    delivery.main()
    printed = capsys.readouterr().out
    assert all(f"{what} over" in printed for what in ("sealed", "whole route"))
