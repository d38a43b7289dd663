"""Figures of published attacks, as ``docs/attacks.md`` shows them: each is measured by a test that also asserts its bound.

A page's section is an attack, and a row of its table one figure: what was measured, on what, without and with the guard, and the bound.
``shown`` compares a figure with its row. With GENOVAULT_ATTACKS=write it writes the row instead, into the section's table.
"""

from __future__ import annotations

import fcntl
import inspect
import os
import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.sources import ROOT, relative

PAGE = ROOT / "docs" / "attacks.md"
HEAD = "| measured | on | guard off | guard on | bound | shown by |\n|---|---|---|---|---|---|\n"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")

Value = float | str | None
"""A share, a number of things (int), or words; None where a test measures the other side only."""


@dataclass(frozen=True)
class Row:
    """A row as it is printed, its six cells."""

    measured: str
    on: str
    off: str
    guarded: str
    bound: str
    shown_by: str

    @property
    def text(self) -> str:
        return f"| {self.measured} | {self.on} | {self.off} | {self.guarded} | {self.bound} | `{self.shown_by}` |\n"


def rows(page: str) -> dict[str, Row]:
    """Rows of all tables by what they measure. Raises AssertionError where two measure the same."""
    found: dict[str, Row] = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 6 and cells[0] != "measured":
            assert cells[0] not in found, f"two rows: {cells[0]}"
            found[cells[0]] = Row(*cells[:5], cells[5].strip("`"))
    return found


def sections(page: str) -> dict[str, str]:
    """Text of each section by its heading."""
    parts = re.split(r"^## (.+)\n", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def shown(
    attack: str,
    measured: str,
    *,
    on: str,
    off: Value = None,
    guarded: Value = None,
    bound: str,
    tolerance: float = 0.05,
    by: str = "",
) -> None:
    """Hold a figure against the page, or write it there. ``by``: what shows it, if not the test's file that calls.

    Raises AssertionError where the page has no such row, or another figure than within ``tolerance``.
    """
    by = by or relative(Path(inspect.stack()[1].filename))
    if os.environ.get("GENOVAULT_ATTACKS") == "write":
        _write(attack, Row(measured, on, _text(off), _text(guarded), bound, by))
        return
    page = PAGE.read_text(encoding="utf-8")
    row = rows(sections(page)[attack]).get(measured)
    assert row is not None, f"docs/attacks.md does not show {measured!r}: GENOVAULT_ATTACKS=write writes it"
    assert (row.on, row.bound, row.shown_by) == (on, bound, by)
    for said, value in ((row.off, off), (row.guarded, guarded)):
        assert value is None or _alike(said, value, tolerance), f"{measured}: the page says {said}, it was {_text(value)}"


def _text(value: Value) -> str:
    return "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def _alike(said: str, value: float | str, tolerance: float) -> bool:
    if isinstance(value, str):
        return said == value
    return NUMBER.fullmatch(said) is not None and abs(float(said) - value) <= tolerance + 0.005  # the page rounds


def _write(attack: str, row: Row) -> None:
    """Put a row in the place of the one that measures the same, or at the end of its section's table."""
    with PAGE.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # tests run side by side
        page = file.read()
        before, heading, rest = page.partition(f"## {attack}\n")
        assert heading, f"docs/attacks.md has no section {attack!r}"
        body, following, tail = rest.partition("\n## ")
        old = rows(body).get(row.measured)
        if old is not None:
            row = Row(row.measured, row.on, row.off or old.off, row.guarded or old.guarded, row.bound, row.shown_by)
            body = body.replace(old.text, row.text)
        elif HEAD in body:
            table, end = body.rsplit(" |\n", 1)
            body = f"{table} |\n{row.text}{end}" if not table.endswith("---") else body.replace(HEAD, HEAD + row.text)
        else:
            body = f"{body.rstrip()}\n\n{HEAD}{row.text}"
        file.seek(0)
        file.truncate()
        file.write(before + heading + body + following + tail)
