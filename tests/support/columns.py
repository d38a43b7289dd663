"""Ledger columns from events in memory, as the books would hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from policies import records
from policies.consent import ConsentEvent, Precision
from vault.consent.ledger_columns import (
    CLOCK_BEHIND,
    DAY,
    EVENT,
    LAYOUTS,
    Columns,
    EventBatch,
    StatementTable,
    batch_head,
    empty,
    extended,
    start,
)
from vault.crypto.primitives import sha256
from vault.ids import SubjectId, VaultId
from vault.storage.timestamps import to_micros

VAULT = VaultId(bytes(range(16)))


def subject(number: int) -> SubjectId:
    """A made-up subject id; neighbours share their first half now and then."""
    return SubjectId((number // 3).to_bytes(8, "big") + number.to_bytes(8, "big"))


def batches_of(events: Sequence[tuple[SubjectId, ConsentEvent]], *, size: int = 3) -> tuple[list[EventBatch], StatementTable]:
    """The events (numbered here, in order) packed in batches of ``size``."""
    texts, known, batches, head = StatementTable(), {}, [], start(VAULT)
    for first, part in _cut(events, size):
        version = max(event.rules for _, event in part)
        fixed, moments = np.zeros(len(part), EVENT), []
        for at, (owner, event) in enumerate(part):
            text, times = records.separate(event)
            digest = sha256(text.encode())
            if text not in known:
                known[text] = len(known) + 1
                texts.add(known[text], digest, text)
            halves = np.frombuffer(owner, ">u8"), np.frombuffer(digest, ">u8")
            clocks = to_micros(event.legal_time), to_micros(event.recorded_at)
            flags = DAY * (event.precision is Precision.DAY) | CLOCK_BEHIND * event.clock_behind
            fixed[at] = (event.event_id.encode(), halves[0], *clocks, known[text], halves[1], len(times), bytes(32), flags)
            moments += [to_micros(moment) for moment in times]
        packed = fixed[list(LAYOUTS[version].names or ())].astype(LAYOUTS[version]).tobytes()
        times_bytes = np.array(moments, ">i8").tobytes()
        head = batch_head(head, first + 1, packed, times_bytes, version=version)
        batches.append(EventBatch(first + len(part), packed, times_bytes, head, version))
    return batches, texts


def _cut(
    events: Sequence[tuple[SubjectId, ConsentEvent]], size: int
) -> Iterator[tuple[int, Sequence[tuple[SubjectId, ConsentEvent]]]]:
    """Batches of ``size``, and a cut where the rule set changes: a batch is of one format. With the place of the first event."""
    first = 0
    while first < len(events):
        most = events[first : first + size]
        _, own = next(groupby(most, key=lambda item: item[1].rules))
        alike = list(own)
        yield first, alike
        first += len(alike)


def columns_of(histories: Sequence[Sequence[ConsentEvent]]) -> tuple[Columns, list[list[ConsentEvent]]]:
    """Columns of several subjects' events, interleaved, and each one's events as the ledger numbers them."""
    flat = [(number, event) for number, events in enumerate(histories) for event in events]
    flat.sort(key=lambda item: (item[1].seq, item[0]))
    renamed: list[list[ConsentEvent]] = [[] for _ in histories]
    named: list[tuple[SubjectId, ConsentEvent]] = []
    rules = 1
    for seq, (number, event) in enumerate(flat, start=1):
        rules = max(rules, event.rules)  # a ledger goes over to a rule set once, for everybody
        correction = f"{number}-{event.supersedes}" if event.supersedes else ""
        numbered = replace(event, event_id=f"{number}-{event.event_id}", seq=seq, supersedes=correction, rules=rules)
        renamed[number].append(numbered)
        named.append((subject(number), numbered))
    batches, texts = batches_of(named)
    return extended(empty(VAULT), batches, texts), renamed
