"""Groups of commands: a slip is told what may be meant, and never led to what destroys."""

from __future__ import annotations

import pytest

from cli.lazy import DESTROYING


@pytest.mark.parametrize(
    "line", ["subject merg A B", "subject eras A", "dataset remov x", "dataset move x", "key destroy-epch 1", "key removeslot x"]
)
def test_a_slip_is_never_led_to_what_destroys(shell, line):
    ran = shell.try_(line)
    assert ran.code == 2
    assert not [name for name in DESTROYING if f"'{name}'" in ran.err]


@pytest.mark.parametrize(("line", "meant"), [("subjct list", "subject"), ("subject shw A", "show"), ("datset", "dataset")])
def test_a_slip_is_told_what_may_be_meant(shell, line, meant):
    assert f"Did you mean '{meant}'" in shell.try_(line).err
