"""genovault's side: one process that opens a vault and times what a reader does there, net of the process's start.

    python -m benchmarks.ours VAULT KEY_FILE PLAN.json        prints {task: {"seconds": […], "digest": …}}

"First touch": an open vault that holds no table and no block, with the block keys of the subjects derived. "Again": the same
``GenotypeReader``, its chunks decoded. "Another subject": as first touch, but the panel's site table, shared by all subjects, is
open, and the books were asked where its blocks lie when the reader was made. Reads go through ``dataset_reader``, below the gate,
because the peers decide and log nothing; the gate's own share has a row of its own.
"""

from __future__ import annotations

import gc
import hashlib
import io
import json
import sys
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from policies.loci import Interval
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import KeyFileFactor
from vault.extracts.bcf import write_bcf
from vault.extracts.vcf import write_vcf
from vault.genotypes.catalog import datasets, panel_blocks, panel_builder, panels, parts
from vault.genotypes.catalog.dataset_reader import GenotypeReader
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.loci import Locus
from vault.genotypes.store.part_merge import Calls
from vault.genotypes.store.selections import PanelLoci, Selection
from vault.ids import SubjectId
from vault.session.unlocked_vault import open_vault
from vault.subjects.references import registered_by
from vault.views.deidentify import Deidentified
from vault.views.site_selection import Profile
from vault.views.view import View

KEPT = 1 << 31  # bytes of decoded chunks for the "again" rows
ANOTHER = 20  # people read one after another for "another subject"
WARM = 1  # runs of each task that are not counted


def digest(matrix: np.ndarray) -> str:
    """SHA-256 of int8 allele numbers, -1 missing."""
    return hashlib.sha256(np.ascontiguousarray(matrix, np.int8).tobytes()).hexdigest()


def timed(act: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came of it. As ``timeit`` does, without the collector of rubbish."""
    gc.disable()
    try:
        started = time.perf_counter()
        made = act()
        return time.perf_counter() - started, made
    finally:
        gc.enable()


class Bench:
    """A vault under measurement. ``plan``: samples in file order, the half asked for, a region, a site, a panel's positions."""

    def __init__(self, folder: Path, key_file: Path, plan: dict[str, Any]) -> None:
        self.plan = plan
        self._panel: Selection | None = None
        self.vault = vault = open_vault(folder, factor=KeyFileFactor.from_file(key_file))
        self.dataset: Dataset = datasets.by_name(vault, "cohort")
        found = registered_by(vault, plan["samples"])
        self.everyone = [found[name][0] for name in plan["samples"]]
        self.half = [found[name][0] for name in plan["half"]]

    def region(self) -> Selection:
        contig, first, last = self.plan["region"]
        return Selection(regions=(Interval.from_positions(contig, first, last),))

    def site(self) -> Selection:
        contig, position = self.plan["site"]
        return Selection(regions=(Interval.from_positions(contig, position, position),))

    def panel(self) -> Selection:
        if self._panel is None:
            loci = tuple(Locus(Interval.from_positions(contig, position, position)) for contig, position in self.plan["panel"])
            names = {panel.name for panel in panels.list_all(self.vault)}
            made = (
                panels.by_name(self.vault, "bench")
                if "bench" in names
                else panel_builder.create(self.vault, self.dataset, "bench", loci)
            )
            self._panel = Selection(panel=PanelLoci(made.panel_id, made.index))
        return self._panel

    def first_touch(self, subjects: list[SubjectId], act: Callable[[GenotypeReader], Any]) -> tuple[float, Any]:
        vault = self.vault
        parts.forget(vault)
        panel_blocks.forget(vault)
        keys = vault.keys.open_many(KeyPurpose.GENOTYPE, subjects)
        reader = GenotypeReader(vault, self.dataset, subjects, keys)
        reader.derive()
        return timed(lambda: act(reader))

    def read(self, selection: Selection, subjects: list[SubjectId]) -> Callable[[], tuple[float, Any]]:
        return lambda: self.first_touch(subjects, lambda reader: reader.read(selection))

    def another(self, selection: Selection) -> Callable[[], tuple[float, Any]]:
        """Panel read of one more person, as a matching engine makes it: the panel's site table is open, the person's blocks are not."""
        keys = self.vault.keys.open_many(KeyPurpose.GENOTYPE, self.half)
        people = cycle(self.half)

        def once() -> tuple[float, Any]:
            readers = [GenotypeReader(self.vault, self.dataset, [next(people)], keys) for _ in range(ANOTHER)]
            for reader in readers:
                reader.derive(selection.panel)
            taken, _ = timed(lambda: [reader.read(selection) for reader in readers])
            return taken / ANOTHER, None

        return once

    def again(self, selection: Selection, subjects: list[SubjectId]) -> Callable[[], tuple[float, Any]]:
        keys = self.vault.keys.open_many(KeyPurpose.GENOTYPE, subjects)
        reader = GenotypeReader(self.vault, self.dataset, subjects, keys, keep_bytes=KEPT)
        for _ in range(3):
            reader.read(selection)

        return lambda: timed(lambda: reader.read(selection))

    def view(self, reader: GenotypeReader) -> Deidentified:
        names: Any = [f"P{at:07}" for at in range(len(self.half))]
        return Deidentified(reader.choose(Selection()), names, profile=Profile(keep_phase=True), assembly="GRCh38")

    def extract(self, kind: str) -> Callable[[], tuple[float, Any]]:
        """Read, de-identify, write beside the vault; the file stays for the comparison."""
        write = write_bcf if kind == "bcf" else write_vcf
        path = Path(self.plan["out"]) / f"ours.{kind}"

        def act(reader: GenotypeReader) -> None:
            with path.open("wb") as file, Path(f"{path}.csi").open("wb") as index:
                write(self.view(reader), file, index, vault_view={"ID": "bench"})

        return lambda: self.first_touch(self.half, act)

    def counts(self) -> Callable[[], tuple[float, Any]]:
        def act(reader: GenotypeReader) -> np.ndarray:
            _, counts = reader.count(Selection())
            return np.stack([counts.counts[counts.offsets[:-1] + 1], counts.an])

        return lambda: self.first_touch(self.half, act)

    def tasks(self) -> dict[str, Callable[[], Callable[[], tuple[float, Any]]]]:
        """Preparation of each task, by name: no data of one task is in memory while another runs."""
        return {
            "region": lambda: self.read(self.region(), self.half),
            "region_again": lambda: self.again(self.region(), self.half),
            "subject": lambda: self.read(Selection(), self.half[:1]),
            "panel": lambda: self.read(self.panel(), self.half[:1]),
            "panel_another": lambda: self.another(self.panel()),
            "panel_again": lambda: self.again(self.panel(), self.half[:1]),
            "site": lambda: self.read(self.site(), self.everyone),
            "site_again": lambda: self.again(self.site(), self.everyone),
            "counts": self.counts,
            "all": lambda: self.read(Selection(), self.half),
            "bcf": lambda: self.extract("bcf"),
            "vcf": lambda: self.extract("vcf"),
        }


def _summary(made: Any) -> str:
    if isinstance(made, Calls):
        view = View((), made.sites, made.codes, made.escapes, "")
        return digest(np.where(view.genotypes == -2, -1, view.genotypes)) if made.codes.size < 1 << 26 else ""
    return hashlib.sha256(made.astype("<i8").tobytes()).hexdigest() if isinstance(made, np.ndarray) else ""


def peak_megabytes() -> float:
    """Largest resident memory since this was last asked, in MB; 0 where the system does not say (only Linux does)."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    folder, key_file, plan = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())
    bench = Bench(folder, key_file, plan)
    makers, results = bench.tasks(), {}
    for name in filter(makers.__contains__, plan["tasks"]):
        seconds, made, task = [], None, makers[name]()
        peak_megabytes()
        for _ in range(WARM + plan["repeats"]):
            made = None  # the last matrix goes before the next is made
            taken, made = task()
            seconds.append(taken)
        results[name] = {"seconds": seconds[WARM:], "peak": peak_megabytes(), "digest": _summary(made)}
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True) if isinstance(sys.stdout, io.TextIOWrapper) else None
    main()
