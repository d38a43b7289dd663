"""The README's tour: every command in it is a command, and on a small file of our own the whole of it runs as printed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.shell import Shell
from tests.support.vcf_text import vcf

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TOUR = README.partition("<!-- tour -->")[2].partition("<!-- /tour -->")[0]
BLOCKS = re.findall(r"```\n(.*?)```", TOUR, re.DOTALL)
STEPS = [tuple(step.partition("\n")[::2]) for block in BLOCKS for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
COMMANDS = [command for command, _ in STEPS]
EXPORTED = [pair.split("=", 1) for command in COMMANDS if command.startswith("export") for pair in shlex.split(command)[1:]]


def test_the_tour_shows_the_main_job():
    verbs = {tuple(shlex.split(c)[1:3]) for c in COMMANDS if c.startswith("genovault ")}
    assert {("dataset", "import"), ("consent", "withdraw"), ("project", "check"), ("audit", "verify")} <= verbs


def test_every_page_that_the_readme_points_to_is_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def shape(printed: str) -> list[str]:
    """What was printed, line by line, without what differs from run to run and file to file: numbers, ids, times, widths."""
    plain = re.sub(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b(?:(?:r-|rel-)?[0-9a-f]{8,}|\d[\d,]*)\b|\d+", "#", printed)
    return [" ".join(line.split()) for line in plain.splitlines()]


def apart(shell: Shell) -> Callable[[str], str]:
    """Each command in a process of its own, as in a terminal."""
    (shell.folder / "bin").mkdir()
    launcher = shell.folder / "bin" / "genovault"
    launcher.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import sys; from cli.main import run; sys.exit(run())' \"$@\"\n")
    launcher.chmod(0o755)
    environment = {**os.environ, "PATH": f"{launcher.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def run(line: str) -> str:
        done = subprocess.run(line, shell=True, cwd=shell.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stderr)
        return done.stdout

    return run


def here(shell: Shell) -> Callable[[str], str]:
    """Each command in this process; what goes to a file is not printed."""

    def run(line: str) -> str:
        ran = shell.run(line.removeprefix("genovault "))
        return "" if " > " in line else ran.out

    return run


@pytest.mark.parametrize("way", [here, pytest.param(apart, marks=pytest.mark.long)])
def test_the_tour_runs_as_printed(tmp_path, monkeypatch, way):
    samples = "HG00096 HG00097 HG00099"
    rows = ("22 16050075 A G 0|0 0|1 1|1", "22 16050115 G A 0|1 0|1 0|0", "22 16050700 A <DEL> 0|1 0|0 0|0")
    (tmp_path / "cohort.vcf").write_text(vcf(samples, *rows).text)
    names = {"cohort.vcf.gz": "cohort.vcf"}
    shell = Shell(tmp_path, monkeypatch)
    for name, value in EXPORTED:
        monkeypatch.setenv(name, value)
    run = way(shell)
    for command, expected in STEPS:
        if command.startswith("export") or "bcftools" in command:
            continue  # an outside tool: tests/conformance runs it
        printed = run(re.sub("|".join(names), lambda found: names[found[0]], command))
        assert shape(printed) == shape(expected), command
        if "request submit" in command:
            known = re.search(r"extract (r-[0-9a-f]+)", TOUR)[1]
            names[known] = re.search(r"r-[0-9a-f]+", printed)[0]
