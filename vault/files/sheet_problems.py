"""Problems of a sheet by line and column, and the error that holds them. Nothing of the sheet is repeated in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vault.errors import InputError

MAP_HINT = "nothing was imported; genovault subject template --columns prints a COLUMNS.yaml to fill in, for --map COLUMNS.yaml"
_SUMMARY_LINES = 5  # problems spelled out in the error's message; the rest is counted
_NUMBERS = 12  # of unknown columns that are named


@dataclass(frozen=True)
class Problem:
    """A problem of a sheet: physical line (1 = header; 0: of a single record), column name or "" for the whole line, and the reason."""

    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        place = ", ".join(part for part in (f"line {self.line}" if self.line else "", self.column) if part)
        return f"{place}: {self.reason}" if place else self.reason


class SheetRejectedError(InputError):
    """The sheet has problems; ``problems`` holds every one in line order. Code "sheet_rejected"."""

    def __init__(self, problems: Sequence[Problem], *, source: str = "the sheet", hint: str = "") -> None:
        ordered = tuple(sorted(problems, key=lambda problem: problem.line))
        shown = "; ".join(str(problem) for problem in ordered[:_SUMMARY_LINES])
        more = len(ordered) - _SUMMARY_LINES
        tail = f"; and {more:,} more" if more > 0 else ""
        of_a_sheet = not ordered or ordered[0].line > 0
        usual = "nothing was imported; mend the sheet and try again" if of_a_sheet else "nothing was recorded"
        super().__init__("sheet_rejected", f"{source} is rejected: {shown}{tail}", hint=hint or usual)
        self.problems = ordered


def rejected(problems: Sequence[Problem], *, source: str = "the sheet", hint: str = "") -> SheetRejectedError:
    """Make the error for problems of a sheet, or found in the books (a record number that another subject has)."""
    return SheetRejectedError(problems, source=source, hint=hint)


def unknown_columns(line: int, positions: Sequence[int], expected: str) -> Problem:
    """Make the one problem of all columns that are not known, by number: a heading may be somebody's data where the header is missing."""
    shown = ", ".join(map(str, positions[:_NUMBERS])) + (" …" if len(positions) > _NUMBERS else "")
    which = f"column {shown} is not one" if len(positions) == 1 else f"{len(positions):,} columns ({shown}) are not"
    return Problem(line, "", f"{which} of this sheet's; {expected}")
