"""One cohort measured by genovault and by its peers: imports, sizes, reads and writes, with a comparison of the genotypes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.cohorts import bcf, cohort
from benchmarks.results import Row
from benchmarks.timing import Run, run

HERE = Path(__file__).parent
SEED = 20_260_000
PANEL = 100


class DifferentError(Exception):
    """Two sides gave different genotypes."""


@dataclass(frozen=True)
class Tools:
    """Paths of the peers' programs."""

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
        """Genotypes of our extracts against bcftools' of the same people, without sites that none of them carries."""
        wanted = _genotypes(["-S", self.out / "half.txt", self.tuned])
        for kind in ("bcf", "vcf"):
            made = self.out / f"ours.{kind}"
            if made.exists() and _genotypes([made]) != wanted:
                raise DifferentError(f"{self.name}: the {kind} extract differs from bcftools'")

    def compare_sizes(self) -> None:
        """Sizes of our extracts on disk, as ratios to bcftools'."""
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


def _bytes(folder: Path) -> float:
    return float(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))
