"""A program of somebody else's that uses the wheel is type-checked against it, and nothing that it touches is ``Any``."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.support.sources import ROOT, exists

PAGE = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")
SHAPE = "tuple[Any, ...]"  # numpy's own: an array of any number of dimensions

RIGHT = """
import vault
from vault.views.view import View

def names(view: View) -> list[str]:
    return [str(name) for name in view.pseudonyms]

def main() -> int:
    try:
        with vault.open("v", principal="engine", key_file="engine.key") as v:
            view = v.view(project="demo", dataset="cohort", regions=["22:1-100"])
    except vault.RefusedError as error:
        print(error.code, error.message, error.hint)
        return 3
    reveal_type(v)
    reveal_type(view)
    reveal_type(view.pseudonyms)
    reveal_type(view.sites)
    reveal_type(view.sites.contigs)
    reveal_type(view.sites.contig)
    reveal_type(view.sites.pos)
    reveal_type(view.sites.alleles.items())
    reveal_type(view.genotypes)
    reveal_type(view.phased)
    reveal_type(view.codes)
    reveal_type(view.escapes)
    reveal_type(view.assembly)
    reveal_type(view.not_assayed)
    reveal_type(view.receipt)
    return len(names(view))

def served(token: str) -> int:
    with vault.connect("https://vault.example:8420", token=token, certificate="ca.pem") as c:
        panel = c.panel("demo", dataset="cohort", name="pgx")
        rows = panel.genotypes(["demo1x"])
        told = panel.changes(rows.cursor, wait=25)
        reveal_type(c)
        reveal_type(c.projects())
        reveal_type(panel)
        reveal_type(rows)
        reveal_type(rows.pseudonyms)
        reveal_type(rows.by_person)
        reveal_type(rows.genotypes)
        reveal_type(rows.phased)
        reveal_type(rows.sites)
        reveal_type(told.drop)
        reveal_type(panel.match("pgx@1").criteria)
        reveal_type(panel.follow().rows)
        for change in panel.follow():
            reveal_type(change.added)
    return rows.entry
"""

WRONG = """
import vault
with vault.open("v", keyfile="engine.key") as v:  # 3
    v.view(project="demo", dataset="cohort", panels=["pgx"])  # 4
    v.view(dataset="cohort")  # 5
    view = v.view(project="demo", dataset="cohort", regions=22)  # 6
    print(view.subjects)  # 7
    count: int = view.receipt  # 8
    view.assembly = "GRCh38"  # 9
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory) -> str:
    """What mypy --strict says of programs beside the wheel, in an environment that holds the wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("program")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("genovault-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    venv.create(folder / "env", with_pip=False)
    (packages,) = (folder / "env").glob("lib/python*/site-packages")
    (packages / "beside.pth").write_text(f"{folder / 'site'}\n{Path(np.__file__).parents[1]}\n")
    (folder / "right.py").write_text(RIGHT)
    (folder / "wrong.py").write_text(WRONG)
    for path in (ROOT / "examples" / "matching_engine").glob("*.py"):
        (folder / path.name).write_text(path.read_text())
    programs = sorted(path.name for path in folder.glob("*.py"))
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context"]
    command += ["--python-executable", str(folder / "env" / "bin" / "python"), *programs]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert not done.stderr, done.stderr
    return done.stdout


def said_of(checked: str, name: str) -> list[str]:
    return [line for line in checked.splitlines() if line.startswith(f"{name}:")]


def test_a_program_is_typed_and_nothing_it_touches_is_any(checked):
    said = said_of(checked, "right.py")
    assert [line for line in said if ": error:" in line] == []
    assert len(said) == RIGHT.count("reveal_type")
    for line in said:
        assert "Any" not in line.replace(SHAPE, ""), line


def test_wrong_uses_are_rejected(checked):
    lines = {int(found[1]) for line in said_of(checked, "wrong.py") if (found := re.match(r"wrong\.py:(\d+): error:", line))}
    assert lines == {int(number) for number in re.findall(r"# (\d)$", WRONG, re.MULTILINE)}


def test_the_example_engine_is_such_a_program(checked):
    for path in (ROOT / "examples" / "matching_engine").glob("*.py"):
        assert said_of(checked, path.name) == []


def test_the_page_has_every_field_and_argument():
    fields = set(re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", PAGE, re.MULTILINE))
    named = {name for row in fields for name in re.findall(r"`(\w+)`", row)}
    touched = set(re.findall(r"view\.(?:sites\.)?(\w+)", RIGHT)) - {"View"}
    assert touched <= named, touched - named
    assert {"path", "principal", "passphrase", "key_file", "project", "dataset", "panel", "regions"} <= named
    for name in sorted(touched - {"sites"}):
        assert exists(f"vault.views.view.View.{name}") or exists(f"vault.genotypes.sites.Sites.{name}"), name
