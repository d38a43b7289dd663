"""Consent ledger: append-only events, chained by a hash, read back whole and verified (``ledger_columns``).

Each audit entry about consent carries the ledger's head, and reading compares both, so a deleted, edited or moved event is an error
rather than a missing consent; and what permits counts only where a steward vouches for it. An unlocked vault caches the verified columns and reads only later batches.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
from sqlalchemy import bindparam, func, select

from policies import records
from policies.consent import RULES, ConsentEvent, Precision, Status
from vault.audit.entry import ConsentHead
from vault.consent import ledger_columns, ledger_witnesses
from vault.consent.ledger_columns import CLOCK_BEHIND, DAY, EVENT, FORMAT, LAYOUTS, Columns, EventBatch, StatementTable
from vault.crypto.envelope import Binding, PersonalPlace, open_blob, seal_blobs
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.primitives import sha256
from vault.errors import UnavailableError
from vault.ids import ID_BYTES, SubjectId, VaultId
from vault.session.caches import Cache
from vault.session.moments import CLOCK_SLACK
from vault.session.unlocked_vault import UnlockedVault
from vault.session.wrapped_keys import OpenKey
from vault.storage.base import bulk_insert
from vault.storage.book_tables import ConsentBatchRow, ConsentPrivateRow, ConsentStatementRow
from vault.storage.compiled_statements import Statement
from vault.storage.database import Transaction
from vault.storage.stored_types import largest
from vault.storage.timestamps import from_micros, to_micros

CONTENT_TYPE = "genovault/consent-private/1"
SEALED_EVIDENCE = "sealed"  # replaces the digest of the evidence in an event; the sealed part has it
_HEAD = Statement(select(ConsentBatchRow.head).where(ConsentBatchRow.last_seq == bindparam("seq")))
_LATER = Statement(
    select(ConsentBatchRow.last_seq, ConsentBatchRow.events, ConsentBatchRow.times, ConsentBatchRow.head, ConsentBatchRow.format)
    .where(ConsentBatchRow.last_seq > bindparam("after"))
    .order_by(ConsentBatchRow.last_seq)
)
_STATEMENTS = Statement(
    select(ConsentStatementRow.statement_id, ConsentStatementRow.sha256, ConsentStatementRow.body).where(
        ConsentStatementRow.statement_id > bindparam("after")
    )
)

CHECKED_COLUMNS: Cache[Columns | None] = Cache(lambda: None)


@dataclass(frozen=True)
class NewEvent:
    """Event to be recorded (its ``seq`` and ``recorded_at`` are set on recording), and its sealed part.

    ``at_once``: its legal time was not stated, so that it is the time of recording.
    """

    subject: SubjectId = field(repr=False)
    event: ConsentEvent
    private: Mapping[str, str] = field(repr=False)
    at_once: bool = False


@dataclass(frozen=True)
class Head:
    """Head of the ledger: ``seq`` of its last event (0: none) and the hash chain's value there."""

    seq: int
    digest: bytes

    def entry(self, added: int = 0) -> ConsentHead:
        """Head as an audit entry carries it, after ``added`` events."""
        return ConsentHead(self.seq, self.digest, added)


@dataclass(frozen=True)
class Ledger:
    """Verified ledger."""

    columns: Columns

    @property
    def head(self) -> Head:
        """Head of the ledger."""
        return Head(len(self.columns), self.columns.head)

    def events_of(self, subject: SubjectId) -> tuple[ConsentEvent, ...]:
        """Events of one subject, in ledger order."""
        number = int(self.columns.numbers([subject])[0])
        if number < 0:
            return ()
        return tuple(self.columns.event(int(at)) for at in np.flatnonzero(self.columns.subject == number))

    def subject_of(self, event_id: str) -> SubjectId | None:
        """Subject of an event, or None where there is no such event."""
        if not event_id.isascii():
            return None
        found = np.flatnonzero(self.columns.fixed["event_id"] == event_id.encode())
        return self.columns.subject_id(int(self.columns.subject[found[0]])) if len(found) else None

    def patterns(self) -> list[ConsentEvent]:
        """Statements of the events, each distinct one once (``records.parse_statement``)."""
        return [self.columns.statements.pattern(one) for one in np.unique(self.columns.statement_ids).tolist()]

    def who_answered(self, form: str) -> set[SubjectId]:
        """Subjects with an answer to any version of a form."""
        columns = self.columns
        used = np.unique(columns.statement_ids).tolist()
        named = [one for one in used if (ref := columns.statements.pattern(one).form) is not None and ref.form == form]
        return self._subjects(named)

    def who_withdrew(self) -> set[SubjectId]:
        """Subjects with any withdrawal from everything, later acceptances or not."""
        columns = self.columns
        used = np.unique(columns.statement_ids).tolist()
        withdrawals = {one: columns.statements.pattern(one).withdrawal for one in used}
        return self._subjects([one for one, item in withdrawals.items() if item is not None and item.scope == "everything"])

    def who_died(self) -> set[SubjectId]:
        """Subjects with a recorded death, corrected since or not."""
        used = np.unique(self.columns.statement_ids).tolist()
        return self._subjects([one for one in used if self.columns.statements.pattern(one).status is Status.DECEASED])

    def _subjects(self, statement_ids: list[int]) -> set[SubjectId]:
        numbers = np.unique(self.columns.subject[np.isin(self.columns.statement_ids, statement_ids)]).tolist()
        return {self.columns.subject_id(number) for number in numbers}


def append(
    tx: Transaction, vault: UnlockedVault, new: Sequence[NewEvent], *, clock_checked: bool = False
) -> tuple[Head, list[ConsentEvent]]:
    """Record events in the caller's write transaction, as one batch; return the new head and the events as recorded.

    The clock is read here, under the write lock. Where it is behind the last event, the time of that event is taken, so that the
    ledger's times never go back; legal times that were not stated follow in what only opposes.

    Args:
        clock_checked: somebody looked: the clock is right, and the time of the last event is not.

    Raises:
        UnavailableError: ``clock_behind``: the clock is behind the last event by more than a minute, and something here may permit.
    """
    head = last(tx, vault.vault_id)
    if not new:
        return head, []
    settled = vault.books.settled(tx)
    if settled is not None and settled[0] != head.seq:  # look over what others recorded since, before a steward vouches for it
        read(tx, vault)
    now, newest = vault.clock(), last_recorded(tx)
    floor = now if newest is None or clock_checked else max(now, newest)
    behind = floor - now > CLOCK_SLACK
    if behind and any(item.event.opens for item in new):
        raise _clock_behind(now, floor)
    keys = vault.keys.open_keys(KeyPurpose.IDENTITY, {item.subject for item in new})
    recorded = [_numbered(item, head.seq + 1 + at, floor, behind=behind) for at, item in enumerate(new)]
    parts = records.separate_all(recorded)
    sealed_parts = _seal(vault, new, keys)
    interned = _intern(tx, [text for text, _ in parts])
    fixed, private = np.zeros(len(new), EVENT), []
    for at, (item, event, (text, times), sealed) in enumerate(zip(new, recorded, parts, sealed_parts, strict=True)):
        statement_id, digest = interned[text]
        owner, halves = np.frombuffer(item.subject, ">u8"), np.frombuffer(digest, ">u8")
        clocks = to_micros(event.legal_time), to_micros(event.recorded_at)
        flags = DAY * (event.precision is Precision.DAY) | CLOCK_BEHIND * event.clock_behind
        fixed[at] = (event.event_id.encode(), owner, *clocks, statement_id, halves, len(times), sha256(sealed), flags)
        private.append({"seq": event.seq, "subject_id": item.subject, "sealed": sealed})
    moments = np.array([to_micros(moment) for _, times in parts for moment in times], ">i8").tobytes()
    chained = ledger_columns.batch_head(head.digest, head.seq + 1, fixed.tobytes(), moments)
    last_seq = head.seq + len(new)
    tx.add(ConsentBatchRow(last_seq=last_seq, events=fixed.tobytes(), times=moments, head=chained, format=FORMAT))
    tx.flush()
    bulk_insert(tx, ConsentPrivateRow, private)
    vault.books.settle(tx, last_seq, chained)
    return Head(last_seq, chained), recorded


def last(tx: Transaction, vault_id: VaultId) -> Head:
    """Head as the newest batch states it, unverified."""
    query = select(ConsentBatchRow.last_seq, ConsentBatchRow.head).order_by(ConsentBatchRow.last_seq.desc()).limit(1)
    row = tx.execute(query).first()
    return Head(0, ledger_columns.start(vault_id)) if row is None else Head(row.last_seq, row.head)


def last_recorded(tx: Transaction) -> datetime | None:
    """Time at which the last event was recorded; None in an empty ledger. Unverified, as ``last``."""
    newest = select(ConsentBatchRow.last_seq, ConsentBatchRow.format).order_by(ConsentBatchRow.last_seq.desc()).limit(1)
    row = tx.execute(newest).first()
    if row is None:
        return None
    layout, events = LAYOUTS[row.format], ConsentBatchRow.events
    tail = func.substr(events, func.length(events) - layout.itemsize + 1, layout.itemsize)
    packed = tx.scalar(select(tail).where(ConsentBatchRow.last_seq == row.last_seq)) or b""
    return from_micros(int(np.frombuffer(packed, layout)["recorded_at"][-1]))


def read(tx: Transaction, vault: UnlockedVault) -> Ledger:
    """Read the ledger, verify its hash chain, and hold it against the audit log and the stewards' word (``ledger_witnesses``).

    Raises:
        IntegrityError: ``consent_ledger_altered``; ``consent_ledger_behind``: the log knows of events that the ledger lacks.
    """
    known = vault.caches.get(CHECKED_COLUMNS)
    columns = _extended(tx, vault.vault_id, ledger_columns.empty(vault.vault_id) if known is None else known)
    vault.caches.put(CHECKED_COLUMNS, columns)
    ledger_witnesses.require(tx, vault, columns)
    return Ledger(columns)


def concerned_since(tx: Transaction, head: Head) -> tuple[Head, frozenset[SubjectId]]:
    """The head now, by the chain of the batches after an earlier one, and whom their events are of. Nothing before is read.

    Raises:
        IntegrityError: ``consent_ledger_altered``.
    """
    found: set[bytes] = set()
    for last_seq, events, times, stated, version in _LATER.rows(tx, after=head.seq):
        layout = LAYOUTS.get(version)
        chained = b"" if layout is None else ledger_columns.batch_head(head.digest, head.seq + 1, events, times, version=version)
        if layout is None or chained != stated or last_seq != head.seq + len(events) // layout.itemsize:
            raise ledger_columns.altered(head.seq + 1)
        ids = np.frombuffer(events, layout)["subject"].tobytes()
        found.update(ids[at : at + ID_BYTES] for at in range(0, len(ids), ID_BYTES))
        head = Head(last_seq, stated)
    return head, frozenset(map(SubjectId, found))


def private(vault: UnlockedVault, tx: Transaction, book: Ledger, subject: SubjectId) -> dict[int, dict[str, str]]:
    """Open the sealed parts of a subject's events, by ``seq``. Callers log the access.

    Raises:
        IntegrityError: ``consent_ledger_altered``: a sealed part is missing or not the one that was recorded.
    """
    key = vault.keys.open(KeyPurpose.IDENTITY, subject)
    rows = tx.execute(select(ConsentPrivateRow.seq, ConsentPrivateRow.sealed).where(ConsentPrivateRow.subject_id == subject))
    held = {row.seq: row.sealed for row in rows}
    found = {}
    for event in book.events_of(subject):
        sealed = held.get(event.seq, b"")
        if sha256(sealed) != book.columns.fixed["sealed"][event.seq - 1].tobytes():
            raise ledger_columns.altered(event.seq)
        binding = _binding(vault.vault_id, subject, event.event_id, key.key_id, key.version)
        found[event.seq] = json.loads(open_blob(key.secret, binding, sealed))
    return found


def _extended(tx: Transaction, vault_id: VaultId, known: Columns) -> Columns:
    """Verified columns with later batches; read from the beginning if the books no longer hold the verified ones."""
    if len(known) and [row[0] for row in _HEAD.rows(tx, seq=len(known))] != [known.head]:
        known = ledger_columns.empty(vault_id)
    batches = [EventBatch(*row) for row in _LATER.rows(tx, after=len(known))]
    return ledger_columns.extended(known, batches, _statements(tx, known.statements) if batches else known.statements)


def _statements(tx: Transaction, known: StatementTable) -> StatementTable:
    statements = StatementTable(dict(known.bodies), dict(known.digests), known.patterns)
    for statement_id, digest, body in _STATEMENTS.rows(tx, after=max(known.bodies, default=0)):
        statements.add(statement_id, digest, body)
    return statements


def as_stored(item: NewEvent) -> ConsentEvent:
    """Event as the ledger stores it: the digest of the evidence and the free text of the channel go to the sealed part."""
    return replace(item.event, evidence_hash=SEALED_EVIDENCE if item.event.evidence_hash else "", channel="")


def sealed_content(item: NewEvent) -> dict[str, str]:
    """Sealed part of an event, as ``private`` opens it."""
    own = {"evidence": item.event.evidence_hash, "channel": item.event.channel}
    return {**item.private, **{name: value for name, value in own.items() if value}}


def _numbered(item: NewEvent, seq: int, at: datetime, *, behind: bool) -> ConsentEvent:
    legal = at if behind and item.at_once else item.event.legal_time
    return replace(as_stored(item), seq=seq, legal_time=legal, recorded_at=at, rules=RULES[-1], clock_behind=behind)


def _clock_behind(now: datetime, newest: datetime) -> UnavailableError:
    return UnavailableError(
        "clock_behind",
        f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC, but the last consent was recorded at {newest:%Y-%m-%d %H:%M}",
        hint="set the clock; if it is right, repeat with --clock-checked (a withdrawal is always taken)",
    )


def _intern(tx: Transaction, texts: Sequence[str]) -> dict[str, tuple[int, bytes]]:
    """Id and digest of each statement; new ones are inserted."""
    digests = {text: sha256(text.encode()) for text in texts}
    known: dict[bytes, int] = {}
    wanted = list(digests.values())
    for at in range(0, len(wanted), 500):
        query = select(ConsentStatementRow.sha256, ConsentStatementRow.statement_id).where(
            ConsentStatementRow.sha256.in_(wanted[at : at + 500])
        )
        known.update((row.sha256, row.statement_id) for row in tx.execute(query))
    following = (tx.scalar(select(largest(ConsentStatementRow.statement_id))) or 0) + 1
    fresh = [text for text, digest in digests.items() if digest not in known]
    known.update((digests[text], following + at) for at, text in enumerate(fresh))
    # Keys are column names, which the attribute ``statement_id`` does not change.
    rows = [{"said_id": known[digests[text]], "sha256": digests[text], "body": text} for text in fresh]
    bulk_insert(tx, ConsentStatementRow, rows)
    return {text: (known[digest], digest) for text, digest in digests.items()}


def _seal(vault: UnlockedVault, new: Sequence[NewEvent], keys: Mapping[bytes, OpenKey]) -> list[bytes]:
    """Sealed part of each event, under the key of its subject."""
    found = dict[int, bytes]()
    for version in {key.version for key in keys.values()}:
        mine = [at for at, item in enumerate(new) if keys[item.subject].version == version]
        places = []
        for at in mine:
            subject, key = new[at].subject, keys[new[at].subject]
            places.append(PersonalPlace(new[at].event.event_id.encode(), subject, key.key_id, key.secret))
        shared = _binding(vault.vault_id, SubjectId(b""), "", bytes(ID_BYTES), version)
        sealed = seal_blobs(shared, places, (_private_text(new[at]) for at in mine), random=vault.random)
        found.update(zip(mine, sealed, strict=True))
    return [found[at] for at in range(len(new))]


def _private_text(item: NewEvent) -> bytes:
    return json.dumps(sealed_content(item), ensure_ascii=False, sort_keys=True).encode()


def _binding(vault_id: VaultId, subject: SubjectId, event_id: str, key_id: bytes, key_version: int) -> Binding:
    return Binding(
        vault_id=vault_id,
        collection="consent",
        record_id=event_id.encode(),
        subject_id=subject,
        key_id=key_id,
        key_version=key_version,
        content_type=CONTENT_TYPE,
    )
