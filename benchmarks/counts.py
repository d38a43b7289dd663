"""Time of an answer to a question for presence: charge, stored answer, durable entry and receipt, with the cohort's table warm.

    python -m benchmarks.counts [--people 2504] [--sites 1500] [--questions 200]

One page of made-up sites is counted by the first question, which is shown by itself; then each question is of one new allele. Asked
again, an answer is the stored one. Beside them: how long a bare durable commit of SQLite takes here.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import yaml
from pysqlite3 import dbapi2

from policies.declarations import project_template
from policies.disclosure.budgets import BudgetScope
from policies.purposes import RequestKind
from vault import gate
from vault.access import projects
from vault.access.disclosure import raises
from vault.consent import recording
from vault.crypto.keystore import PassphraseFactor
from vault.crypto.primitives import Argon2Profile
from vault.genotypes import import_job
from vault.operations.create import init
from vault.operations.recovery import open_recovered
from vault.session.unlocked_vault import UnlockedVault

FORM = "broad-research"
FACTOR = PassphraseFactor.from_text("correct horse canary staple")


def made(folder: Path, people: int, sites: int) -> UnlockedVault:
    """A vault of people who consent to a project that declares presence, with budgets for a thousand alleles."""
    init(folder / "v", steward="ann", factor=FACTOR, profile=Argon2Profile.TEST_ONLY)
    vault = open_recovered(folder / "v", factor=FACTOR)
    draw = np.random.default_rng(1)
    spelled = np.array(["0/0", "0/1", "1/1"])
    with (folder / "in.vcf").open("w") as file:
        names = "\t".join(f"P{at:05}" for at in range(people))
        file.write(
            "##fileformat=VCFv4.2\n##contig=<ID=22>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + names + "\n"
        )
        for at in range(sites):
            calls = spelled[draw.binomial(2, draw.beta(0.2, 2), people)]
            file.write(f"22\t{position(at)}\t.\tA\tG\t.\tPASS\t.\tGT\t" + "\t".join(calls) + "\n")
    options = import_job.ImportOptions(unknown="register")
    import_job.import_files(vault, [folder / "in.vcf"], name="cohort", assembly="GRCh38", options=options)
    header, rows = recording.blank_sheet(vault, FORM, accept=True)
    sheet = io.StringIO()
    csv.writer(sheet).writerows([header, *rows])
    recording.import_answers(vault, sheet.getvalue().encode(), FORM)
    document = yaml.safe_load(project_template("demo", "cohort")) | {"kinds": ["presence"]}
    projects.create(vault, document)
    projects.change(vault, "demo", "approve")
    for scope in BudgetScope:
        raises.raise_budget(vault, "demo", "100", reason="a benchmark", scope=scope)
    return vault


def position(at: int) -> int:
    """Position of a site, all in one page."""
    return 2**14 + 1 + 10 * at


def timed(act: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of a call, by the wall and of the processor."""
    begun, used = perf_counter(), process_time()
    act()
    return 1e3 * (perf_counter() - begun), 1e3 * (process_time() - used)


def commits(folder: Path, n: int = 200) -> list[tuple[float, float]]:
    """Milliseconds of bare durable commits."""
    connection = dbapi2.connect(str(folder / "bare.db"), isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t (x)")
    found = [timed(lambda: connection.execute("INSERT INTO t VALUES (1)")) for _ in range(n)]
    connection.close()
    return found


def told(name: str, times: Sequence[tuple[float, float]]) -> None:
    """Print a row."""
    wall, used = (sorted(column) for column in zip(*times, strict=True))
    print(
        f"{name:44} p50 {statistics.median(wall):7.2f} ms   p99 {wall[int(0.99 * (len(wall) - 1))]:7.2f} ms   processor"
        f" {statistics.median(used):7.2f} ms   n {len(wall)}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=2_504)
    parser.add_argument("--sites", type=int, default=1_500)
    parser.add_argument("--questions", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        vault = made(folder, given.people, given.sites)

        def ask(at: int) -> object:
            return gate.counts(
                vault, project="demo", dataset="cohort", kind=RequestKind.PRESENCE, alleles=[f"22:{position(at)}:A:G"]
            )

        told("first: the page is counted from the blocks", [timed(lambda: ask(0))])
        told(
            "a new allele: drawn, charged, stored, logged", [timed(lambda at=at: ask(at)) for at in range(1, given.questions + 1)]
        )
        told("the same again: stored, logged", [timed(lambda at=at: ask(at)) for at in range(1, given.questions + 1)])
        vault.close()
        told("a bare durable commit of SQLite", commits(folder))
        print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
