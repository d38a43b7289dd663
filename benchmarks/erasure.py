"""Cost of erasing one person: time, blocks opened, and how long chunks were refused, by the number of people beside them.

    python benchmarks/erasure.py [--work FOLDER] [--cohorts D1 few-2504 few-50000] [--times 5] [--imports 0]

``few-N``: N people and 2,000 sites, drawn here; at a fifth of these one of the first fifty people alone carries something. Of each cohort
a vault is made anew, with a panel of 100 of its sites, and several people are erased one after the other; figures are of the median one.
``--imports K``: CPU seconds of importing, this process and its reader, the least of K runs. Without carrier counts: run it at a revision
before them.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.cohorts import cohort
from vault.crypto.keystore import PassphraseFactor
from vault.crypto.primitives import Argon2Profile
from vault.genotypes import import_job
from vault.genotypes.catalog import datasets, panel_builder, parts
from vault.genotypes.loci import parse_loci
from vault.genotypes.store import part_reader
from vault.operations.create import init
from vault.operations.erasure import job, process
from vault.session.unlocked_vault import UnlockedVault, open_vault

FACTOR = PassphraseFactor.from_text("benchmark")
SITES = 2_000
FEW = 50  # people who carry something alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("bench-erasure"))
    parser.add_argument("--cohorts", nargs="*", default=["D1", "few-2504", "few-50000"])
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--imports", type=int, default=0)
    options = parser.parse_args()
    for name in options.cohorts:
        path = cohort(name, options.work) if name.startswith("D") else few(int(name.split("-")[1]), options.work)
        if options.imports:
            importing(name, path, options.work / "import", options.imports)
        else:
            erasing(name, path, options.work / "erase", options.times)


def few(people: int, work: Path) -> Path:
    """Path of a VCF of so many people and ``SITES`` sites, made if it is not there yet."""
    path = work / f"few-{people}.vcf"
    if path.exists():
        return path
    work.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(people)
    names = "\t".join(f"P{at:06d}" for at in range(people))
    head = "##fileformat=VCFv4.3\n##contig=<ID=22>\n" + '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    part = path.with_suffix(".part")
    with part.open("wb") as out:
        out.write((head + f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{names}\n").encode())
        for site in range(SITES):
            alleles = np.zeros(2 * people, np.uint8)
            if site % 5:
                alleles[random.choice(2 * people, int(people * 10 ** random.uniform(-3, -0.3)), replace=False)] = 1
            else:
                alleles[random.integers(0, 2 * FEW)] = 1
            text = np.full((people, 4), ord("\t"), np.uint8)
            text[:, 0], text[:, 1], text[:, 2] = alleles[0::2] + ord("0"), ord("|"), alleles[1::2] + ord("0")
            out.write(f"22\t{10_000 + 37 * site}\t.\tA\tG\t.\tPASS\t.\tGT\t".encode() + text.tobytes()[:-1] + b"\n")
    part.rename(path)
    return path


def erasing(name: str, path: Path, folder: Path, times: int) -> None:
    vault = made(folder)
    bring(vault, path)
    dataset = datasets.by_name(vault, "cohort")
    (row,) = parts.list_all(vault, dataset.dataset_id)
    opened = parts.open_part(vault, row)
    parts.learn(vault, opened, [0])
    sites = opened.reader.sites(0)
    chosen = np.linspace(0, len(sites) - 1, 100).astype(int).tolist()
    loci = "".join(f"{sites.contigs[0]}\t{sites.pos[at] - 1}\t{sites.pos[at]}\n" for at in chosen)
    panel_builder.create(vault, dataset, "p", parse_loci(loci.encode(), name="p"))
    process.erase(vault, f"sample:P{1:06d}")  # the first loads what later ones find loaded
    totals, used, refused, unreadable, blocks = [], [], [], [], []
    done: dict[str, object] = {}
    for at in range(times):
        reached: dict[str, float] = {}
        with counting() as found:
            start, before = time.perf_counter(), cpu()
            process.erase(
                vault, f"sample:P{at + 2:06d}", on_progress=lambda state, to=reached: to.update({state: time.perf_counter()})
            )
            totals.append(time.perf_counter() - start)
            used.append(cpu() - before)
        refused.append(reached[job.PURGED] - reached[job.LISTED])
        unreadable.append(reached[job.DESTROYED] - start)
        blocks.append(sum(found))
        done = process.issued(vault)[-1].content["destroyed"]
        if at == times - 1:
            edges = [start, *reached.values()]
            steps = ", ".join(f"{state} {b - a:.2f}" for state, a, b in zip(reached, edges, edges[1:], strict=False))
    middle = [statistics.median(values) for values in (totals, used, unreadable, refused, blocks)]
    print(
        f"{name:12} erased in {middle[0]:.2f} s, {middle[1]:.2f} s of CPU; unreadable after {middle[2]:.2f} s; chunks refused {middle[3]:.2f} s at "
        f"most; blocks opened {middle[4]:,.0f}; the last: {steps}; {done}",
        flush=True,
    )
    vault.close()
    shutil.rmtree(folder)


def importing(name: str, path: Path, folder: Path, times: int) -> None:
    used = []
    for _ in range(times):
        vault = made(folder)
        before = cpu()
        bring(vault, path)
        vault.close()
        used.append(cpu() - before)
    print(f"{name:12} imported with {min(used):.2f} s of CPU; all: {', '.join(f'{one:.2f}' for one in used)}", flush=True)
    shutil.rmtree(folder)


def made(folder: Path) -> UnlockedVault:
    shutil.rmtree(folder, ignore_errors=True)
    init(folder, steward="bench", factor=FACTOR, profile=Argon2Profile.TEST_ONLY)
    return open_vault(folder, factor=FACTOR)


def bring(vault: UnlockedVault, path: Path) -> None:
    options = import_job.ImportOptions(unknown="register")
    import_job.import_files(vault, [path], name="cohort", assembly="GRCh38", options=options)


def cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, kinds))


@contextmanager
def counting() -> Iterator[list[int]]:
    """Number of blocks that each reading of a container opens, meanwhile."""
    found: list[int] = []
    original: Callable[..., object] = part_reader.open_blocks

    def open_blocks(ref: object, get: object, key: object, wanted: list[object], **options: object) -> object:
        found.append(len(wanted))
        return original(ref, get, key, wanted, **options)

    part_reader.open_blocks = open_blocks  # type: ignore[assignment]
    try:
        yield found
    finally:
        part_reader.open_blocks = original  # type: ignore[assignment]


if __name__ == "__main__":
    os.environ.setdefault("CI", "true")
    main()
