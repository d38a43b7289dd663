"""Pages of the console over logs of growing length: the overview, the log first, deep and by filters, a person's disclosures, approvals.

    python -m benchmarks.console [--entries 10000,100000,1000000] [--rounds 5] [--folder DIR] [--json FILE]

A vault of its own grows one log through ``AuditLog.record_many``, as it is in use: for every eight accesses of 2,500 people their outcomes, a request, a
refusal and a look at somebody's consent, over two years by a clock that runs ahead. At each length an auditor logs in to a server in this process and opens each page.
What counts is the last column: the time at the longest log against that at the shortest. A page that reads the whole log would show how much longer the log is.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import uvicorn

from vault.audit.actions import Action, ActorKind, Outcome
from vault.audit.entry import Actor, Event, ObjectRef
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.ids import AuditToken, utc_now
from vault.operations.create import init
from vault.operations.recovery import open_recovered
from vault.server.app import application
from vault.server.console.sessions import Sessions
from vault.server.seal import Seal
from vault.session import principals

WORDS = {"ann": "correct horse canary staple", "eve": "a passphrase of the auditor eve"}
PEOPLE = 2_500
BATCH = 2_000
YEARS = timedelta(days=730)
SAME = {"sec-fetch-site": "same-origin"}
ENGINE, STEWARD = Actor(ActorKind.ENGINE, "matcher"), Actor(ActorKind.STEWARD, "ann")


class RunningClock:
    """A clock of the past that each reading moves on by as much as makes ``entries`` readings two years."""

    def __init__(self, entries: int) -> None:
        self.now, self._step = utc_now() - YEARS, YEARS / (entries + entries // 10)

    def __call__(self) -> datetime:
        self.now = min(self.now + self._step, utc_now())
        return self.now


def token(number: int) -> AuditToken:
    """Audit token of a made-up person."""
    return AuditToken(f"hmac-sha256:1:{hashlib.sha256(number.to_bytes(8, 'big')).hexdigest()}")


def event(number: int, begun: list[str]) -> Event:
    """Entry ``number`` of a log as it is in use: of twenty, eight intents, their outcomes, and what people do beside."""
    at, project = number % 20, f"study-{number // 20 % 12}"
    if at < 8:
        release = ObjectRef("release", f"rel-{number:016x}")
        detail = {"dataset": "cohort", "panel": "pgx"}
        return Event(
            act=Action.VIEW_INTENT,
            actor=ENGINE,
            outcome=Outcome.INTENT,
            project=project,
            purpose="HMB",
            obj=release,
            subjects=[token(number % PEOPLE)],
            detail=detail,
        )
    if at < 16:
        return Event(
            act=Action.VIEW_OUTCOME,
            actor=ENGINE,
            outcome=Outcome.DONE,
            project=project,
            refers=begun.pop(0),
            counts={"sites": 100},
        )
    if at == 16:
        return Event(act=Action.VIEW_INTENT, actor=ENGINE, outcome=Outcome.REFUSED, project=project, reasons={"not_approved": 1})
    if at == 17:
        return Event(act=Action.CONSENT_SHOW, actor=STEWARD, outcome=Outcome.DONE, subjects=[token(number % PEOPLE)])
    if at == 18:
        return Event(
            act=Action.REQUEST_SUBMIT,
            actor=STEWARD,
            outcome=Outcome.DONE,
            project=project,
            request=f"r-{number:010x}",
            detail={"dataset": "cohort"},
        )
    return Event(act=Action.AUDIT_READ, actor=Actor(ActorKind.AUDITOR, "eve"), outcome=Outcome.DONE)


def grow(folder: Path, entries: int, clock: RunningClock) -> float:
    """Let the vault's log become ``entries`` long; entries per second."""
    vault = open_recovered(folder, factor=PassphraseFactor.from_text(WORDS["ann"]), principal="ann", clock=clock)
    log, begun, started = vault.trail.log, list[str](), time.perf_counter()
    first = size = log.size()
    while size < entries:
        batch = []
        for number in range(size, min(size + BATCH, entries)):
            if number % 20 in range(8, 16) and not begun:
                batch.append(log.prepare(Event(act=Action.AUDIT_READ, actor=STEWARD, outcome=Outcome.DONE)))
                continue
            made = log.prepare(event(number, begun))
            if number % 20 < 8:
                begun.append(made.event_id)
            batch.append(made)
        log.record_many(batch)
        size += len(batch)
    rate = (size - first) / (time.perf_counter() - started)
    vault.close()
    return rate


@contextmanager
def auditor(folder: Path) -> Iterator[httpx.Client]:
    """An auditor who is logged in to a server over the vault, which holds no keys of its own."""
    app = application(Seal(folder, "service"), Sessions())
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="on", loop="asyncio"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600) as client:
            answer = client.post("/console/login", data={"name": "eve", "passphrase": WORDS["eve"]}, headers=SAME)
            if answer.status_code != 303:
                raise RuntimeError("the auditor could not log in")
            yield client
    finally:
        server.should_exit = True
        thread.join()


def pages(size: int) -> dict[str, str]:
    """Addresses by what they show."""
    deep = size // 2
    return {
        "overview": "/overview",
        "log, newest": "/log",
        "log, from the middle": f"/log?from={deep}",
        "log, by an act that is frequent": "/log?act=view",
        "log, by an act that is frequent, from the middle": f"/log?act=view&from={deep}",
        "log, by who, a day": f"/log?who=matcher&since={(utc_now() - YEARS / 2).date()}&until={(utc_now() - YEARS / 2).date()}",
        "log, by what nobody did": "/log?act=table.approve",
        "one entry": f"/log/{deep}",
        "proof of an entry": f"/log/{deep}/proof",
        "releases": "/left",
        "notices": "/left?about=notices",
        "approvals": "/approvals",
        "approvals of one project": "/approvals/study-3",
        "checkpoints": "/checkpoints",
    }


def measured(folder: Path, rounds: int) -> dict[str, tuple[float, float]]:
    """(first, median of the others) seconds of each page by its name."""
    found: dict[str, tuple[float, float]] = {}
    with auditor(folder) as client:
        size = int(re.sub(r"\D", "", re.findall(r"/console/log/(\d+)", client.get("/console/log").text)[0]))
        for name, path in pages(size).items():
            found[name] = _timed(client, path, None, rounds)
        page = client.get("/console/disclosures").text
        form = {"token": re.findall(r'name="token" value="([^"]+)"', page)[0], "who": token(4), "since": "", "until": ""}
        found["one person's disclosures"] = _timed(client, "/disclosures", form, rounds)
    return found


def _timed(client: httpx.Client, path: str, form: Mapping[str, str] | None, rounds: int) -> tuple[float, float]:
    waits = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        answer = client.get(f"/console{path}") if form is None else client.post(f"/console{path}", data=form, headers=SAME)
        waits.append(time.perf_counter() - started)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code}")
    return waits[0], statistics.median(waits[1:])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", default="10000,100000,1000000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--kept", type=Path, default=None, help="a vault of an earlier run, which is only measured")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    lengths = sorted(int(one) for one in options.entries.split(","))
    if options.kept is not None:
        for name, (first, again) in measured(options.kept, options.rounds).items():
            print(f"{name:50} {first * 1e3:9.0f} ms, then {again * 1e3:9.1f} ms")
        return
    root = Path(tempfile.mkdtemp(dir=options.folder))
    results: dict[int, dict[str, tuple[float, float]]] = {}
    try:
        folder, clock = root / "v", RunningClock(lengths[-1])
        init(folder, steward="ann", factor=PassphraseFactor.from_text(WORDS["ann"]), profile=Argon2Profile.TEST_ONLY, clock=clock)
        vault = open_recovered(folder, factor=PassphraseFactor.from_text(WORDS["ann"]), principal="ann", clock=clock)
        principals.add(vault, "eve", Role.AUDITOR, PassphraseFactor.from_text(WORDS["eve"]), profile=Argon2Profile.TEST_ONLY)
        vault.close()
        for length in lengths:
            rate = grow(folder, length, clock)
            print(f"{length:,} entries, grown at {rate:,.0f}/s", flush=True)
            results[length] = measured(folder, options.rounds)
    finally:
        if options.folder is None:
            shutil.rmtree(root)
    _tell(results)
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    if options.json:
        options.json.write_text(json.dumps({"load": os.getloadavg()[0], "seconds": results}, indent=1))


def _tell(results: Mapping[int, Mapping[str, tuple[float, float]]]) -> None:
    lengths = sorted(results)
    print("| page | " + " | ".join(f"{length:,} entries" for length in lengths) + " | ratio |")
    print("|---" * (len(lengths) + 2) + "|")
    for name in results[lengths[0]]:
        shown = [f"{results[length][name][1] * 1e3:,.0f} ms (first {results[length][name][0] * 1e3:,.0f})" for length in lengths]
        print(f"| {name} | {' | '.join(shown)} | {results[lengths[-1]][name][1] / results[lengths[0]][name][1]:.2f} |")


if __name__ == "__main__":
    main()
