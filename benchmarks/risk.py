"""Time of a risk report of D1, and its search for relatives beside plink2's.

    python -m benchmarks.risk [--work FOLDER] [--scale 1] [--rounds 3]

*Report*: ``genovault request risk --html`` of everything of everybody, the whole command with a key file, and the same by a call in a process whose kernels are loaded.
*Kin*: all pairs of people over the 8,192 common sites that plink2 picks; its ``--make-king-table`` reads a fileset of these sites and is net of its start, ours has the
calls in memory. The numbers of pairs are compared, and a difference stops the run. Needs bcftools, bgzip, plink2 and msprime.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import resource
import sys
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.peers import Cohort, DifferentError, Tools
from benchmarks.timing import Figures, ratio, run
from policies.declarations import project_template
from policies.disclosure.kinship_degrees import CUTS
from vault import gate
from vault.access import projects
from vault.consent import recording
from vault.crypto.keystore import KeyFileFactor
from vault.operations.recovery import open_recovered
from vault.risk import kin_pairs

FORM = "broad-research"
SITES = 8_192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "genovault" / "benchmarks")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    place = options.work / "risk"
    cohort = Cohort("D1", place, options.scale, Tools(place))
    cohort.measure_import(zarr=False)
    consents(cohort)
    command, inside, found = reports(cohort, options.rounds)
    print(
        f"{found['n']:,} people, {found['sites']:,} sites, {found['frequencies']['m']:,} of them common; load {os.getloadavg()[0]:.1f}"
    )
    print(f"report, the whole command    {command.text} (target: 30 s)")
    print(f"report, in a process         {inside.text}, peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    ours, theirs = kin(cohort, options.rounds)
    print(f"kin, genovault               {ours.text}")
    print(f"kin, plink2                  {theirs.text}; ratio {ratio(ours, theirs):.2f}")


def consents(cohort: Cohort) -> None:
    """Everybody accepts, and a project is approved that may ask for records."""
    vault = open_recovered(cohort.vault, factor=KeyFileFactor.from_file(cohort.key_file))
    header, rows = recording.blank_sheet(vault, FORM, accept=True)
    sheet = io.StringIO()
    csv.writer(sheet).writerows([header, *rows])
    recording.import_answers(vault, sheet.getvalue().encode(), FORM)
    projects.create(vault, yaml.safe_load(project_template("demo", "cohort")))
    projects.change(vault, "demo", "approve")
    vault.close()


def reports(cohort: Cohort, rounds: int) -> tuple[Figures, Figures, dict[str, object]]:
    """Seconds of the command, and of the call; and what it said."""
    genovault = [Path(sys.executable).with_name("genovault"), "--vault", cohort.vault, "--key-file", cohort.key_file]
    asked = run([*genovault, "request", "submit", "--project", "demo", "--dataset", "cohort", "--json"], keep=True)
    request = json.loads(asked.output)["request"]
    whole = []
    for number in range(rounds + 1):
        page = cohort.out / f"page-{number}.html"
        taken = run([*genovault, "request", "risk", request, "--html", page]).wall
        whole += [taken] if number else []
    vault = open_recovered(cohort.vault, factor=KeyFileFactor.from_file(cohort.key_file))
    calls, found = [], {}
    for _ in range(rounds):
        started = perf_counter()
        found = gate.risk(vault, request)
        calls.append(perf_counter() - started)
    vault.close()
    return Figures(tuple(whole)), Figures(tuple(calls)), found


def kin(cohort: Cohort, rounds: int) -> tuple[Figures, Figures]:
    """Seconds of all pairs, ours and plink2's."""
    plink2, chosen, table = cohort.tools.path("plink2") or "plink2", cohort.out / "chosen", cohort.out / "king"
    picked = ["--maf", "0.05", "--snps-only", "--max-alleles", "2", "--thin-count", str(SITES), "--seed", "1"]
    run([plink2, "--pfile", cohort.pgen, *picked, "--make-bed", "--out", chosen])
    dosage = dosage_of_bed(chosen)
    ours, theirs, pairs = [], [], ()
    for _ in range(rounds):
        started = perf_counter()
        pairs = kin_pairs.count(dosage).pairs
        ours.append(perf_counter() - started)
        start = run([plink2, "--version"]).wall
        least = ["--make-king-table", "--king-table-filter", str(CUTS["third"])]
        theirs.append(max(run([plink2, "--threads", "2", "--bfile", chosen, *least, "--out", table]).wall - start, 1e-4))
    head, *rows = table.with_suffix(".kin0").read_text().splitlines()
    phis = [float(row.split("\t")[head.split("\t").index("KINSHIP")]) for row in rows]
    edges = [float("inf"), *CUTS.values()]
    expected = tuple(sum(least < phi <= most for phi in phis) for most, least in pairwise(edges))
    if pairs != expected:
        raise DifferentError(f"{pairs} pairs here, {expected} in plink2's table")
    return Figures(tuple(ours)), Figures(tuple(theirs))


def dosage_of_bed(path: Path) -> NDArray[np.int8]:
    """int8[m, n] of a PLINK 1 fileset, two bits a call: 0 and 3 the homozygous ones, 2 heterozygous, 1 none."""
    n = len(path.with_suffix(".fam").read_text().splitlines())
    packed = np.frombuffer(path.with_suffix(".bed").read_bytes(), np.uint8, offset=3).reshape(-1, -(-n // 4))
    pairs = (packed[:, :, None] >> np.array([0, 2, 4, 6], np.uint8)) & 3
    return np.array([2, -1, 1, 0], np.int8)[pairs.reshape(len(packed), -1)[:, :n]]


if __name__ == "__main__":
    main()
