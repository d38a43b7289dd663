"""Cost of many parts of the same people: a cohort imported contig by contig beside the same calls imported at once, in turn, in one run.

    python -m benchmarks.layouts [--people 5000] [--parts 25] [--sites 200] [--rounds 9] [--work FOLDER]

Two vaults hold the same drawn calls of everybody, all of whom accept research: one as a single part, one as ``--parts`` parts of a contig
each. Printed: rows that say where people's blocks are, and for each kind of work the medians and the median of the ratios of pairs of runs, by wall
time and by processor time (which says less about the disk and more about a shared machine). A decision is everybody's, from the books, with nothing kept; the view is of a region of one contig, with nothing kept (as a command
opens it) and by a vault that has shown another (as an engine does).
"""

from __future__ import annotations

import argparse
import csv
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from sqlalchemy import func, select

from benchmarks.timing import show
from policies.declarations import project_template
from vault import gate
from vault.access import projects
from vault.consent import cohort_decisions, ledger, recording
from vault.crypto.keystore import PassphraseFactor
from vault.crypto.primitives import Argon2Profile
from vault.files.yaml_documents import parse_yaml
from vault.genotypes.catalog import datasets, parts
from vault.genotypes.import_job import import_files
from vault.genotypes.import_plan import ImportOptions
from vault.operations.create import init
from vault.session.unlocked_vault import UnlockedVault, open_vault
from vault.storage.book_tables import LayoutMemberRow

FACTOR = PassphraseFactor.from_text("of no secret")
GENOTYPES = np.array([b"0|0", b"0|1", b"1|1"])


@dataclass
class Row:
    """One kind of work on both vaults: the runs of each, in turn, in seconds of wall and of processor time."""

    work: str
    one: list[tuple[float, float]] = field(default_factory=list)
    many: list[tuple[float, float]] = field(default_factory=list)

    def text(self, target: str) -> str:
        """A line of the table in README.md."""
        cells = [self.work]
        for clock in (0, 1):
            one, many = ([run[clock] for run in runs] for runs in (self.one, self.many))
            ratio = statistics.median(b / a for a, b in zip(one, many, strict=True))
            cells += [show(statistics.median(one)), show(statistics.median(many)), f"{ratio:.2f}"]
        return f"| {' | '.join([*cells, target])} |"


def drawn(folder: Path, people: int, contigs: list[str], sites: int) -> list[Path]:
    """A file for each contig, of the same people."""
    random, files = np.random.default_rng(1), []
    head = "##fileformat=VCFv4.3\n" + "".join(f"##contig=<ID={contig}>\n" for contig in contigs)
    names = "\t".join(f"P{at}" for at in range(people))
    for contig in contigs:
        lines = [f"{head}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{names}\n".encode()]
        for site in range(sites):
            calls = GENOTYPES[random.choice(3, people, p=[0.8, 0.15, 0.05])]
            lines.append(f"{contig}\t{10 * site + 10}\t.\tA\tG\t.\tPASS\t.\tGT\t".encode() + b"\t".join(calls) + b"\n")
        files.append(folder / f"{contig}.vcf")
        files[-1].write_bytes(b"".join(lines))
    return files


def made(folder: Path, batches: list[list[Path]]) -> UnlockedVault:
    """A vault in which each batch is a part, everybody accepts, and a project is approved."""
    init(folder, steward="ann", factor=FACTOR, profile=Argon2Profile.TEST_ONLY)
    vault = open_vault(folder, factor=FACTOR, principal="ann")
    for at, files in enumerate(batches):
        options = ImportOptions(append=at > 0, unknown="register")
        import_files(vault, files, name="cohort", assembly="GRCh38", options=options)
    header, rows = recording.blank_sheet(vault, "broad-research", accept=True)
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    recording.import_answers(vault, text.getvalue().encode(), "broad-research")
    projects.create(vault, parse_yaml(project_template("demo", "cohort").encode(), name="template"))
    projects.change(vault, "demo", "approve")
    return vault


def decided(vault: UnlockedVault) -> None:
    """Decide everybody, with nothing kept of before."""
    vault.caches.clear()
    ids = [datasets.by_name(vault, "cohort").dataset_id]
    purpose = projects.load(vault, "demo").declaration.purpose
    with vault.books.read() as tx:
        known = cohort_decisions.cached_decision_classes(vault, ledger.read(tx, vault))
        held = cohort_decisions.members(vault, tx, ids)
        asked = cohort_decisions.decision_request(vault, tx, purpose, legal_at=datetime.now(tz=UTC), datasets=ids)
        cohort_decisions.decide_members(known, held, asked)


def viewed(vault: UnlockedVault, region: str, *, cold: bool) -> None:
    """View a region; ``cold``: with nothing kept of before."""
    if cold:
        vault.caches.clear()
    gate.view(vault, project="demo", dataset="cohort", regions=[region])


def places(vault: UnlockedVault) -> int:
    """Rows that say where people's blocks are."""
    with vault.books.read() as tx:
        return tx.scalar(select(func.count()).select_from(LayoutMemberRow)) or 0


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("people", 5_000), ("parts", 25), ("sites", 200), ("rounds", 9)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--work", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.work) as scratch:
        folder, contigs = Path(scratch), [*map(str, range(1, 23)), "X", "Y", "MT"][: asked.parts]
        files = drawn(folder, asked.people, contigs, asked.sites)
        one, many = made(folder / "one", [files]), made(folder / "many", [[file] for file in files])
        region = f"{contigs[len(contigs) // 2]}:1-{5 * asked.sites}"
        works: dict[str, Callable[[UnlockedVault], None]] = {
            "everybody decided": decided,
            "a view of half a contig, nothing kept": lambda vault: viewed(vault, region, cold=True),
            "a view of half a contig, later": lambda vault: viewed(vault, region, cold=False),
        }
        rows = {work: Row(work) for work in works}
        for turn in range(asked.rounds + 1):  # the first is not counted
            for work, act in works.items():
                for vault, runs in ((one, rows[work].one), (many, rows[work].many)):
                    began = time.perf_counter(), time.process_time()
                    act(vault)
                    if turn:
                        runs.append((time.perf_counter() - began[0], time.process_time() - began[1]))
        count = len(parts.list_all(many, datasets.by_name(many, "cohort").dataset_id))
        sizes = f"{asked.people:,} people, {asked.sites * len(contigs):,} sites"
        print(f"| {sizes} | wall: 1 part | {count} parts | ratio | processor: 1 part | {count} parts | ratio | target |")
        print("|---|---|---|---|---|---|---|---|")
        print(f"| people rows | {places(one):,} | {places(many):,} | {places(many) / places(one):.2f} | | | | ≤ 1.05 |")
        for work in rows.values():
            print(work.text("≤ 1.2"))
        one.close()
        many.close()


if __name__ == "__main__":
    main()
