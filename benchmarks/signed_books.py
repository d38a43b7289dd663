"""Cost of signed books: this checkout beside an earlier one, and a vault of many signed rows beside one of few, in turn, in one run.

    git worktree add ../before 4e26e28                                     # the last commit whose books nothing signed
    python -m benchmarks.signed_books --before ../before [--work FOLDER] [--rounds 7] [--rows 1000] [--scale 1]

Each checkout runs in a process of its own, under this Python (``side.py``): every command line is run there in turn with the other
side's, so that a ratio does not move with the machine. Process start and imports are not in the figures. Printed for each row: the
medians, and the median of the ratios of pairs of runs, by wall time and by processor time (which says less about the disk and more
about a shared machine). Without ``--before`` only the rows of many against few.

``--rows``: signed rows of the large vault, half of them projects, half forms' and projects' other records, as requests. The cohort
is D1 of ``cohorts.py``, 2,504 people; what is extracted is its first thousand sites.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.cohorts import cohort
from benchmarks.timing import show

HERE = Path(__file__).resolve().parent.parent
REGION_SITES = 1_000
VIEWS = 5  # by one open vault, for each round
Runs = dict[str, list[float]]


class Side:
    """A process of one checkout."""

    def __init__(self, checkout: Path, key_file: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(checkout), "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("side.py"), key_file],
            env=environment,
            cwd=checkout,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def ask(self, **asked: Any) -> dict[str, Any]:
        """Answer to one line of ``side.py``. Raises RuntimeError: the process has ended."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a side has ended; what it said is above")
        return dict(json.loads(line))

    def command(self, folder: Path, *arguments: object) -> dict[str, Any]:
        """Run a command line on a vault."""
        return self.ask(command=["--vault", str(folder), *map(str, arguments)])


@dataclass
class Row:
    """One kind of work on two sides: the runs of each, in turn."""

    work: str
    target: str
    ours: Runs = field(default_factory=lambda: {"wall": [], "cpu": []})
    other: Runs = field(default_factory=lambda: {"wall": [], "cpu": []})

    def add(self, runs: Runs, found: Mapping[str, Any]) -> None:
        """Take in what a side measured."""
        for clock in runs:
            runs[clock] += found[clock]

    def text(self) -> str:
        """A line of the table in README.md."""
        cells = [self.work]
        for clock in ("wall", "cpu"):
            ours, other = self.ours[clock], self.other[clock]
            ratio = statistics.median(a / b for a, b in zip(ours, other, strict=True))
            cells += [show(statistics.median(ours)), show(statistics.median(other)), f"{ratio:.2f}"]
        return f"| {' | '.join([*cells, self.target])} |"


@dataclass(frozen=True)
class Work:
    """A cohort's file, the region of its first sites, and where vaults are made."""

    file: Path
    folder: Path
    region: str
    key_file: Path

    def vault(self, side: Side, name: str) -> Path:
        """A new vault of a name."""
        folder = self.folder / name
        side.ask(command=["init", str(folder), "--steward", "ann"])
        return folder


def take_in(side: Side, work: Work, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Import the cohort and everybody's acceptance; what each took."""
    named = ("--name", "cohort", "--assembly", "GRCh38", "--register")
    imported = side.command(folder, "dataset", "import", work.file, *named)
    sheet = work.folder / "answers.csv"
    sheet.write_text(side.command(folder, "consent", "sheet", "broad-research", "--accept")["printed"])
    return imported, side.command(folder, "consent", "import", sheet, "--form", "broad-research")


def declare(side: Side, work: Work, folder: Path) -> str:
    """An approved project with an open request; the request's id."""
    declaration = work.folder / "demo.yaml"
    declaration.write_text(template(side, folder, "demo"))
    side.command(folder, "project", "create", declaration)
    side.command(folder, "project", "approve", "demo")
    return submit(side, work, folder)


def template(side: Side, folder: Path, code: str) -> str:
    return str(side.command(folder, "project", "template", "--code", code, "--dataset", "cohort")["printed"])


def submit(side: Side, work: Work, folder: Path) -> str:
    asked = side.command(
        folder, "request", "submit", "--project", "demo", "--dataset", "cohort", "--region", work.region, "--json"
    )
    return str(json.loads(asked["printed"])["request"])


def against(now: Side, before: Side, work: Work, rounds: int) -> list[Row]:
    """Whole steps of a steward's day on both sides; the first round of each is not counted."""
    most = "≤ 1.05"
    rows = {
        name: Row(name, target)
        for name, target in {
            "import": most,
            "consent import": most,
            "unlock and open": "≤ +10 ms",
            "project check (2,504 decisions)": most,
            "extract, 1,000 sites": most,
            "extract, everything": most,
            "view, 1,000 sites, by an open vault": most,
        }.items()
    }
    for at in range(rounds + 1):
        for side, name in ((now, "now"), (before, "before")):
            folder = work.vault(side, f"{name}{at}")
            found = dict(zip(rows, take_in(side, work, folder), strict=False))
            request = declare(side, work, folder)
            found["unlock and open"] = side.ask(open=str(folder))
            found["project check (2,504 decisions)"] = side.command(folder, "project", "check", "demo")
            found["extract, 1,000 sites"] = side.command(folder, "extract", request, "--output", work.folder / f"{name}{at}-out")
            whole = side.command(folder, "request", "submit", "--project", "demo", "--dataset", "cohort", "--json")
            everything = json.loads(whole["printed"])["request"]
            output = work.folder / f"{name}{at}-all"
            found["extract, everything"] = side.command(folder, "extract", everything, "--output", output)
            asked = {"project": "demo", "dataset": "cohort", "regions": [work.region]}
            found["view, 1,000 sites, by an open vault"] = side.ask(view=str(folder), asked=asked, times=VIEWS)
            shutil.rmtree(folder)
            if at:
                for row in rows.values():
                    row.add(row.ours if side is now else row.other, found[row.work])
        print(f"round {at} of {rounds}", file=sys.stderr)
    return list(rows.values())


def many(now: Side, work: Work, rounds: int, count: int) -> list[Row]:
    """One vault of few signed rows and its copy with ``count`` of them, by turns."""
    few = work.vault(now, "few")
    take_in(now, work, few)
    declare(now, work, few)
    large = work.folder / "many"
    shutil.copytree(few, large)
    now.ask(projects=str(large), texts=[template(now, large, f"p{at}") for at in range(count // 2)])
    for _ in range(count - count // 2):
        submit(now, work, large)
    names = ("unlock and open", "dataset list", "project check", "view, 1,000 sites, by an open vault")
    rows = {name: Row(f"{name}: {count:,} signed rows, few", "≤ +10 ms") for name in names}
    asked = {"project": "demo", "dataset": "cohort", "regions": [work.region]}
    for at in range(rounds + 1):
        for folder in (large, few):
            found = {
                "unlock and open": now.ask(open=str(folder)),
                "dataset list": now.command(folder, "dataset", "list"),
                "project check": now.command(folder, "project", "check", "demo"),
                names[-1]: now.ask(view=str(folder), asked=asked, times=VIEWS),
            }
            if at:
                for name, row in rows.items():
                    row.add(row.ours if folder is large else row.other, found[name])
    return list(rows.values())


@contextmanager
def prepared(kept: Path, scale: float) -> Iterator[Work]:
    """The cohort, kept in a folder, and room for vaults beside it."""
    file = cohort("D1", kept, scale=scale)
    listed = subprocess.run(
        ["bcftools", "query", "-f", "%POS\n", file], capture_output=True, text=True, check=True
    ).stdout.split()
    region = f"22:{listed[0]}-{listed[min(REGION_SITES, len(listed)) - 1]}"
    folder = Path(tempfile.mkdtemp(dir=kept))
    try:
        key_file = folder / "key"
        key_file.touch(mode=0o600)
        key_file.write_bytes(os.urandom(32))
        yield Work(file, folder, region, key_file)
    finally:
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description="What signed books cost.")
    parser.add_argument("--before", type=Path, help="checkout of an earlier commit")
    parser.add_argument(
        "--work", type=Path, default=Path.home() / ".cache" / "genovault" / "benchmarks", help="folder that keeps cohorts"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=1_000, help="signed rows of the large vault; 0: no such vault")
    parser.add_argument("--scale", type=float, default=1.0, help="share of people and sites")
    options = parser.parse_args()
    with prepared(options.work, options.scale) as work, ExitStack() as sides:
        now = sides.enter_context(Side(HERE, work.key_file))
        found: list[Row] = []
        if options.before is not None:
            before = sides.enter_context(Side(options.before.resolve(), work.key_file))
            found += against(now, before, work, options.rounds)
        if options.rows:
            found += many(now, work, options.rounds, options.rows)
    print("| work | wall: now | before, or few | ratio | processor: now | before, or few | ratio | target |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(row.text() for row in found))


if __name__ == "__main__":
    main()
