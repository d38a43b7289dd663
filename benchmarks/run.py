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
import hashlib
import json
import os
import platform
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.cohorts import bcf, cohort
from benchmarks.timing import Figures, Run, ratio, run, show

HERE = Path(__file__).parent
SEED = 20_260_000
PANEL = 100
TARGETS = {
    ("D1", "import", "plink2"): 1.2,
    ("D1", "import", "bcftools"): 0.3,
    ("D1", "import", "vcf2zarr"): 0.08,
    ("D2", "import", "plink2"): 0.7,
    ("D2", "import", "bcftools"): 0.35,
    ("D3", "import", "bcftools"): 0.35,
    ("D1", "size", "BCF"): 0.7,
    ("D1", "size", "PGEN"): 0.8,
    ("D2", "size", "BCF"): 0.7,
    ("D2", "size", "PGEN"): 0.8,
    ("D1", "1 % x half → matrix", "cyvcf2"): 0.4,
    ("D1", "1 % x half → matrix", "zarr"): 2.5,
    ("D1", "1 % x half, again", "pgenlib"): 1.0,
    ("D2", "1 % x half → matrix", "bcftools"): 0.8,
    ("D1", "all x half → BCF", "bcftools"): 0.35,
    ("D1", "all x half → BCF", "plink2"): 1.3,
    ("D1", "all x half → VCF.gz", "bcftools"): 0.25,
    ("D1", "all x half → VCF.gz", "plink2"): 1.3,
    ("D1", "all x half → VCF.gz", "vcztools"): 0.2,
    ("D1", "one subject x all", "bcftools"): 0.05,
    ("D1", "one subject x all", "plink2"): 0.5,
    ("D1", "allele counts, half", "bcftools"): 0.05,
    ("D1", "allele counts, half", "plink2"): 2.0,
    ("D1", "panel of 100 x 1 subject", "cyvcf2"): 0.01,
    ("D1", "panel of 100 x another subject", "cyvcf2"): 0.01,
    ("D1", "one site x all, again", "cyvcf2"): 1.0,
}
COST = "a million genotypes of all x half"
TARGETS["D1, D2", COST, "genovault on D1"] = 1.1
FIRST_SITE_LIMIT = 0.018  # seconds


class DifferentError(Exception):
    """Two sides gave different genotypes."""


@dataclass
class Row:
    """One kind of work on one cohort: seconds (or bytes) of ours and of each peer, run by run."""

    cohort: str
    work: str
    ours: list[float] = field(default_factory=list)
    peers: dict[str, list[float]] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Tools:
    """Where the peers are."""

    bin: Path

    def path(self, name: str) -> str | None:
        beside = self.bin / name
        return str(beside) if beside.exists() else shutil.which(name)


class Cohort:
    """One cohort's files, and its rows."""

    def __init__(self, name: str, work: Path, scale: float, tools: Tools) -> None:
        self.name, self.tools = name, tools
        self.vcf = cohort(name, work, scale=scale)
        self.bcf = bcf(self.vcf)
        self.out = work / f"out-{name}-{scale:g}"
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        self.tuned = self.out / "tuned.bcf"
        self.tuned.symlink_to(self.bcf.resolve())
        run(["bcftools", "index", "-f", "-m", "8", self.tuned])
        self.key_file = self.out / "key"
        self.key_file.write_bytes(os.urandom(32))
        self.key_file.chmod(0o600)
        self.vault = self.out / "vault"
        self.pgen = self.out / "peer"
        self.zarr = self.out / "peer.vcz"
        self.rows: dict[str, Row] = {}
        self.peak: dict[str, float] = {}
        self.plan = self._plan()

    def row(self, work: str) -> Row:
        return self.rows.setdefault(work, Row(self.name, work))

    def _plan(self) -> dict[str, Any]:
        choice = random.Random(SEED)
        samples = subprocess.run(["bcftools", "query", "-l", self.bcf], check=True, capture_output=True, text=True).stdout.split()
        listed = subprocess.run(
            ["bcftools", "query", "-f", "%CHROM\t%POS\n", self.bcf], check=True, capture_output=True, text=True
        )
        places = [(contig, int(position)) for contig, position in map(str.split, listed.stdout.splitlines())]
        first, last = places[0][1], places[-1][1]
        middle, half_span = (first + last) // 2, max(1, (last - first) // 200)
        a, b = middle - half_span, middle + half_span
        self.n_sites = len(places)
        rows = [at for at, (_, position) in enumerate(places) if a <= position <= b]
        columns = sorted(choice.sample(range(len(samples)), len(samples) // 2))
        panel = sorted({places[at] for at in choice.sample(range(len(places)), min(PANEL, len(places) // 2))})
        names = self.out / "half.txt"
        names.write_text("".join(f"{samples[c]}\n" for c in columns))
        (self.out / "keep.txt").write_text("#IID\n" + names.read_text())
        (self.out / "one.txt").write_text(f"#IID\n{samples[columns[0]]}\n")
        return {
            "samples": samples,
            "half": [samples[c] for c in columns],
            "half_columns": columns,
            "region": [places[0][0], a, b],
            "region_rows": [rows[0], rows[-1] + 1] if rows else [0, 1],
            "site": list(places[len(places) // 2]),
            "panel": panel,
            "bcf": str(self.tuned),
            "pgen": "",
            "zarr": "",
            "out": str(self.out),
            "tasks": [],
            "repeats": 3,
        }

    # Import

    def measure_import(self, *, zarr: bool) -> None:
        row = self.row("import")
        shutil.rmtree(self.vault, ignore_errors=True)
        genovault = [Path(sys.executable).with_name("genovault"), "--vault", self.vault, "--key-file", self.key_file]
        run([*genovault, "init", self.vault, "--steward", "bench"])
        command = [*genovault, "dataset", "import", self.vcf, "--name", "cohort", "--assembly", "GRCh38", "--register"]
        self._note("genovault", row.ours, run(command))
        if plink2 := self.tools.path("plink2"):
            made = run([plink2, "--vcf", self.vcf, "--vcf-half-call", "m", "--make-pgen", "--threads", "2", "--out", self.pgen])
            self._note("plink2", row.peers.setdefault("plink2", []), made)
        made = run(["bcftools", "view", "--no-version", "--threads", "2", "-Ob", "-o", self.out / "peer.bcf", self.vcf])
        self._note("bcftools", row.peers.setdefault("bcftools", []), made)
        vcf2zarr = self.tools.path("vcf2zarr")
        if zarr and vcf2zarr:
            shutil.rmtree(self.zarr, ignore_errors=True)
            made = run([vcf2zarr, "convert", "--no-progress", "-f", "-p", "2", self.vcf, self.zarr])
            self._note("vcf2zarr", row.peers.setdefault("vcf2zarr", []), made)
        row.note = "peak MB: " + ", ".join(f"{name} {peak:.0f}" for name, peak in self.peak.items())

    def _note(self, name: str, into: list[float], made: Run) -> None:
        into.append(made.wall)
        self.peak[name] = max(self.peak.get(name, 0), made.peak)

    def measure_size(self) -> None:
        row = self.row("size")
        row.ours = [_bytes(self.vault / "objects")]
        row.peers = {"BCF": [float(self.bcf.stat().st_size)]}
        if self.pgen.with_suffix(".pgen").exists():
            row.peers["PGEN"] = [float(sum(self.pgen.with_suffix(end).stat().st_size for end in (".pgen", ".pvar")))]
        if self.zarr.exists():
            row.peers["VCF Zarr"] = [_bytes(self.zarr)]

    # Reads and writes

    TASKS: ClassVar = {
        "region": "1 % x half → matrix",
        "region_again": "1 % x half, again",
        "subject": "one subject x all",
        "panel": "panel of 100 x 1 subject",
        "panel_another": "panel of 100 x another subject",
        "panel_again": "panel of 100 x 1 subject, again",
        "site": "one site x all",
        "site_again": "one site x all, again",
        "counts": "allele counts, half",
        "all": "all x half → matrix",
        "bcf": "all x half → BCF",
        "vcf": "all x half → VCF.gz",
    }
    SMALL = ("region", "region_again", "site", "site_again", "all")
    DONE: ClassVar = {"D1": tuple(TASKS), "D2": (*SMALL, "bcf"), "D3": SMALL}

    def measure_reads(self, tasks: Sequence[str]) -> None:
        self.plan["tasks"] = list(tasks)
        if self.pgen.with_suffix(".pgen").exists() and self.name != "D3":  # plink2 changes D3's half-calls and haploid calls
            self.plan["pgen"] = str(self.pgen.with_suffix(".pgen"))
        self.plan["zarr"] = str(self.zarr) if self.zarr.exists() else ""
        plan = self.out / "plan.json"
        plan.write_text(json.dumps(self.plan))
        ours = json.loads(run([sys.executable, "-m", "benchmarks.ours", self.vault, self.key_file, plan], keep=True).output)
        for task, found in ours.items():
            self.row(self.TASKS[task]).ours += found["seconds"]
            self.row(self.TASKS[task]).note = f"peak {found['peak']:.0f} MB"
        beside = self.tools.bin / "python"
        python = beside if beside.exists() else Path(sys.executable)
        peers = json.loads(run([python, HERE / "in_process.py", plan], keep=True).output)
        for (library, task), found in ((name.split(), found) for name, found in peers.items()):
            for suffix in ("", "_again", "_another"):
                if task + suffix in tasks:
                    self.row(self.TASKS[task + suffix]).peers.setdefault(library, []).extend(found["seconds"])
            if task in ours and ours[task]["digest"] != found["digest"] and self.name != "D3":
                raise DifferentError(f"{self.name}: {library} and genovault differ on {task}")
        self._processes(tasks)

    def _processes(self, tasks: Sequence[str]) -> None:
        contig, a, b = self.plan["region"]
        names, out = self.out / "half.txt", self.out
        subset = ["bcftools", "view", "--no-version", "-S", names, self.tuned]
        plink2 = self.tools.path("plink2")
        peer = [plink2, "--threads", "2", "--pfile", self.pgen]
        keep = [*peer, "--keep", out / "keep.txt"]
        vcztools = self.tools.path("vcztools") if self.zarr.exists() else None
        commands: dict[str, dict[str, list[Any]]] = {
            "region": {"bcftools": [*subset, "-r", f"{contig}:{a}-{b}", "-Ob", "-o", out / "peer-1.bcf"]},
            "bcf": {"bcftools": [*subset, "--threads", "2", "-Ob", "-o", out / "peer-half.bcf"]},
            "vcf": {"bcftools": [*subset, "--threads", "2", "-Oz", "-o", out / "peer-half.vcf.gz"]},
            "subject": {
                "bcftools": [
                    "bcftools",
                    "view",
                    "--no-version",
                    "-s",
                    self.plan["half"][0],
                    "-Ob",
                    "-o",
                    out / "1.bcf",
                    self.tuned,
                ]
            },
            "counts": {
                "bcftools": [
                    "bcftools",
                    "view",
                    "--no-version",
                    "-S",
                    names,
                    "-G",
                    "-Ob",
                    "-o",
                    out / "peer-counts.bcf",
                    self.tuned,
                ]
            },
        }
        if plink2 and self.pgen.with_suffix(".pgen").exists():
            commands["bcf"]["plink2"] = [*keep, "--export", "bcf", "--out", out / "plink-half"]
            commands["vcf"]["plink2"] = [*keep, "--export", "vcf", "bgz", "--out", out / "plink-half"]
            commands["subject"]["plink2"] = [*peer, "--keep", out / "one.txt", "--export", "bcf", "--out", out / "plink-one"]
            commands["counts"]["plink2"] = [*keep, "--freq", "counts", "--out", out / "plink-freq"]
        if vcztools:
            commands["vcf"]["vcztools"] = [
                "sh",
                "-c",
                f"'{vcztools}' view -S '{names}' '{self.zarr}' | bgzip -@ 2 > '{out}/vcz-half.vcf.gz'",
            ]
        programs = {"bcftools": "bcftools", "plink2": plink2, "vcztools": vcztools}
        starts = {name: run([path, "--version"]).wall for name, path in programs.items() if path}
        for task in tasks:
            for name, command in commands.get(task, {}).items():
                taken = run(command).wall - starts[name]
                self.row(self.TASKS[task]).peers.setdefault(name, []).append(max(taken, 1e-4))

    def compare_extracts(self) -> None:
        """Genotypes of our extracts against bcftools' of the same people, sites that nobody carries left out."""
        wanted = _genotypes(["-S", self.out / "half.txt", self.tuned])
        for kind in ("bcf", "vcf"):
            made = self.out / f"ours.{kind}"
            if made.exists() and _genotypes([made]) != wanted:
                raise DifferentError(f"{self.name}: the {kind} extract differs from bcftools'")

    def compare_sizes(self) -> None:
        """What our extracts take on disk beside bcftools'."""
        for task, kind, peer in (("bcf", "bcf", "peer-half.bcf"), ("vcf", "vcf", "peer-half.vcf.gz")):
            made, other = self.out / f"ours.{kind}", self.out / peer
            if made.exists() and other.exists():
                sizes = made.stat().st_size, other.stat().st_size
                self.row(self.TASKS[task]).note += f"; size {sizes[0] / sizes[1]:.2f} x bcftools'"

    def measure_crypt4gh(self) -> None:
        """Today's careful way: decrypt the file, then subset the region."""
        crypt4gh = self.tools.path("crypt4gh")
        if not crypt4gh:
            return
        secret, public, sealed = self.out / "c4gh.sec", self.out / "c4gh.pub", self.out / "peer.bcf.c4gh"
        if not sealed.exists():
            run([self.tools.path("crypt4gh-keygen") or "", "--sk", secret, "--pk", public, "--nocrypt", "-f"])
            with self.bcf.open("rb") as source, sealed.open("wb") as target:
                subprocess.run(
                    [crypt4gh, "encrypt", "--recipient_pk", public, "--sk", secret], stdin=source, stdout=target, check=True
                )
        contig, a, b = self.plan["region"]
        script = (
            f"'{crypt4gh}' decrypt --sk '{secret}' < '{sealed}' > '{self.out}/open.bcf' && cp '{self.tuned}.csi' '{self.out}/open.bcf.csi' && "
            f"bcftools view --no-version -S '{self.out}/half.txt' -r {contig}:{a}-{b} -Ob -o '{self.out}/open-1.bcf' '{self.out}/open.bcf'"
        )
        start = run([crypt4gh, "--version"]).wall + run(["bcftools", "--version"]).wall
        taken = run(["sh", "-c", script]).wall - start
        self.row(self.TASKS["region"]).peers.setdefault("crypt4gh, bcftools", []).append(max(taken, 1e-4))


def _genotypes(arguments: list[Any]) -> str:
    """SHA-256 of position, alleles and GT of every carried site."""
    total = hashlib.sha256()
    shape = "%POS %REF %ALT[ %GT]\n"
    with (
        subprocess.Popen(["bcftools", "view", "--no-version", "-c", "1", "-Ou", *arguments], stdout=subprocess.PIPE) as view,
        subprocess.Popen(["bcftools", "query", "-f", shape], stdin=view.stdout, stdout=subprocess.PIPE) as query,
    ):
        while query.stdout is not None and (piece := query.stdout.read(1 << 20)):
            total.update(piece)
    if view.returncode or query.returncode:
        raise RuntimeError("bcftools query failed")
    return total.hexdigest()


def per_genotype(small: Cohort, large: Cohort) -> Row:
    """What a genotype costs in the larger cohort, beside the smaller: seconds for a million of them, all x half."""
    work = Cohort.TASKS["all"]
    costs = [[1e6 * taken / (len(each.plan["half"]) * each.n_sites) for taken in each.rows[work].ours] for each in (small, large)]
    return Row(f"{small.name}, {large.name}", COST, costs[1], {f"genovault on {small.name}": costs[0]})


def _bytes(folder: Path) -> float:
    return float(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))


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
    found = []
    for name in ("bcftools", "plink2", "vcf2zarr", "vcztools", "crypt4gh"):
        if path := tools.path(name):
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
            found.append((said.stdout or said.stderr).splitlines()[0].strip())
    return (
        f"Python {platform.python_version()}; "
        + "; ".join(found)
        + f"; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    )


def table(rows: Sequence[Row]) -> str:
    """The results, as Markdown."""
    lines = ["| data | work | genovault | peer | its time or size | ratio | target | |", "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        if not row.ours:
            continue
        ours = Figures(tuple(row.ours))
        said = _megabytes(ours.median) if row.work == "size" else ours.text
        if not row.peers:
            limit = FIRST_SITE_LIMIT if row.work == "one site x all" else None
            verdict = "" if limit is None else ("met" if ours.median <= limit else "missed")
            lines.append(f"| {row.cohort} | {row.work} | {said} | | | | {show(limit) if limit else ''} | {verdict} {row.note} |")
        for name, values in row.peers.items():
            peer = Figures(tuple(values))
            other = _megabytes(peer.median) if row.work == "size" else peer.text
            wanted = TARGETS.get((row.cohort, row.work, name))
            quotient = ratio(ours, peer) if len(values) == len(row.ours) else ours.median / peer.median
            verdict = "" if wanted is None else ("met" if quotient <= wanted else "missed")
            if row.cohort == "D1" and row.work == "one site x all":
                verdict = f"{'met' if ours.median <= FIRST_SITE_LIMIT else 'missed'} (≤ 18 ms)"
            goal = f"≤ {wanted:g}" if wanted else ""
            lines.append(
                f"| {row.cohort} | {row.work} | {said} | {name} | {other} | {quotient:.3g} | {goal} | {verdict} {row.note} |"
            )
    return "\n".join(lines)


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.2f} MB"


def write_readme(text: str) -> None:
    """Put the results between the marks of benchmarks/README.md."""
    path = HERE / "README.md"
    begin, end = "<!-- results -->\n", "<!-- end of results -->"
    before, rest = path.read_text().split(begin, 1)
    path.write_text(f"{before}{begin}{text}\n{end}{rest.split(end, 1)[1]}")


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
            HERE.parent / package, quiet=1
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
