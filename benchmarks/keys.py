"""Cost of keys: unlocking, rotation, erasure, backup and restore.

    python -m benchmarks.keys [--work FOLDER] [--keys 500000] [--people 50000] [--file COHORT.vcf.gz]

Each figure is printed as it is measured. Erasure and backups are measured on ``--file`` (default: the benchmark cohort D2 of
``cohorts.py``); a backup's rate stands beside that of ``cp -r`` and ``sync`` on the same folder.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.cohorts import cohort
from vault.consent.recording import blank_sheet
from vault.crypto.argon2_calibration import calibrate
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import Branch, PassphraseFactor
from vault.crypto.primitives import Argon2Profile, argon2id
from vault.crypto.secret import Secret
from vault.genotypes import import_job
from vault.operations import backup, key_rotation
from vault.operations.create import init
from vault.operations.erasure import job, process
from vault.operations.restore import restore
from vault.session.unlocked_vault import UnlockedVault, open_vault

FACTOR = PassphraseFactor.from_text("benchmark")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("bench-keys"))
    parser.add_argument("--keys", type=int, default=500_000)
    parser.add_argument("--people", type=int, default=50_000)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--only", choices=["unlock", "rewrap", "erase"], nargs="*")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    wanted = options.only or ["unlock", "rewrap", "erase"]
    if "unlock" in wanted:
        unlocking()
    if "rewrap" in wanted:
        rewrapping(options.work, options.keys)
    if "erase" in wanted:
        erasing(options.work, options.file or cohort("D2", options.work, scale=options.people / 50_000))


def unlocking() -> None:
    profiles = {"default (64 MiB, 3)": Argon2Profile.DEFAULT, "high-memory (2 GiB, 1)": Argon2Profile.HIGH_MEMORY}
    calibrated = calibrate(timer=time.perf_counter)
    profiles[f"calibrated here ({calibrated.m_kib // 1024} MiB, {calibrated.t})"] = calibrated
    for name, profile in profiles.items():
        times = [timed(argon2id, Secret(b"x"), bytes(16), profile)[0] for _ in range(3)]
        say(f"one guess, {name}", f"{statistics.median(times):.2f} s")


def rewrapping(work: Path, keys: int) -> None:
    folder = fresh(work / "rewrap")
    vault = made(folder)
    people = keys // 4
    owners = [os.urandom(16) for _ in range(people)]
    taken, _ = timed(vault.keys.create_subjects, owners)
    say(f"{4 * people} subject keys made", f"{taken:.1f} s")
    busy = time.process_time()
    taken, count = timed(key_rotation.rotate, vault)
    busy = time.process_time() - busy
    say(f"{count} keys wrapped anew", f"{taken:.1f} s, {count / taken:,.0f} a second; {busy:.1f} s of processor time")
    for branch in key_rotation.BY_DEFAULT:
        key_rotation.destroy_epoch(vault, branch, 1)
    opened, _ = timed(vault.keys.open_many, KeyPurpose.GENOTYPE, owners)
    say(f"{people} genotype keys opened after it", f"{opened:.2f} s")
    vault.close()
    shutil.rmtree(folder)


def erasing(work: Path, file: Path) -> None:
    folder = fresh(work / "erase")
    vault = made(folder)
    taken, report = timed(
        import_job.import_files,
        vault,
        [file],
        name="cohort",
        assembly="GRCh38",
        options=import_job.ImportOptions(unknown="register"),
    )
    say(f"import of {report.new} people, {report.sites} sites", f"{taken:.1f} s")
    _, rows = blank_sheet(vault, "broad-research", accept=False)
    backups(vault, work, folder)
    for at in (0, len(rows) // 2):
        start = time.perf_counter()
        reached: dict[str, float] = {}
        process.erase(
            vault,
            rows[at][0],
            on_progress=lambda state, reached=reached, start=start: reached.update({state: time.perf_counter() - start}),
        )  # type: ignore[misc]
        done = process.issued(vault)[-1].content["destroyed"]
        say("erase one: nobody can read it after", f"{reached[job.DESTROYED]:.2f} s")
        say("  everything purged after", f"{reached[job.DONE]:.1f} s; {done}")
        say("  by step", ", ".join(f"{state} {seconds:.2f}" for state, seconds in reached.items()))
    vault.close()
    shutil.rmtree(folder)


def backups(vault: UnlockedVault, work: Path, folder: Path) -> None:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    target, plain = fresh(work / "copy"), fresh(work / "cp")
    taken, _ = timed(backup.backup, vault, target)
    copied, _ = timed(subprocess.run, f"cp -r {folder} {plain} && sync", shell=True, check=True)
    say(f"backup of {size / 1e6:.0f} MB", f"{taken:.2f} s, {size / taken / 1e6:.0f} MB/s; cp -r and sync {copied:.2f} s")
    again = fresh(work / "restored")
    again.mkdir()
    for name in ("keystore.a", "keystore.b"):
        shutil.copy(folder / name, again / name)
    vault.copy_keys(again / "keys.db")
    taken, _ = timed(restore, target, again, factor=FACTOR)
    say("restore, everything verified", f"{taken:.2f} s, {size / taken / 1e6:.0f} MB/s")
    for path in (target, plain, again):
        shutil.rmtree(path)


def made(folder: Path) -> UnlockedVault:
    init(folder, steward="bench", factor=FACTOR, profile=Argon2Profile.TEST_ONLY)
    vault = open_vault(folder, factor=FACTOR)
    if not vault.keyring.has(Branch.GENOTYPE):
        sys.exit("no vault")
    return vault


def fresh(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    return path


def timed(work: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work(*arguments, **options)
    return time.perf_counter() - start, result


def say(what: str, figure: str) -> None:
    print(f"{what:60} {figure}", flush=True)


if __name__ == "__main__":
    main()
