"""Deciding one purpose for a million people, from their own consents, in the books of a real vault.

    python benchmarks/consent.py [--people 1000000] [--states 1000] [--work FOLDER]

Two ledgers, one event for each person: ``states`` has that many distinct texts (terms, validity, guardians, declines) on distinct
days; ``dates`` has one form with a validity of 30 years, and a different legal time, hence a different end, for every person.
Printed for each: reading the ledger from SQLite with its chain verified, grouping it, the first decision and a later one, and the
sum of them all with nothing cached. Best of three, in seconds; the people are the dataset's members, read from SQL.

Last results (2026-11-22, two cores shared with other work; a million people):

| ledger | read, verified | group | members | first decision | all of it, cold | later decision |
|---|---|---|---|---|---|---|
| states (1,000 texts) | 0.76 | 0.47 | 1.21 | 0.21 | 2.67 | 0.15 |
| dates (1 text) | 0.53 | 0.08 | 1.26 | 0.10 | 1.99 | 0.10 |

With eight other processes busy the same took 4.6 s cold and 0.21 s later (states).
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from policies import records
from policies.consent import Answer, ConsentEvent, FormRef, PolicyAnswer, SignerRole
from policies.purposes import Commitment, Organisation, Profit, Purpose, UseKind
from policies.terms import parse_expression
from policies.times import add_months
from vault.audit.actions import Action, Outcome
from vault.consent import cohort_decisions, ledger, ledger_columns
from vault.consent.ledger import Head
from vault.crypto.keystore import PassphraseFactor
from vault.crypto.primitives import Argon2Profile
from vault.genotypes.catalog import part_members
from vault.ids import DatasetId
from vault.operations.create import init
from vault.session.unlocked_vault import UnlockedVault, open_vault
from vault.storage.base import bulk_insert
from vault.storage.book_tables import ConsentBatchRow, ConsentStatementRow, DatasetRow, LayoutMemberRow, PartRow, SubjectRow
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros

START = datetime(2024, 1, 1, tzinfo=UTC)
BATCH = 10_000  # events recorded together, as an import of a sheet does
NOW = datetime(2026, 11, 1, tzinfo=UTC)
DATASET = DatasetId(b"benchmark-data-1")
PART = b"benchmark-part-1"
FORM = FormRef("benchmark", "1", "0" * 64)
PURPOSE = Purpose(
    (UseKind.HMB,), commercial=False, commitments=(Commitment.NO_REID,), organisation=Organisation(profit=Profit.NON_PROFIT)
)
FACTOR = PassphraseFactor.from_text("a benchmark keeps no secret")
TERMS = (
    "GRU",
    "HMB",
    "HMB + NPU",
    "GRU + NCU",
    "DS(MONDO:0004992)",
    "POA",
    "HMB + TS(36)",
    "GRU | HMB + NPU",
    "NRES",
    "HMB + GS(DE)",
)


def event(number: int, states: int) -> ConsentEvent:
    """Consent event of person ``number``, one of ``states`` texts (1: one form with a different end for each person)."""
    legal = START + timedelta(days=number % 1000) if states > 1 else START + timedelta(seconds=number)
    kind = number % states
    declines = states > 1 and kind % 7 == 0
    answer = PolicyAnswer(
        "research_use",
        Answer.DECLINED if declines else Answer.ACCEPTED,
        version=str(kind),  # makes the texts distinct, as many versions of many forms do
        terms=None if declines else parse_expression(TERMS[kind % len(TERMS)] if states > 1 else "GRU"),
        valid_to=None if declines or (states > 1 and kind % 3) else add_months(legal, 360),
    )
    guardian = states > 1 and kind % 11 == 0
    return ConsentEvent(
        event_id=f"{number:08x}-0000-7000-8000-000000000000",
        seq=number + 1,
        legal_time=legal,
        recorded_at=legal + timedelta(days=1),
        answers=(answer,),
        form=FORM,
        signer=SignerRole.GUARDIAN if guardian else SignerRole.SELF,
        lapses_at=legal + timedelta(days=number % 3000) if guardian else None,
    )


def fill(vault: UnlockedVault, people: int, states: int) -> None:
    """People, their membership of a dataset, and one event each, written as the ledger writes them."""
    owners = [hashlib.sha256(b"%d" % number).digest()[:16] for number in range(people)]
    dataset = {"dataset_id": DATASET, "name": "benchmark", "assembly": "GRCh38", "created": 0}
    part = {"part_id": PART, "dataset_id": DATASET, "ordinal": 0, "n_subjects": people, "n_sites": 0, "n_chunks": 0}
    empty = {"total_bytes": 0, "directory_object": "", "directory_bytes": 0, "directory_sha256": bytes(32), "created": 0}
    with vault.books.write() as tx:
        bulk_insert(tx, SubjectRow, [{"subject_id": owner, "state": "active", "created": 0} for owner in owners])
        bulk_insert(tx, DatasetRow, [dataset])
        ids = {"directory_key_id": bytes(16), "length_key_id": bytes(16), "layout_id": PART}
        bulk_insert(tx, PartRow, [{**part, **empty, **ids, "members_sha256": part_members.digest(PART, sorted(owners))}])
        members = [{"layout_id": PART, "subject_id": s, "group_no": at // 4096, "slot": at % 4096} for at, s in enumerate(owners)]
        bulk_insert(tx, LayoutMemberRow, members)
        head = _events(tx, vault, owners, states)
        vault.trail.append(tx, Action.CONSENT_IMPORT, Outcome.DONE, consent=head.entry(added=people))


def _events(tx: Transaction, vault: UnlockedVault, owners: list[bytes], states: int) -> Head:
    statements: dict[str, tuple[int, bytes]] = {}
    fixed, moments = np.zeros(len(owners), ledger_columns.EVENT), []
    for number, owner in enumerate(owners):
        one = event(number, states)
        text, times = records.separate(one)
        statement_id, digest = statements.setdefault(text, (len(statements) + 1, hashlib.sha256(text.encode()).digest()))
        halves = np.frombuffer(owner, ">u8"), np.frombuffer(digest, ">u8")
        clocks = to_micros(one.legal_time), to_micros(one.recorded_at)
        fixed[number] = (one.event_id.encode(), halves[0], *clocks, statement_id, halves[1], len(times), bytes(32), 0)
        moments += [to_micros(at) for at in times]
    bulk_insert(tx, ConsentStatementRow, [{"said_id": n, "sha256": d, "body": t} for t, (n, d) in statements.items()])
    head, content, at = Head(0, ledger_columns.start(vault.vault_id)), np.array(moments, ">i8"), 0
    for first in range(0, len(owners), BATCH):
        part = fixed[first : first + BATCH]
        stop = at + int(part["n_times"].sum())
        events, times = part.tobytes(), content[at:stop].tobytes()
        head = Head(first + len(part), ledger_columns.batch_head(head.digest, first + 1, events, times))
        bulk_insert(
            tx,
            ConsentBatchRow,
            [{"last_seq": head.seq, "events": events, "times": times, "head": head.digest, "format": ledger_columns.FORMAT}],
        )
        at = stop
    return head


def measure(folder: Path, people: int, states: int) -> dict[str, float]:
    """Seconds for each step, the best of three."""
    init(folder, steward="ann", factor=FACTOR, profile=Argon2Profile.TEST_ONLY)
    vault = open_vault(folder, factor=FACTOR)
    fill(vault, people, states)
    found: dict[str, float] = {}

    def timed(step: str, act: Callable[[], object]) -> object:
        began = time.perf_counter()
        made = act()
        took = time.perf_counter() - began
        found[step] = min(found.get(step, took), took)
        return made

    for _ in range(3):
        vault.caches.clear()
        with vault.books.read() as tx:
            whole = time.perf_counter()
            book = timed("read, verified", lambda: ledger.read(tx, vault))
            known = timed("group", lambda: cohort_decisions.cached_decision_classes(vault, book))  # noqa: B023
            held = timed("members", lambda: cohort_decisions.members(vault, tx, [DATASET]))
            request = cohort_decisions.decision_request(vault, tx, PURPOSE, legal_at=NOW)
            answers = timed("first decision", lambda: cohort_decisions.decide_members(known, held, request))  # noqa: B023
            cold = time.perf_counter() - whole
            found["cold, all of it"] = min(found.get("cold, all of it", cold), cold)
            timed("later decision", lambda: cohort_decisions.decide_members(known, held, request))  # noqa: B023
    found["permitted"] = int(answers.permits().sum())
    found["classes"] = len(answers.verdicts)
    vault.close()
    return found


def main() -> None:
    """Both ledgers, printed as a table."""
    parser = argparse.ArgumentParser(description="Decide one purpose for many people.")
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--states", type=int, default=1_000)
    parser.add_argument("--work", type=Path)
    chosen = parser.parse_args()
    work = Path(tempfile.mkdtemp(dir=chosen.work))
    try:
        for name, states in (("states", chosen.states), ("dates", 1)):
            found = measure(work / name, chosen.people, states)
            print(f"{name}: {chosen.people:,} people, {states:,} distinct texts")
            for step, value in found.items():
                print(f"  {step:16} {value:10,.3f}" if isinstance(value, float) else f"  {step:16} {value:10,}")
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
