"""Cost of an extract in each format, and of a small one from the shell.

    python -m benchmarks.formats [--work FOLDER] [--scale 1] [--rounds 5]

D1, all sites of half the people, read, de-identified and written in one process, net of its start, as ``benchmarks.ours`` has it: VCF.gz, PGEN and
long Parquet in turn with ``plink2 --keep half --make-pgen`` of a fileset that plink2 made itself, net of plink2's start. The two PGENs are
compared call by call, and a difference stops the run. *Small region*: ``genovault extract`` of 1 % of the span with a key file, the whole command, best of the rounds.
Needs bcftools, bgzip, plink2, msprime and pgenlib.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ours import Bench
from benchmarks.peers import Cohort, DifferentError, Tools
from benchmarks.timing import Figures, ratio, run, show
from vault.extracts.parquet import write_long, write_samples
from vault.extracts.pgen import write_pgen
from vault.genotypes.catalog.dataset_reader import GenotypeReader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "genovault" / "benchmarks")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    place = options.work / "formats"
    cohort = Cohort("D1", place, options.scale, Tools(place))
    cohort.measure_import(zarr=False)
    taken = _in_turn(cohort, options.rounds)
    print(f"{len(cohort.plan['half'])} people, {cohort.n_sites:,} sites; load {os.getloadavg()[0]:.1f}")
    for name, figures in taken.items():
        print(f"{name:40} {figures.text}")
    print(f"PGEN over plink2                         {ratio(taken['PGEN'], taken['plink2 --make-pgen']):.2f} (target: 3)")
    print(f"Parquet over VCF.gz                      {ratio(taken['Parquet'], taken['VCF.gz']):.2f} (target: 2)")
    print(f"small region, whole command              {show(_small_region(cohort, options.rounds))} (target: 0.6 s)")


def _in_turn(cohort: Cohort, rounds: int) -> dict[str, Figures]:
    plink2 = cohort.tools.path("plink2") or "plink2"
    keep = [plink2, "--threads", "2", "--pfile", cohort.pgen, "--keep", cohort.out / "keep.txt"]
    bench = Bench(cohort.vault, cohort.key_file, cohort.plan)
    ours: dict[str, Callable[[], tuple[float, Any]]] = {
        "VCF.gz": bench.extract("vcf"),
        "PGEN": lambda: bench.first_touch(bench.half, lambda reader: _pgen(bench, reader, cohort)),
        "Parquet": lambda: bench.first_touch(bench.half, lambda reader: _parquet(bench, reader, cohort)),
    }
    taken: dict[str, list[float]] = {name: [] for name in (*ours, "plink2 --make-pgen")}
    for number in range(rounds + 1):
        for name, act in ours.items():
            seconds = act()[0]
            taken[name] += [seconds] if number else []
        started = run([plink2, "--version"]).wall
        whole = run([*keep, "--make-pgen", "--out", cohort.out / "plink-half"]).wall
        taken["plink2 --make-pgen"] += [max(whole - started, 1e-4)] if number else []
    bench.vault.close()
    if _carried(cohort.out / "ours.pgen") != _carried(cohort.out / "plink-half.pgen"):
        raise DifferentError("the two PGENs hold different calls")
    return {name: Figures(tuple(runs)) for name, runs in taken.items()}


def _pgen(bench: Bench, reader: GenotypeReader, cohort: Cohort) -> None:
    view, (pgen, pvar, psam) = bench.view(reader), (cohort.out / f"ours.{end}" for end in ("pgen", "pvar", "psam"))
    with pgen.open("wb") as calls, pvar.open("wb") as sites, psam.open("wb") as people:
        write_pgen(view, calls, sites, people, n_sites=view.summary.n_sites, vault_view={"ID": "bench"})


def _parquet(bench: Bench, reader: GenotypeReader, cohort: Cohort) -> None:
    view = bench.view(reader)
    with (cohort.out / "ours.sites.parquet").open("wb") as sites, (cohort.out / "ours.calls.parquet").open("wb") as calls:
        write_long(view, sites, calls)
    with (cohort.out / "ours.samples.parquet").open("wb") as samples:
        write_samples(view.pseudonyms, samples)


def _carried(path: Path) -> list[bytes]:
    """Calls of each site that somebody carries, as bytes."""
    import pgenlib

    found = []
    with pgenlib.PgenReader(str(path).encode()) as reader:
        m, n = reader.get_variant_ct(), reader.get_raw_sample_ct()
        for first in range(0, m, 1_000):
            k = min(1_000, m - first)
            alleles, phased = np.empty((k, 2 * n), np.int32), np.empty((k, n), np.uint8)
            reader.read_alleles_and_phasepresent_range(first, first + k, alleles, phased)
            small = alleles.astype(np.int8)
            found += [row.tobytes() for row in small[(small > 0).any(axis=1)]]
    return found


def _small_region(cohort: Cohort, rounds: int) -> float:
    """Seconds of the fastest of some commands."""
    genovault = [Path(sys.executable).with_name("genovault"), "--vault", cohort.vault, "--key-file", cohort.key_file]
    place = cohort.out / "small"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()

    def said(*words: str | Path) -> str:
        return subprocess.run([*genovault, *words], check=True, capture_output=True, text=True).stdout

    (place / "answers.csv").write_text(said("consent", "sheet", "broad-research", "--accept"))
    said("consent", "import", place / "answers.csv", "--form", "broad-research")
    (place / "bench.yaml").write_text(said("project", "template", "--code", "bench", "--dataset", "cohort"))
    said("project", "create", place / "bench.yaml")
    said("project", "approve", "bench")
    contig, first, last = cohort.plan["region"]
    asked = said(
        "request", "submit", "--project", "bench", "--dataset", "cohort", "--region", f"{contig}:{first}-{last}", "--json"
    )
    walls = []
    for _ in range(rounds + 1):
        out = place / "out"
        walls.append(run([*genovault, "extract", json.loads(asked)["request"], "--output", out]).wall)
        shutil.rmtree(out)
    return min(walls[1:])


if __name__ == "__main__":
    main()
