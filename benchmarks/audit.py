"""Cost of the audit log: appends from many threads, proofs, verification, one person's disclosures.

    python -m benchmarks.audit [--entries 1000000] [--tree 10000000] [--only appends,proof,verify,disclosures] [--json FILE]

Everything runs in one go on the disk of --folder. Reference points in the same run: the disk's own fsync, a bare SQLite insert with
one commit each, and SHA-256 of the same leaves without anything around it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy
from pysqlite3 import dbapi2

from vault.audit.actions import Action, ActorKind, Outcome
from vault.audit.committer import GroupCommitter
from vault.audit.entry import Actor, Event, ObjectRef
from vault.audit.export import export_tiles
from vault.audit.head_seal import HeadSeal
from vault.audit.log import AuditLog
from vault.audit.log_head import tree_at
from vault.audit.merkle import inclusion_proof, perfect_root, verify_inclusion
from vault.audit.note import ED25519, VerifierKey
from vault.audit.tiles import TILE_WIDTH, StoredTree
from vault.audit.verify import verify_folder
from vault.crypto.primitives import SigningKey, hpke_public
from vault.crypto.secret import Secret
from vault.ids import AuditToken, utc_now
from vault.storage.audit_tables import AuditTileRow
from vault.storage.base import Base, bulk_insert
from vault.storage.database import Database, create_sqlite_file

ORIGIN = "genovault.bench/log"
SIGNER = SigningKey(Secret(b"\x07" * 32))
VKEY = VerifierKey(ORIGIN, ED25519, SIGNER.public)
ENGINE = Actor(ActorKind.ENGINE, "matcher")
THREADS = 32
PEOPLE = 2_500  # whom a log of a cohort speaks of again and again
Row = tuple[str, float, str, str]  # what, value, unit, target


def token(number: int) -> AuditToken:
    return AuditToken(f"hmac-sha256:1:{hashlib.sha256(number.to_bytes(8, 'big')).hexdigest()}")


def access(number: int, *, subjects: int = 1) -> Event:
    return Event(
        act=Action.VIEW_INTENT,
        actor=ENGINE,
        outcome=Outcome.INTENT,
        project="demo",
        purpose="HMB",
        obj=ObjectRef("release", f"rel-{number:016x}"),
        counts={"asked": 100, "permitted": 90},
        subjects=[token(number * subjects + i) for i in range(subjects)],
        detail={"dataset": "cohort", "panel": "pgx"},
    )


def new_log(folder: Path) -> tuple[AuditLog, Database]:
    create_sqlite_file(folder / "books.db")
    database = Database(f"sqlite:///{folder / 'books.db'}")
    Base.metadata.create_all(database.engine)
    log = AuditLog(
        database,
        vault_id=bytes(16),
        origin=ORIGIN,
        set_salt=bytes(16),
        audit_read_public=hpke_public(Secret(b"\x42" * 32)),
        clock=utc_now,
        random=os.urandom,
        seal=HeadSeal(bytes(16), lambda _: (1, Secret(b"\x24" * 32))),
    )
    with database.write() as tx:
        log.create(tx)
    return log, database


def bare_commits(folder: Path) -> float:
    """Commits per second of one insert each, by SQLite alone, as durable as ours."""
    folder.mkdir()
    connection = dbapi2.connect(str(folder / "bare.db"), isolation_level=None)
    for statement in ("journal_mode=wal", "synchronous=2", "secure_delete=1"):
        connection.execute(f"PRAGMA {statement}")
    connection.execute("CREATE TABLE t (idx INTEGER PRIMARY KEY, leaf BLOB)")
    started = time.perf_counter()
    for i in range(1_000):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (?, ?)", (i, bytes(500)))
        connection.execute("COMMIT")
    rate = 1_000 / (time.perf_counter() - started)
    connection.close()
    return rate


def reference_points(folder: Path) -> list[Row]:
    path = folder / "fsync"
    waits = []
    with path.open("wb") as file:
        for _ in range(300):
            file.write(bytes(4096))
            file.flush()
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            waits.append(time.perf_counter() - started)
    return [
        ("fdatasync of one page, median", statistics.median(waits) * 1e3, "ms", ""),
        ("fdatasync of one page, p99", statistics.quantiles(waits, n=100)[98] * 1e3, "ms", ""),
    ]


def appends(folder: Path) -> list[Row]:
    log, database = new_log(folder)
    bare = [bare_commits(folder / "first")]
    started = time.perf_counter()
    for i in range(1_000):
        log.record(access(i))
    single = 1_000 / (time.perf_counter() - started)
    batched = in_batches(log, lambda i: access(i % PEOPLE))
    newcomers = in_batches(log, lambda i: access(PEOPLE + i))
    committer = GroupCommitter(log.record_many)
    before = log.size()
    grouped = from_threads(lambda i: committer.record(log.prepare(access(i % PEOPLE))), per_thread=500)
    written = log.size() - before
    strangers = from_threads(lambda i: committer.record(log.prepare(access(1_000_000 + i))), per_thread=500)
    bare.append(bare_commits(folder / "second"))
    plain = statistics.mean(bare)
    waits = at_rate(lambda i: committer.record(log.prepare(access(i % PEOPLE))), rate=1_000, seconds=4)
    committer.close()
    database.close()
    if written != THREADS * 500:
        raise RuntimeError("entries were lost")
    return [
        ("bare SQLite, one insert to a commit, before and after", plain, "/s", ""),
        (f"durable appends from {THREADS} threads against those", grouped / plain, "x", ">= 1.4"),
        ("durable appends, record_many of 256, against those", batched / plain, "x", ">= 4"),
        ("durable appends, one thread, a commit each", single, "/s", ">= 1,000"),
        (f"durable appends from {THREADS} threads, group commit, about {PEOPLE:,} people", grouped, "/s", ">= 5,000"),
        ("the same, each about somebody never named before", strangers, "/s", ">= 5,000"),
        (f"durable appends, record_many of 256, about {PEOPLE:,} people", batched, "/s", ">= 15,000"),
        ("the same, each about somebody never named before", newcomers, "/s", ">= 15,000"),
        ("added latency at 1,000/s, median", statistics.median(waits) * 1e3, "ms", ""),
        ("added latency at 1,000/s, p99", statistics.quantiles(waits, n=100)[98] * 1e3, "ms", "< 25"),
    ]


def in_batches(log: AuditLog, event: Callable[[int], Event]) -> float:
    """Entries per second, events made and prepared on the way."""
    batches = 80
    started = time.perf_counter()
    for batch in range(batches):
        log.record_many([event(batch * 256 + i) for i in range(256)])
    return batches * 256 / (time.perf_counter() - started)


def from_threads(work: Callable[[int], object], *, per_thread: int) -> float:
    """Calls per second over all threads."""
    barrier = threading.Barrier(THREADS + 1)

    def run(first: int) -> None:
        barrier.wait()
        for i in range(first, first + per_thread):
            work(i)

    threads = [threading.Thread(target=run, args=(n * per_thread,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    barrier.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return THREADS * per_thread / (time.perf_counter() - started)


def at_rate(work: Callable[[int], object], *, rate: int, seconds: float) -> list[float]:
    """Latency of each call in seconds, counted from the time it was due; calls are due at an even rate over all threads."""
    waits: list[list[float]] = [[] for _ in range(THREADS)]
    begin = time.perf_counter() + 0.2

    def run(n: int) -> None:
        for i in range(int(rate * seconds) // THREADS):
            due = begin + (i * THREADS + n) / rate
            if (pause := due - time.perf_counter()) > 0:
                time.sleep(pause)
            work(n * 1_000_000 + i)
            waits[n].append(time.perf_counter() - due)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [wait for part in waits for wait in part]


def proof(folder: Path, leaves: int) -> list[Row]:
    """One inclusion proof, of a tree whose full tiles are all stored, as a log of that size would have them."""
    _, database = new_log(folder)
    level, below = 0, [os.urandom(32) for _ in range(leaves // TILE_WIDTH * TILE_WIDTH)]
    size, first_level = len(below), below
    with database.write() as tx:
        while len(below) >= TILE_WIDTH:
            above, rows = [], []
            for n in range(len(below) // TILE_WIDTH):
                hashes = below[n * TILE_WIDTH : (n + 1) * TILE_WIDTH]
                above.append(perfect_root(hashes))
                rows.append({"base": 0, "level": level, "n": n, "root": above[-1], "data": b"".join(hashes)})
            bulk_insert(tx, AuditTileRow, rows)
            below, level = above, level + 1
    with database.read() as tx:
        root = tree_at(tx, 0, size).root()
    waits = []
    for i in range(200):
        index = i * (size // 200) + 17
        started = time.perf_counter()
        with database.read() as tx:
            path = inclusion_proof(index, size, StoredTree(tx).node)
        waits.append(time.perf_counter() - started)
        verify_inclusion(first_level[index], index, size, path, root)
    database.close()
    return [
        (f"inclusion proof from {size:,} entries, median", statistics.median(waits) * 1e3, "ms", ""),
        (f"inclusion proof from {size:,} entries, worst of 200", max(waits) * 1e3, "ms", "< 5"),
    ]


def grown(folder: Path, entries: int) -> tuple[AuditLog, Database, float]:
    """A log of ``entries`` accesses to ``PEOPLE`` people, in turn."""
    log, database = new_log(folder)
    started = time.perf_counter()
    for first in range(0, entries, 2_000):
        batch = [access(i % PEOPLE) for i in range(first, min(first + 2_000, entries))]
        log.record_many(batch)
    rate = entries / (time.perf_counter() - started)
    log.checkpoint(SIGNER)
    return log, database, rate


def verification(folder: Path, log: AuditLog) -> list[Row]:
    export_tiles(log, folder / "tiles", vkey=VKEY.to_text())
    started = time.perf_counter()
    report = verify_folder(folder / "tiles", VKEY.to_text())
    taken = time.perf_counter() - started
    if not report.ok:
        raise RuntimeError("the log does not verify")
    leaves = [entry.leaf or b"" for entry in log.entries(0, 50_000)]
    started = time.perf_counter()
    for leaf in leaves:
        hashlib.sha256(leaf).digest()
    bare = len(leaves) / (time.perf_counter() - started)
    return [
        (f"verify an export of {report.entries:,} entries", report.entries / taken, "/s", ">= 250,000"),
        ("SHA-256 of the leaves alone, one thread", bare, "/s", ""),
        ("verify against that", report.entries / taken / bare, "x", ">= 0.2"),
    ]


def disclosures(log: AuditLog) -> list[Row]:
    waits, found = [], 0
    for i in range(20):
        started = time.perf_counter()
        entries = log.entries_at(log.entries_of(token(i * 100)))
        closings = log.closings([entry.event_id for entry in entries])
        waits.append(time.perf_counter() - started)
        found = len(entries) + len(closings)
    return [(f"one person's {found} disclosures, worst of 20", max(waits), "s", "< 1")]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--tree", type=int, default=10_000_000)
    parser.add_argument("--only", default="appends,proof,verify,disclosures")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    wanted = set(options.only.split(","))
    root = Path(tempfile.mkdtemp(dir=options.folder))
    rows: list[Row] = []
    try:
        for name in ("reference", "appends", "proof", "log"):
            (root / name).mkdir()
        rows += reference_points(root / "reference")
        if "appends" in wanted:
            rows += appends(root / "appends")
        if "proof" in wanted:
            rows += proof(root / "proof", options.tree)
        if wanted & {"verify", "disclosures"}:
            log, database, rate = grown(root / "log", options.entries)
            rows.append((f"growing a log to {options.entries:,} entries", rate, "/s", ""))
            rows += disclosures(log) if "disclosures" in wanted else []
            rows += verification(root / "log", log) if "verify" in wanted else []
            database.close()
    finally:
        shutil.rmtree(root)
    versions = {
        "python": platform.python_version(),
        "sqlite": dbapi2.sqlite_version,
        "sqlalchemy": sqlalchemy.__version__,
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
    for what, value, unit, target in rows:
        shown = f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
        print(f"{what:62} {shown:>12} {unit:3} {target}")
    print(", ".join(f"{name} {value}" for name, value in versions.items()))
    if options.json:
        options.json.write_text(json.dumps({"versions": versions, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
