"""Answers of a server: open-loop requests for one person's panel, batches of people, and everybody as Arrow.

    python -m benchmarks.service [--people 1000] [--loci 1000] [--seconds 20] [--rates 100 700] [--whole]

The driver is a process of its own and sends at fixed times, whatever was answered: a latency counts from when its request was due. Beside the
figures stand how many durable commits a second bare SQLite makes on the same disk, in the same minute; the server's processor time for each request, which other
work on the machine changes less than times; and the floor, a bare route that writes one durable row (``bare_route``), driven in the same way.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import multiprocessing
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from pysqlite3 import dbapi2

from policies.declarations import project_template
from policies.token_scopes import TokenScope
from vault.access import access_tokens, projects
from vault.consent import recording
from vault.crypto.keystore import PassphraseFactor, Role
from vault.files.csv_sheets import write_sheet
from vault.files.yaml_documents import parse_yaml
from vault.genotypes import import_job
from vault.genotypes.catalog import datasets, panel_builder, panels
from vault.genotypes.loci import parse_loci
from vault.operations.create import init
from vault.operations.recovery import open_recovered
from vault.session import principals

FACTOR = PassphraseFactor.from_text("correct horse canary staple")
PASSPHRASE = "passphrase of the service"
ARROW = "application/vnd.apache.arrow.stream"
CONNECTIONS = 48


@dataclass(frozen=True)
class Figures:
    """Latencies in seconds, from the time at which each request was due, and the rate of answers."""

    latencies: list[float]
    rate: float
    failed: int

    def words(self) -> str:
        """One line."""
        found = sorted(self.latencies)
        p50, p99 = (found[min(len(found) - 1, int(len(found) * part))] * 1e3 for part in (0.5, 0.99))
        return f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, {self.rate:.0f} answers/s, {self.failed} failed"


def make(folder: Path, people: int, loci: int) -> str:
    """A vault of made-up people who all agree, a panel of every site, a service and an engine; the engine's token."""
    init(folder, steward="ann", factor=FACTOR)
    vault = open_recovered(folder, factor=FACTOR, principal="ann")
    path = folder.parent / "cohort.vcf"
    _write_vcf(path, people, loci)
    import_job.import_files(vault, [path], name="cohort", assembly="GRCh38", options=import_job.ImportOptions(unknown="register"))
    header, rows = recording.blank_sheet(vault, "broad-research", accept=True)
    sheet = io.StringIO()
    write_sheet(sheet, columns=header, rows=rows)
    recording.import_answers(vault, sheet.getvalue().encode(), "broad-research")
    principals.add(vault, "service", Role.SERVICE, PassphraseFactor.from_text(PASSPHRASE))
    principals.add(vault, "rita", Role.RESEARCHER, None)
    document = parse_yaml(project_template("served", "cohort").encode(), name="template")
    projects.create(vault, document | {"people": ["rita"]})
    projects.change(vault, "served", "approve")
    dataset = datasets.by_name(vault, "cohort")
    text = f"22\t999\t{1_000 + 10 * loci}\n".encode()
    panel = panels.create(vault, "pgx", parse_loci(text, name="loci"), dataset_id=dataset.dataset_id)
    panel_builder.build(vault, dataset, panel)
    scopes = (TokenScope.READ, TokenScope.ENGINE)
    token, _ = access_tokens.issue(vault, "rita", project="served", scopes=scopes, expires=vault.clock() + timedelta(days=1))
    vault.close()
    return token.reveal().decode()


def _write_vcf(path: Path, people: int, loci: int) -> None:
    draw = np.random.default_rng(7)
    texts = np.array(["0|0", "0|1", "1|1"])
    with path.open("w") as file:
        file.write("##fileformat=VCFv4.2\n##contig=<ID=22>\n")
        file.write('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n')
        file.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT")
        file.write("".join(f"\tP{at}" for at in range(people)) + "\n")
        for locus in range(loci):
            copies = draw.binomial(2, draw.beta(0.5, 2), people)
            file.write(f"22\t{1_000 + 10 * locus}\t.\tA\tG\t.\tPASS\t.\tGT\t" + "\t".join(texts[copies].tolist()) + "\n")


@dataclass(frozen=True)
class Serving:
    """A server's port and process."""

    port: int
    pid: int

    def spent(self) -> float:
        """Seconds of processor time so far, all threads together, by the scheduler's clock: steadier than times where other work is about."""
        return sum(int(one.read_text().split()[0]) for one in Path(f"/proc/{self.pid}/task").glob("*/schedstat")) / 1e9


@contextmanager
def serving(folder: Path) -> Iterator[Serving]:
    """The server in a process of its own."""
    port = _free_port()
    start = "import genovault_start; genovault_start.command()"
    line = [sys.executable, "-c", start, "--vault", str(folder), "--as", "service", "serve", "--listen", f"127.0.0.1:{port}"]
    with _started(line, port, {"GENOVAULT_PASSPHRASE": PASSPHRASE}) as it:
        yield it


@contextmanager
def floor(folder: Path, size: int) -> Iterator[Serving]:
    """A bare route in a process of its own, whose answers have so many bytes."""
    port = _free_port()
    with _started([sys.executable, "-m", "benchmarks.bare_route", str(port), str(folder), str(size)], port, {}) as it:
        yield it


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def _started(line: list[str], port: int, more: dict[str, str]) -> Iterator[Serving]:
    process = subprocess.Popen(line, env={**os.environ, **more})
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield Serving(port, process.pid)
    finally:
        process.terminate()
        process.wait(60)


class Driver:
    """Sends requests at fixed times over kept connections; a request without a free one waits, and its latency counts that."""

    def __init__(self, port: int, token: str, *, accept: str = "application/json") -> None:
        self._port, self._token, self._accept = port, token, accept

    def message(self, body: object) -> bytes:
        """One request for genotypes."""
        text = json.dumps(body).encode()
        head = (
            "POST /v1/projects/served/panels/pgx/genotypes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Accept: {self._accept}\r\nAuthorization: Bearer {self._token}\r\nContent-Length: {len(text)}\r\n\r\n"
        )
        return head.encode() + text

    async def run(self, bodies: list[object], rate: float) -> Figures:
        """Send each body when it is due."""
        free = deque([await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 24) for _ in range(CONNECTIONS)])
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        latencies: list[float] = []
        failed = 0

        async def work(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
            nonlocal failed
            reader, writer = connection
            while True:
                due, message = await waiting.get()
                writer.write(message)
                status, _ = await _answer(reader)
                latencies.append(time.perf_counter() - due)
                failed += status != 200
                waiting.task_done()

        workers = [asyncio.create_task(work(connection)) for connection in free]
        messages = [self.message(body) for body in bodies]
        begun = time.perf_counter()
        for at, message in enumerate(messages):
            due = begun + at / rate
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            waiting.put_nowait((due, message))
        await waiting.join()
        passed = time.perf_counter() - begun
        for worker in workers:
            worker.cancel()
        return Figures(latencies, len(latencies) / passed, failed)

    async def once(self, body: object) -> tuple[float, bytes]:
        """Seconds and bytes of one answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 28)
        begun = time.perf_counter()
        writer.write(self.message(body))
        status, answer = await _answer(reader)
        writer.close()
        if status != 200:
            raise SystemExit(f"{status}: {answer[:200]!r}")
        return time.perf_counter() - begun, answer


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head.split(b" ", 2)[1])
    if b"content-length:" in head:
        return status, await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
    pieces = []
    while size := int((await reader.readline()).strip(), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return status, b"".join(pieces)


def _driven(arguments: tuple[int, str, list[object], float]) -> Figures:
    port, token, bodies, rate = arguments
    return asyncio.run(Driver(port, token).run(bodies, rate))


def apart(port: int, token: str, bodies: list[object], rate: float) -> Figures:
    """The driver in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(_driven, [(port, token, bodies, rate)])[0]


def bare_commits(folder: Path) -> float:
    """Durable commits a second of bare SQLite."""
    connection = dbapi2.connect(str(folder / "bare.db"), isolation_level=None)
    for statement in ("PRAGMA journal_mode=wal", "PRAGMA synchronous=2", "CREATE TABLE t (a)"):
        connection.execute(statement)
    times = []
    for _ in range(2_000):
        begun = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("COMMIT")
        times.append(time.perf_counter() - begun)
    connection.close()
    return 1 / statistics.median(times)


def _told(it: Serving, token: str, bodies: list[object], rate: float) -> str:
    before = it.spent()
    said = apart(it.port, token, bodies, rate).words()
    return f"{said}, {1e3 * (it.spent() - before) / len(bodies):.2f} ms of processor each"


def main() -> None:
    """Make, serve, drive, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--loci", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rates", type=float, nargs="*", default=[100, 700])
    parser.add_argument("--whole", action="store_true", help="everybody as Arrow, twice")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "v"
        token = make(folder, asked.people, asked.loci)
        print(f"bare SQLite: {bare_commits(Path(temporary)):.0f} durable commits/s")
        with serving(folder) as it:
            port = it.port
            everybody, whole = Driver(port, token), Driver(port, token, accept=ARROW)
            first, answer = asyncio.run(whole.once({"dataset": "cohort"}))
            again, _ = asyncio.run(whole.once({"dataset": "cohort"}))
            print(f"{asked.people} x {asked.loci}, Arrow of {len(answer) / 1e6:.1f} MB: first {first:.2f} s, again {again:.2f} s")
            if asked.whole:
                return
            _, named = asyncio.run(everybody.once({"dataset": "cohort"}))
            names = list(json.loads(named)["calls"])
            draw = random.Random(1)
            one = [{"dataset": "cohort", "pseudonyms": [draw.choice(names)]} for _ in range(200)]
            _, answer = asyncio.run(everybody.once(one[0]))
            apart(port, token, list(one), 100)  # a new process has everything to load
            for rate in asked.rates:
                bodies: list[object] = [
                    {"dataset": "cohort", "pseudonyms": [draw.choice(names)]} for _ in range(int(rate * asked.seconds))
                ]
                print(f"one person at {rate:.0f}/s: {_told(it, token, bodies, rate)}")
                with floor(Path(tempfile.mkdtemp(dir=temporary)), len(answer)) as bare:
                    apart(bare.port, token, list(one), 100)
                    print(f"the floor at {rate:.0f}/s: {_told(bare, token, bodies, rate)}")
            batches: list[object] = [{"dataset": "cohort", "pseudonyms": draw.sample(names, 100)} for _ in range(2_000)]
            before = it.spent()
            found = apart(port, token, batches, 1e9)
            cost = (it.spent() - before) / len(batches)
            print(f"batches of 100: {100 * found.rate:.0f} rows/s, {found.failed} failed, {1e3 * cost:.1f} ms of processor each")
        print(f"bare SQLite: {bare_commits(Path(temporary) / 'v'):.0f} durable commits/s")


if __name__ == "__main__":
    main()
