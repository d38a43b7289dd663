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


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("frob", "genovault --help lists the commands"),
        ("subject shw A", "genovault subject --help lists the commands"),
        ("subject", "genovault subject --help lists the commands"),
        ("dataset show --hlp", "genovault dataset show --help"),
        ("extract --format xyz r --output o", "genovault extract --help"),
    ],
)
def test_a_slip_is_led_to_the_help_of_the_command_that_it_is_in(shell, line, hint):
    ran = shell.try_(line)
    assert f"hint: {hint}\n" in ran.err
    assert "Value error" not in ran.err
