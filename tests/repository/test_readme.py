"""The README's tour: every command in it is a command, and on a small file of our own the whole of it runs as printed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.vcf_text import vcf

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TOUR = README.partition("<!-- tour -->")[2].partition("<!-- /tour -->")[0]
BLOCKS = re.findall(r"```\n(.*?)```", TOUR, re.DOTALL)
STEPS = [tuple(step.partition("\n")[::2]) for block in BLOCKS for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
COMMANDS = [command for command, _ in STEPS]


def test_the_tour_shows_the_main_job():
    verbs = {tuple(shlex.split(c)[1:3]) for c in COMMANDS if c.startswith("genovault ")}
    assert {("dataset", "import"), ("consent", "withdraw"), ("project", "check"), ("audit", "verify")} <= verbs


def test_every_page_that_the_readme_points_to_is_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.fixture
def environment(tmp_path):
    (tmp_path / "bin").mkdir()
    launcher = tmp_path / "bin" / "genovault"
    launcher.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import sys; from cli.main import run; sys.exit(run())' \"$@\"\n")
    launcher.chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "TZ": "UTC"}


def shape(printed: str) -> list[str]:
    """What was printed, line by line, without what differs from run to run and file to file: numbers, ids, times, widths."""
    plain = re.sub(r"\b(?:(?:r-|rel-)?[0-9a-f]{8,}|\d[\d,]*)\b|\d+", "#", printed)
    return [" ".join(line.split()) for line in plain.splitlines()]


def test_the_tour_runs_as_printed(tmp_path, environment):
    samples = "HG00096 HG00097 HG00099"
    rows = ("22 16050075 A G 0|0 0|1 1|1", "22 16050115 G A 0|1 ./. 0|0", "22 16050700 A <DEL> 0|1 0|0 0|0")
    (tmp_path / "cohort.vcf").write_text(vcf(samples, *rows).text)
    names = {"cohort.vcf.gz": "cohort.vcf"}
    for command, expected in STEPS:
        if command.startswith("export"):
            environment |= dict(pair.split("=", 1) for pair in shlex.split(command)[1:])
            continue
        if "bcftools" in command:
            continue  # an outside tool: tests/conformance runs it
        line = re.sub("|".join(names), lambda found: names[found[0]], command)
        done = subprocess.run(line, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stderr)
        assert shape(done.stdout) == shape(expected), command
        if "request submit" in command:
            printed = re.search(r"extract (r-[0-9a-f]+)", TOUR)[1]
            names[printed] = re.search(r"r-[0-9a-f]+", done.stdout)[0]
