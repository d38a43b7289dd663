"""The consent ledger: append-only rows, chained by a hash, read back whole and checked.

    head(0) = SHA-256(context("genovault/consent-chain/v1", vault id))
    head(i) = SHA-256(context("genovault/consent-event/v1", head(i-1), i, event id, subject id, legal time, recorded at (decimal
                              µs), SHA-256(said), SHA-256(sealed)))

Each audit entry about consent carries the head, and the gate compares ledger and log before it decides, so a row that was
deleted, edited or moved is noticed, not merely a missing permission.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session as Transaction

from policies import canonical, consent
from policies.errors import PolicyInputError
from policies.records import parse_event
from vault.audit.entry import ConsentHead
from vault.crypto.context import encode_context
from vault.crypto.custody import KeyPurpose
from vault.crypto.envelope import Binding, open_blob, seal_blob
from vault.crypto.primitives import sha256
from vault.errors import IntegrityError
from vault.ids import SubjectId, VaultId
from vault.keybook import OpenKey
from vault.session import Session
from vault.storage.base import bulk_insert
from vault.storage.books import ConsentEventRow
from vault.times import from_micros, to_micros

COLUMNS = ("event_id", "seq", "legal_time", "recorded_at")  # of an event: kept as columns, the rest is ``said``
CONTENT_TYPE = "genovault/consent-private/1"


@dataclass(frozen=True)
class NewEvent:
    """An event to be recorded (its ``seq`` is set on recording) and what of it is sealed."""

    subject: SubjectId
    event: consent.ConsentEvent
    private: Mapping[str, str]


@dataclass(frozen=True)
class Head:
    """The ledger's end: ``seq`` of its last event (0: none) and the chain's value there."""

    seq: int
    digest: bytes

    def entry(self, added: int = 0) -> ConsentHead:
        """As an audit entry carries it."""
        return ConsentHead(self.seq, self.digest, added)


@dataclass(frozen=True)
class Ledger:
    """Events by subject, in ledger order, and the head they lead to."""

    events: Mapping[SubjectId, tuple[consent.ConsentEvent, ...]]
    head: Head


def append(tx: Transaction, session: Session, new: Sequence[NewEvent]) -> tuple[Head, list[consent.ConsentEvent]]:
    """Record events in the caller's write transaction; the new head and the events as recorded."""
    head = last(tx, session.vault_id)
    keys = session.keybook.open_keys(KeyPurpose.IDENTITY, {item.subject for item in new})
    rows: list[dict[str, object]] = []
    recorded: list[consent.ConsentEvent] = []
    for item in new:
        event = replace(item.event, seq=head.seq + 1)
        said = canonical.dumps({name: value for name, value in consent.as_dict(event).items() if name not in COLUMNS})
        text = json.dumps(dict(item.private), ensure_ascii=False, sort_keys=True).encode()
        binding = _binding(session.vault_id, item.subject, event.event_id, keys[item.subject])
        row: dict[str, object] = {
            "seq": event.seq,
            "event_id": event.event_id,
            "subject_id": item.subject,
            "legal_time": to_micros(event.legal_time),
            "recorded_at": to_micros(event.recorded_at),
            "said": said,
            "sealed": seal_blob(keys[item.subject].secret, binding, text, random=session.random),
        }
        head = Head(event.seq, _link(head.digest, ConsentEventRow(**row)))
        rows.append({**row, "head": head.digest})
        recorded.append(event)
    bulk_insert(tx, ConsentEventRow, rows)
    return head, recorded


def last(tx: Transaction, vault_id: VaultId) -> Head:
    """The head as the newest row states it."""
    row = tx.execute(select(ConsentEventRow.seq, ConsentEventRow.head).order_by(ConsentEventRow.seq.desc()).limit(1)).first()
    return Head(0, _start(vault_id)) if row is None else Head(row.seq, row.head)


def read(tx: Transaction, vault_id: VaultId, *, only: Iterable[SubjectId] | None = None) -> Ledger:
    """The ledger, every row's place in the chain checked; events of the subjects asked for (default: all).

    Raises:
        IntegrityError: ``consent_ledger_altered``.
    """
    wanted = None if only is None else set(only)
    events: dict[SubjectId, list[consent.ConsentEvent]] = {}
    head = Head(0, _start(vault_id))
    templates: dict[str, consent.ConsentEvent] = {}
    for row in tx.execute(select(ConsentEventRow.__table__).order_by(ConsentEventRow.seq)):
        digest = _link(head.digest, row)
        if row.seq != head.seq + 1 or digest != row.head:
            raise IntegrityError(
                "consent_ledger_altered",
                f"the consent ledger is not whole at its event {head.seq + 1}",
                hint="run genovault doctor",
            )
        head = Head(row.seq, digest)
        subject = SubjectId(row.subject_id)
        if wanted is None or subject in wanted:
            if row.said not in templates:
                templates[row.said] = _template(row)
            events.setdefault(subject, []).append(_event(row, templates[row.said]))
    return Ledger({subject: tuple(found) for subject, found in events.items()}, head)


def private(session: Session, tx: Transaction, subject: SubjectId) -> dict[str, dict[str, str]]:
    """What is sealed of a subject's events, by event id. Callers log the access."""
    key = session.keybook.open(KeyPurpose.IDENTITY, subject)
    rows = tx.scalars(select(ConsentEventRow).where(ConsentEventRow.subject_id == subject)).all()
    return {
        row.event_id: json.loads(open_blob(key.secret, _binding(session.vault_id, subject, row.event_id, key), row.sealed))
        for row in rows
    }


def _template(row: Row[Any]) -> consent.ConsentEvent:
    """What was said, parsed once for all events that say the same."""
    times = {name: canonical.instant_text(from_micros(getattr(row, name))) for name in ("legal_time", "recorded_at")}
    try:
        return parse_event(canonical.dumps({**json.loads(row.said), **times, "event_id": row.event_id, "seq": row.seq}))
    except (PolicyInputError, ValueError):
        raise IntegrityError("consent_event_unknown", "a consent event is of an unknown form", hint="upgrade genovault") from None


def _event(row: Row[Any], template: consent.ConsentEvent) -> consent.ConsentEvent:
    legal, recorded = from_micros(row.legal_time), from_micros(row.recorded_at)
    return replace(template, event_id=row.event_id, seq=row.seq, legal_time=legal, recorded_at=recorded)


def _start(vault_id: VaultId) -> bytes:
    return sha256(encode_context("genovault/consent-chain/v1", vault_id))


def _link(previous: bytes, row: ConsentEventRow | Row[Any]) -> bytes:
    fields = (row.seq, row.event_id, row.subject_id, str(row.legal_time), str(row.recorded_at), sha256(row.said.encode()))
    return sha256(encode_context("genovault/consent-event/v1", previous, *fields, sha256(row.sealed)))


def _binding(vault_id: VaultId, subject: SubjectId, event_id: str, key: OpenKey) -> Binding:
    return Binding(
        vault_id=vault_id,
        collection="consent",
        record_id=event_id.encode(),
        subject_id=subject,
        key_id=key.key_id,
        key_version=key.version,
        content_type=CONTENT_TYPE,
    )
