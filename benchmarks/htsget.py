"""Times of htsget, in process: a ticket, a header, the first byte and the whole of 1 % of the sites of half of D1's people.

    python -m benchmarks.htsget [--work FOLDER] [--scale 1] [--rounds 20]

Everything included: decision, log and its syncs, de-identification, text and compression. The network and HTTP are not. Medians of the wall and of processor time.
Beside them what bare SQLite makes of durable commits here, which two of each body and one of each ticket are.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import time
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import yaml
from pysqlite3 import dbapi2

from benchmarks.cohorts import bcf, cohort
from benchmarks.delivery import half_of, vault_of
from policies.declarations import project_template
from policies.token_scopes import TokenScope
from vault import gate
from vault.access import access_tokens, projects
from vault.access.stream_tickets import StreamAsked
from vault.crypto.keystore import KeyFileFactor, Role
from vault.extracts.stream_format import StreamFormat
from vault.session import principals
from vault.session.unlocked_vault import UnlockedVault, open_vault

COMMITS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "genovault" / "benchmarks")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    vcf = cohort("D1", options.work, scale=options.scale)
    source = bcf(vcf)
    place = options.work / f"htsget-{options.scale:g}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    half = half_of(source, place)
    steward = vault_of(place, vcf, half)
    token = _served(steward, place)
    steward.close()
    region = _hundredth(source)
    print(f"{len(half)} people, {region}; load {os.getloadavg()[0]:.1f}; bare durable commits: {_commits(place):,.0f} a second")
    with closing(open_vault(place / "v", factor=KeyFileFactor.from_file(place / "service"), principal="service")) as service:
        for kind in StreamFormat:
            _measure(service, token, StreamAsked("streamed", "cohort", regions=(region,), kind=kind), options.rounds)


def _served(vault: UnlockedVault, place: Path) -> str:
    """A service, and a researcher's token for streams of a project of everybody."""
    (place / "service").write_bytes(os.urandom(32))
    (place / "service").chmod(0o600)
    principals.add(vault, "service", Role.SERVICE, KeyFileFactor.from_file(place / "service"))
    principals.add(vault, "rita", Role.RESEARCHER, None)
    projects.create(vault, yaml.safe_load(project_template("streamed", "cohort")) | {"people": ["rita"]})
    projects.change(vault, "streamed", "approve")
    expires = vault.clock() + timedelta(days=1)
    text, _ = access_tokens.issue(vault, "rita", project="streamed", scopes=[TokenScope.STREAM], expires=expires)
    return text.reveal().decode()


def _hundredth(source: Path) -> str:
    """A region of 1 % of the sites, in the middle."""
    query = ["bcftools", "query", "-f", "%CHROM %POS\\n", source]
    sites = [line.split() for line in subprocess.run(query, capture_output=True, check=True, text=True).stdout.splitlines()]
    first = len(sites) // 2
    return f"{sites[first][0]}:{sites[first][1]}-{sites[first + len(sites) // 100 - 1][1]}"


def _commits(place: Path) -> float:
    """Durable commits of one insert a second, by SQLite alone."""
    bare = dbapi2.connect(place / "bare.db", isolation_level=None)
    bare.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE it (a)")
    begun = time.perf_counter()
    for number in range(COMMITS):
        bare.execute("INSERT INTO it VALUES (?)", (number,))
    taken = time.perf_counter() - begun
    bare.close()
    return COMMITS / taken


def _measure(service: UnlockedVault, token: str, asked: StreamAsked, rounds: int) -> None:
    taken: dict[str, list[tuple[float, float]]] = {"ticket": [], "header": [], "first byte": [], "whole": []}
    size = 0
    for _ in range(rounds + 1):
        begun = _now()
        who = access_tokens.authenticate(service, token)
        given, _ = gate.stream_ticket(service.acting(who.person), asked, accessor=who.accessor)
        text, at = given.reveal().decode(), [begun, _now()]
        gate.stream_header(service, text)
        at.append(_now())
        stream = gate.stream_body(service, text)
        first = next(stream)
        at.append(_now())
        size = len(first) + sum(map(len, stream))
        ended = _now()
        for name, (start, end) in zip(taken, [*pairwise(at), (at[2], ended)], strict=True):
            taken[name].append((end[0] - start[0], end[1] - start[1]))
    for name, values in taken.items():
        wall, processor = (1000 * statistics.median(one) for one in zip(*values[1:], strict=True))  # the first fills caches
        print(f"{asked.kind} {name}: {wall:.1f} ms, processor {processor:.1f} ms")
    print(f"{asked.kind}: {size / 1e6:.2f} MB")


def _now() -> tuple[float, float]:
    """Seconds of the wall, and of all processors in this process."""
    return time.perf_counter(), time.process_time()


if __name__ == "__main__":
    main()
