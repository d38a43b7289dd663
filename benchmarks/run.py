"""genovault on sealed data beside the usual tools on plain data, in turn, in one run, on the same files (docs: benchmarks/README.md).

    python -m benchmarks.run [--work FOLDER] [--scale S] [--only D1 …] [--rounds N] [--peers BIN] [--readme]

Makes the cohorts once (``cohorts.py``), then measures each row ``--rounds`` times, ours and every peer after each other, and prints
medians, ranges and the median of the ratios of runs made in turn. Reads and writes are net of process start: ours are timed inside a
process, a peer's start (its ``--version``) is taken off. Where two sides give genotypes they are compared, and a difference stops the
run. ``--readme`` puts the table into benchmarks/README.md. ``--peers``: folder of vcf2zarr, vcztools, crypt4gh and a python with
benchmarks/peers.txt; what is missing is left out of the table.
"""

from __future__ import annotations

import argparse
import compileall
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers import Cohort, Tools
from benchmarks.results import COST, Row, table, write_readme
from benchmarks.timing import run


def per_genotype(small: Cohort, large: Cohort) -> Row:
    """Seconds for a million genotypes of all x half, in the larger cohort and in the smaller."""
    work = Cohort.TASKS["all"]
    costs = [[1e6 * taken / (len(each.plan["half"]) * each.n_sites) for taken in each.rows[work].ours] for each in (small, large)]
    return Row(f"{small.name}, {large.name}", COST, costs[1], {f"genovault on {small.name}": costs[0]})


def startup(rounds: int, key_file: Path, vault: Path) -> list[Row]:
    """Whole command lines from the shell: one that needs no kernel, and the smallest that does, an import of one site of one person."""
    genovault = [Path(sys.executable).with_name("genovault"), "--vault", vault, "--key-file", key_file]
    bare = Row("start", "dataset list (no kernels)")
    kernels = Row("start", "dataset import of one site (kernels)")
    one = vault.with_name("one.vcf")
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tone\n22\t20000000\t.\tA\tC\t.\t.\t.\tGT\t0|1\n"
    one.write_text(f"##fileformat=VCFv4.3\n##contig=<ID=22>\n{columns}")
    for at in range(rounds):
        bare.ours.append(run([*genovault, "dataset", "list"]).wall)
        options = ["--name", f"one{at}", "--assembly", "GRCh38", "--register", "--namespace", f"one{at}"]
        kernels.ours.append(run([*genovault, "dataset", "import", one, *options]).wall)
    bare.note, kernels.note = "target < 0.5 s", "target < 1.2 s"
    return [bare, kernels]


def versions(tools: Tools) -> str:
    """First line of each peer's --version, with Python, processors and load."""
    found = []
    for name in ("bcftools", "plink2", "vcf2zarr", "vcztools", "crypt4gh"):
        if path := tools.path(name):
            printed = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
            found.append((printed.stdout or printed.stderr).splitlines()[0].strip())
    return (
        f"Python {platform.python_version()}; "
        + "; ".join(found)
        + f"; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    )


def measure(name: str, options: argparse.Namespace, tools: Tools, say: Callable[[str], None]) -> Cohort:
    this = Cohort(name, options.work, options.scale, tools)
    for at in range(options.rounds):
        this.measure_import(zarr=at == 0 and (name == "D1" or options.zarr))
        say(f"{name}: import, round {at + 1}")
    this.measure_size()
    tasks = Cohort.DONE[name]
    for at in range(options.rounds):
        this.measure_reads(tasks)
        this.measure_crypt4gh()
        say(f"{name}: reads, round {at + 1}")
    this.compare_sizes()
    if name == "D1":
        this.compare_extracts()
        this.rows |= {row.work: row for row in startup(options.rounds, this.key_file, this.vault)}
    return this


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmarks against the usual tools.")
    parser.add_argument(
        "--work", type=Path, default=Path.home() / ".cache" / "genovault" / "benchmarks", help="folder that keeps cohorts"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of people and sites")
    parser.add_argument("--only", nargs="+", choices=["D1", "D2", "D3"], default=["D1", "D2", "D3"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, default=Path(sys.executable).parent, help="folder of the peers' programs")
    parser.add_argument("--zarr", action="store_true", help="vcf2zarr on D2 and D3 too (minutes)")
    parser.add_argument("--readme", action="store_true", help="write the table into benchmarks/README.md")
    options = parser.parse_args()
    for package in ("vault", "policies", "cli"):
        compileall.compile_dir(
            Path(__file__).parent.parent / package, quiet=1
        )  # as an installed wheel is, whatever the environment says of bytecode
    tools = Tools(options.peers)
    cohorts = {name: measure(name, options, tools, lambda text: print(text, file=sys.stderr)) for name in options.only}
    rows = [row for each in cohorts.values() for row in each.rows.values()]
    if {"D1", "D2"} <= cohorts.keys():
        rows.append(per_genotype(cohorts["D1"], cohorts["D2"]))
    text = f"{versions(tools)}\n\n{table(rows)}"
    print(text)
    if options.readme:
        write_readme(text)


if __name__ == "__main__":
    main()
