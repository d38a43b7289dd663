"""People who come one by one (D5): adding one, and reading them compacted, against bcftools, cyvcf2 and one joint import.

    python -m benchmarks.arrival --work FOLDER [--people 1001] [--span 1000000] [--merge-span 20000]

Prints the table of ``benchmarks/README.md``. Commands are timed as a whole, start included; reads inside one process, first touch (``ours``). Ratios are of processor time, which
holds better on a machine that does something else too; wall times stand beside. ``bcftools merge`` is run over ``--merge-span`` bases and counted for the whole span.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.arrival_cohort import Arrivals, arrivals
from benchmarks.cohorts import CONTIG
from benchmarks.ours import timed
from benchmarks.timing import Run, run
from policies.loci import Interval
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import KeyFileFactor
from vault.genotypes.catalog import datasets, parts
from vault.genotypes.catalog.dataset_reader import GenotypeReader
from vault.genotypes.store.selections import Selection
from vault.session.unlocked_vault import UnlockedVault, open_vault
from vault.subjects.references import registered_by

AT_ONCE = 50  # files of one import command
EARLY = 10  # people who are there when the first is measured
LATE = 3  # people who are measured one by one, early and late
READS = 5


@dataclass(frozen=True)
class Cost:
    """Seconds of wall and of processor time, median of some runs."""

    wall: float
    processor: float

    @staticmethod
    def of(runs: Sequence[Run]) -> Cost:
        """The medians."""
        return Cost(statistics.median(one.wall for one in runs), statistics.median(one.cpu for one in runs))

    def __str__(self) -> str:
        return f"{self.processor:.3g} s ({self.wall:.3g} s)"


@dataclass(frozen=True)
class Line:
    """A row of the table."""

    work: str
    ours: Cost
    peer: str
    theirs: Cost
    target: float

    def __str__(self) -> str:
        ratio = self.ours.processor / self.theirs.processor
        verdict = "met" if ratio <= self.target else "missed"
        return f"| {self.work} | {self.ours} | {self.peer} | {self.theirs} | {ratio:.3g} | ≤ {self.target:g} | {verdict} |"


class Genovault:
    """The command line over a vault of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.key_file = folder / "vault", folder / "key"
        self.key_file.write_bytes(os.urandom(32))
        self.key_file.chmod(0o600)
        self("init", self.folder, "--steward", "bench")

    def __call__(self, *arguments: str | Path) -> Run:
        own = Path(sys.executable).with_name("genovault")
        return run([own, "--vault", self.folder, "--key-file", self.key_file, *arguments])

    def load(self, files: Sequence[Path], *, more: bool = True, compact: bool = True) -> Run:
        """Import files."""
        chosen = (["--append"] if more else []) + ([] if compact else ["--no-compact"])
        return self("dataset", "import", *files, "--name", "cohort", "--assembly", "GRCh38", "--register", *chosen)

    def opened(self) -> UnlockedVault:
        """The vault, for reading inside this process."""
        return open_vault(self.folder, factor=KeyFileFactor.from_file(self.key_file))


def measure(files: Arrivals, merge_span: int, say: Callable[[str], None]) -> list[str]:
    """The rows of the table, and what is told beside it."""
    with TemporaryDirectory(dir=files.joint.parent) as made:
        vault, everyone = Genovault(Path(made)), files.gvcfs
        vault.load(everyone[:EARLY], more=False, compact=False)
        early = [vault.load([file]) for file in everyone[EARLY : EARLY + LATE]]
        say("the first people are there")
        rest = everyone[EARLY + LATE : -LATE]
        loaded = [vault.load(rest[at : at + AT_ONCE]) for at in range(0, len(rest), AT_ONCE)]
        say(f"{len(rest)} more were imported, joined by the way")
        whole = vault("dataset", "compact", "cohort")
        late = [vault.load([file]) for file in everyone[-LATE:]]
        alone = sum(1 for _ in files.gvcfs)
        per_person = sum(one.cpu for one in loaded) / max(1, len(rest))
        size = _sizes(files, Path(made) / "sizes")
        merged = _merged(files, merge_span, Path(made))
        say("bcftools has merged")
        vault("dataset", "compact", "cohort")
        ours, again = _reads(vault, files)
        (Path(made) / "joint").mkdir()
        once = Genovault(Path(made) / "joint")
        once.load([files.joint], more=False)
        joint, _ = _reads(once, files)
        theirs = _cyvcf2(files, Path(made))
    lines = [
        Line(f"add person {alone:,}", Cost.of(late), f"bcftools merge --gvcf of {alone:,}", merged, 0.01),
        Line(f"add person {alone:,}", Cost.of(late), f"add person {EARLY + 1}", Cost.of(early), 1.2),
        Line(f"read {alone:,} people, compacted", ours, "cyvcf2 on the joint BCF", theirs, 0.5),
        Line(f"read {alone:,} people, compacted", ours, "the same calls imported as one VCF", joint, 1.5),
    ]
    told = (
        f"Size of a person's part (calls and track) against the gVCF.gz: {size:.4f} (≤ 0.02). "
        f"Imported {AT_ONCE} files a command, joining included: {per_person:.2f} s of processor time a person; "
        f"`dataset compact` at the end: {whole.cpu:.1f} s. A second read of the same reader: {again}."
    )
    return [*map(str, lines), "", told]


def _sizes(files: Arrivals, folder: Path) -> float:
    """Bytes of twenty people's parts over those of their files."""
    folder.mkdir()
    some, vault = files.gvcfs[:20], Genovault(folder)
    vault.load(some, more=False, compact=False)
    stored = sum(path.stat().st_size for path in (vault.folder / "objects").rglob("*") if path.is_file())
    return stored / sum(path.stat().st_size for path in some)


def _merged(files: Arrivals, span: int, folder: Path) -> Cost:
    """``bcftools merge`` of everybody, as if over the whole span."""
    listed = folder / "files.txt"
    listed.write_text("".join(f"{path}\n" for path in files.gvcfs))
    last = min(files.last, files.first + span - 1)
    command = ["bcftools", "merge", "--gvcf", "-", "-m", "both", "-l", listed, "-r", f"{CONTIG}:{files.first}-{last}"]
    made = run(["sh", "-c", 'ulimit -n 4096; exec "$@"', "sh", *command, "-Ob", "-o", folder / "merged.bcf"])
    factor = (files.last - files.first + 1) / (last - files.first + 1)
    return Cost(made.wall * factor, made.cpu * factor)


def _reads(genovault: Genovault, files: Arrivals) -> tuple[Cost, Cost]:
    """First touch of everybody, and a second read of the same reader."""
    vault = genovault.opened()
    names = [path.name.split(".")[0] for path in files.gvcfs]
    found = registered_by(vault, names)
    people = [found[name][0] for name in names]
    keys = vault.keys.open_many(KeyPurpose.GENOTYPE, people)
    selection = Selection(regions=(Interval.from_positions(CONTIG, files.first, files.last),))

    first, again = list[Run](), list[Run]()
    for _ in range(READS + 1):
        parts.forget(vault)
        reader = GenotypeReader(vault, datasets.by_name(vault, "cohort"), people, keys)
        reader.derive()
        for into in (first, again):
            into.append(_timed(lambda: reader.read(selection)))  # noqa: B023 - called at once
    vault.close()
    return Cost.of(first[1:]), Cost.of(again[1:])


def _cyvcf2(files: Arrivals, folder: Path) -> Cost:
    """cyvcf2 with an open handle, over the joint calls as BCF."""
    from cyvcf2 import VCF

    bcf = folder / "joint.bcf"
    subprocess.run(["bcftools", "view", "-Ob", "-o", bcf, files.joint], check=True)
    subprocess.run(["bcftools", "index", bcf], check=True)
    reader = VCF(str(bcf))

    def read() -> Any:
        region = f"{CONTIG}:{files.first}-{files.last}"
        return np.array([record.genotype.array()[:, :2] for record in reader(region)], np.int8)

    return Cost.of([_timed(read) for _ in range(READS + 1)][1:])


def _timed(act: Callable[[], Any]) -> Run:
    before = time.process_time()
    wall, _ = timed(act)
    return Run(wall, time.process_time() - before, 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description="People who come one by one.")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "genovault" / "benchmarks")
    parser.add_argument("--people", type=int, default=1_001)
    parser.add_argument("--span", type=int, default=1_000_000, help="base pairs")
    parser.add_argument("--merge-span", type=int, default=20_000, help="base pairs that bcftools merges")
    options = parser.parse_args()
    files = arrivals(options.work, people=options.people, span=options.span)
    rows = measure(files, options.merge_span, lambda text: print(text, file=sys.stderr))
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
    print("| work | genovault | peer | its time | ratio | target | |\n|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
