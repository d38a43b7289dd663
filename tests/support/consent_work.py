"""Sheets of answers, projects and a cohort without answers, for tests of a steward's work on consent."""

from __future__ import annotations

import atexit
import csv
import io
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
import yaml

from policies.declarations import project_template
from tests.support.held import Held
from tests.support.shell import cohort
from vault import gate
from vault.access import projects
from vault.consent import recording
from vault.files.sheet_problems import SheetRejectedError
from vault.subjects.sheet_import import import_sheet
from vault.subjects.subject_sheet import read_subject_sheet

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
FORM = "broad-research"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now

    def forward(self, **by: int) -> None:
        self.now += timedelta(**by)


def twelve(folder: Path, clock: Clock) -> Held:
    """A vault of twelve subjects with genotypes and no answers; SAMPLE_1 a child in Germany, SAMPLE_2 a child in the United Kingdom.

    The clock is set to when the vault was filled.
    """
    template, clock.now = _filled()
    shutil.copytree(template, folder, dirs_exist_ok=True)
    return Held.of(folder, clock=clock)


@cache
def _filled() -> tuple[Path, datetime]:
    folder, clock = Path(tempfile.mkdtemp(prefix="genovault-tests-")), Clock()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = Held.make(folder, clock=clock)
    lines = ["sample_id,mrn,birth_date,country", "SAMPLE_1,M1,2010-02-28,DE", "SAMPLE_2,M2,2010-07-01,GB"]
    rows = read_subject_sheet(made.write("s.csv", "\n".join(lines)), today=START.date())
    import_sheet(made.vault, rows)
    made.load(made.write("c.vcf", cohort().data))
    made.vault.close()
    return folder, clock.now


def sheet(*rows: dict[str, str]) -> bytes:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def refused(held: Held, *rows: dict[str, str], form: str = FORM) -> list[tuple[int, str]]:
    """Where a sheet is refused; nothing of it is recorded."""
    before = held.traces()
    with pytest.raises(SheetRejectedError) as caught:
        recording.import_answers(held.vault, sheet(*rows), form)
    assert held.traces() == before
    return [(problem.line, problem.column) for problem in caught.value.problems]


def permits(held: Held, code: str = "demo") -> int:
    return gate.check(held.vault, code).permit


def guardian(sample: str, name: str, **more: str) -> dict[str, str]:
    return {"subject": sample, "research_use": "yes", "signer": "guardian", "signed_by": name, **more}


def disease_project(held: Held, **purpose: object) -> None:
    document = yaml.safe_load(project_template("lungs", "cohort"))
    document["purpose"] |= {"use_kinds": ["disease"], "diseases": ["MONDO:0008903"], **purpose}
    projects.create(held.vault, document)
    projects.change(held.vault, "lungs", "approve")
