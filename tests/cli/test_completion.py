"""The tab key completes what there is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cli.main

ROOT = Path(cli.main.__file__).parents[1]


def completed(words: str) -> set[str]:
    """What bash is told for a line whose last word is unfinished."""
    asked = {"_GENOVAULT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    command = [sys.executable, "-c", "import cli.main; cli.main.main()"]
    environment = {**os.environ, **asked, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return set(ran.stdout.split())


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("genovault subj", {"subject"}),
        ("genovault dataset imp", {"import"}),
        ("genovault dataset import --repl", {"--replace"}),
    ],
)
def test_commands_and_options_are_completed(words, wanted):
    assert completed(words) == wanted


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_the_script_asks_the_program(shell, shell_name):
    script = shell.run(f"completion {shell_name}").out
    assert "_GENOVAULT_COMPLETE" in script
    assert shell.run(f"completion {shell_name} --json").json["script"] == script


@pytest.mark.parametrize("line", ["-h", "dataset -h", "dataset import -h"])
def test_a_short_h_helps(shell, line):
    assert shell.run(line).out.startswith("Usage: genovault")
