"""The log: append entries, sign heads, prove and read back (``docs/formats/audit.md``).

Rules kept here:

* ``append`` works inside the caller's write transaction, so that a state change and its entry commit together; ``record`` makes
  its own and returns once the entry is on disk. Indices are contiguous from 0.
* The head is read from SQL under the database's write lock each time and advanced by compare-and-swap; nothing is remembered.
* Appending needs no secret: details are sealed to the auditors' public key (``details``).
* If the outcome of a commit is unknown, all connections are closed and the entry is looked up by its id before anyone is told.
* A checkpoint is signed from a new read transaction, after the tail was rehashed and joined to the last signed checkpoint.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, exc, func, insert, select
from sqlalchemy.orm import Session

from vault.audit import canonical
from vault.audit.details import DetailSession, open_detail
from vault.audit.entry import (
    DETAIL_SALT_BYTES,
    NONCE_BYTES,
    Event,
    Prepared,
    Stamp,
    commitment,
    decode_leaf,
    prepare,
    subject_set,
)
from vault.audit.merkle import CompactRange, inclusion_proof, leaf_hash
from vault.audit.note import ED25519, Checkpoint, Signer, VerifierKey, open_checkpoint, sign_note
from vault.audit.receipt import Receipt
from vault.audit.sets import entries_of_token, store_set, tokens_of_set
from vault.audit.stored_head import advance_head, head_altered, last_note, read_head, recompute
from vault.audit.tiles import StoredTree, store_full_tiles
from vault.crypto.secret import Secret
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.ids import AuditToken, Clock, RandomBytes, new_uuid7
from vault.storage.audit_tables import AuditCheckpointRow, AuditDetailRow, AuditHeadRow, AuditLeafRow, AuditSessionRow
from vault.storage.database import Database
from vault.times import to_micros

PAGE = 1_000  # entries read per transaction, so that a long reader does not hold the write-ahead log


@dataclass(frozen=True)
class Appended:
    """An entry in the log. Durable once the transaction that appended it has committed."""

    index: int
    event_id: str
    leaf: bytes


@dataclass(frozen=True)
class Entry:
    """A stored entry; ``leaf`` is None once retention dropped the payload."""

    index: int
    event_id: str
    leaf: bytes | None
    leaf_hash: bytes


class AuditLog:
    """The audit log of one vault. Thread-safe: every method works in its own transaction, or in the one it is given."""

    def __init__(
        self,
        database: Database,
        *,
        vault_id: bytes,
        origin: str,
        set_salt: bytes,
        audit_read_public: bytes,
        clock: Clock,
        random: RandomBytes,
    ) -> None:
        self.origin = origin
        self.database = database
        self._vault_id = vault_id
        self._set_salt = set_salt
        self._audit_read_public = audit_read_public
        self._clock = clock
        self._random = random
        self._session = self._new_session()

    def create(self, session: Session) -> None:
        """Make the empty log. Only ``init`` calls this: a log that has lost its head is never begun again by itself."""
        session.execute(insert(AuditHeadRow), [{"id": 1, "size": 0, "stack": b""}])

    # Appending

    def prepare(self, event: Event) -> Prepared:
        """Check and stamp an event before the action it describes, so that the action cannot turn out unloggable.

        Raises InputError as ``entry.prepare``.
        """
        now, session = self._clock(), self._current_session()
        stamp = Stamp(
            event_id=new_uuid7(self._random, now),
            time=now,
            session=session.session_id,
            seq=session.next_seq(),
            nonce=self._random(NONCE_BYTES),
            detail_salt=self._random(DETAIL_SALT_BYTES),
        )
        return prepare(event, stamp, set_salt=self._set_salt)

    def append(self, session: Session, event: Event | Prepared) -> Appended:
        """Append inside the caller's write transaction.

        Raises:
            InputError: as ``prepare``.
            IntegrityError: ``log_head_missing``, ``tree_malformed``, ``log_incomplete``.
            UnavailableError: ``log_conflict``: somebody appended without the write lock.
        """
        return self.append_many(session, [event])[0]

    def append_many(self, session: Session, events: Sequence[Event | Prepared]) -> list[Appended]:
        """Append several entries, in order, with one head update. Raises as ``append``."""
        batch = [event if isinstance(event, Prepared) else self.prepare(event) for event in events]
        hashes = [leaf_hash(prepared.leaf) for prepared in batch]
        old = read_head(session)
        new = old.extend(hashes)
        rows = [
            {"idx": old.size + i, "event_id": _uuid_bytes(prepared.event_id), "leaf_hash": hashes[i], "leaf": prepared.leaf}
            for i, prepared in enumerate(batch)
        ]
        if rows:
            session.execute(insert(AuditLeafRow), rows)
        advance_head(session, old, new)
        store_full_tiles(session, old.size, new.size)
        for index, prepared in enumerate(batch, old.size):
            if prepared.subjects is not None:
                store_set(session, prepared.subjects, index)
        self._store_details(session, old.size, batch)
        return [Appended(old.size + i, prepared.event_id, prepared.leaf) for i, prepared in enumerate(batch)]

    def record(self, event: Event | Prepared) -> Appended:
        """Append in a transaction of its own; on return the entry is on disk. Not for use inside ``Database.write``.

        Raises:
            UnavailableError: ``log_unavailable``: the entry is not known to be in the log, and nothing may be released.
            InputError, IntegrityError: as ``append``.
        """
        return self.record_many([event])[0]

    def record_many(self, events: Sequence[Event | Prepared]) -> list[Appended]:
        """Append several entries with one commit. Prepared ones may be given again: what is there already is not written twice.

        Raises as ``record``.
        """
        batch = [event if isinstance(event, Prepared) else self.prepare(event) for event in events]
        try:
            with self.database.write() as session:
                return self.append_many(session, batch)
        except UnavailableError as error:
            found = self._read_back(batch)
            if found is None:
                raise UnavailableError(
                    "log_unavailable", "the audit log cannot be written, so nothing is released", hint=error.hint
                ) from error
        except exc.IntegrityError as error:
            found = self._read_back(batch)
            if found is None:
                raise head_altered() from error
        return found

    # Heads and proofs

    def size(self) -> int:
        """Entries in the log."""
        with self.database.read() as session:
            return read_head(session).size

    def checkpoint(self, signer: Signer, *, trusted: Sequence[VerifierKey] = ()) -> str:
        """Sign the present head, store the note and return it; the last one again if nothing was appended since.

        ``trusted`` are the log's earlier keys, for the first checkpoint after a rotation of the signing key.

        Raises:
            IntegrityError: ``log_tail_altered``, ``log_incomplete``, ``log_head_altered``, ``log_forked`` (the log does not
                extend what was signed), and those of ``note.open_checkpoint`` about the last note.
        """
        keys = (VerifierKey(self.origin, ED25519, signer.public), *trusted)
        with self.database.read() as session:
            last = last_note(session)
            signed = (
                Checkpoint(self.origin, 0, CompactRange().root()) if last is None else open_checkpoint(last, self.origin, keys)
            )
            head = recompute(session, signed)
        if last is not None and head.size == signed.size:
            return last
        note = sign_note(Checkpoint(self.origin, head.size, head.root()).to_text(), self.origin, signer)
        with self.database.write() as session:
            newest = session.scalar(select(func.max(AuditCheckpointRow.size)))
            if newest is not None and newest >= head.size:  # another process signed meanwhile, and looked at more
                return last_note(session) or note
            row = {"size": head.size, "root": head.root(), "note": note, "created": to_micros(self._clock())}
            session.execute(insert(AuditCheckpointRow), [row])
        return note

    def latest_checkpoint(self) -> str | None:
        """The newest signed note, or None before the first."""
        with self.database.read() as session:
            return last_note(session)

    def checkpoints(self) -> list[str]:
        """Every signed note, oldest first."""
        with self.database.read() as session:
            return list(session.scalars(select(AuditCheckpointRow.note).order_by(AuditCheckpointRow.size)))

    def receipt(self, index: int) -> str:
        """The tlog-proof of entry ``index`` against the newest checkpoint, with the leaf in it.

        Raises:
            InputError: ``no_such_entry``.
            UnavailableError: ``not_signed_yet``: no checkpoint covers the entry yet.
        """
        with self.database.read() as session:
            entry = _entry(_one(session, index))
            note = last_note(session)
            size = 0 if note is None else Checkpoint.from_text(note.partition("\n\n")[0] + "\n").size
            if note is None or size <= index:
                raise UnavailableError("not_signed_yet", f"no checkpoint covers entry {index} yet", hint="sign one first")
            return Receipt(index, inclusion_proof(index, size, StoredTree(session).node), note, entry.leaf).to_text()

    # Reading

    def entry(self, index: int) -> Entry:
        """One entry. Raises InputError (``no_such_entry``)."""
        with self.database.read() as session:
            return _entry(_one(session, index))

    def find(self, event_id: str) -> Entry | None:
        """The entry of an event id, or None."""
        with self.database.read() as session:
            row = session.execute(_SELECT_ENTRY.where(AuditLeafRow.event_id == _uuid_bytes(event_id))).first()
            return None if row is None else _entry(row)

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """Entries ``start`` to ``stop`` in order; gaps in the rows show as gaps in ``index``."""
        while stop is None or start < stop:
            with self.database.read() as session:
                query = _SELECT_ENTRY.where(AuditLeafRow.idx >= start).order_by(AuditLeafRow.idx).limit(PAGE)
                page = session.execute(query if stop is None else query.where(AuditLeafRow.idx < stop)).all()
            if not page:
                return
            yield from map(_entry, page)
            start = page[-1].idx + 1

    def detail(self, index: int, private: Secret) -> dict[str, Any] | None:
        """What was sealed beside entry ``index``, opened with the audit-read private key; None when it has no detail.

        Raises:
            InputError: ``no_such_entry``.
            IntegrityError: ``audit_detail_missing``, ``audit_detail_altered``, ``seal_broken`` and others of opening blobs.
        """
        with self.database.read() as session:
            entry = _entry(_one(session, index))
            query = (
                select(AuditDetailRow.session_id, AuditDetailRow.sealed, AuditSessionRow.sealed_key)
                .join(AuditSessionRow, AuditSessionRow.session_id == AuditDetailRow.session_id)
                .where(AuditDetailRow.idx == index)
            )
            row = session.execute(query).first()
        committed = None if entry.leaf is None else decode_leaf(entry.leaf).get("detail")
        if committed is None:
            return None
        if row is None:
            raise IntegrityError("audit_detail_missing", f"the sealed detail of audit entry {index} is missing")
        event_id = _uuid_bytes(entry.event_id)
        salted = open_detail(
            private, row.sealed_key, row.sealed, vault_id=self._vault_id, session_id=row.session_id, event_id=event_id
        )
        if commitment(salted).hex() != committed:
            raise IntegrityError("audit_detail_altered", f"the sealed detail of audit entry {index} is not what was logged")
        detail: dict[str, Any] = canonical.decode(salted[DETAIL_SALT_BYTES:])
        return detail

    def entries_of(self, token: AuditToken) -> list[int]:
        """Indices of the entries that speak of the subject with this audit token, ascending."""
        with self.database.read() as session:
            return entries_of_token(session, token)

    def subject_digest(self, tokens: Sequence[AuditToken]) -> bytes:
        """The digest under which entries name this set of subjects (32 bytes)."""
        return subject_set(tokens, self._set_salt).digest

    def subjects_of(self, digest: bytes) -> list[AuditToken]:
        """The audit tokens of a set that entries name. Raises IntegrityError (``audit_set_altered``)."""
        with self.database.read() as session:
            tokens = tokens_of_set(session, digest)
        if subject_set(tokens, self._set_salt).digest != digest:
            raise IntegrityError("audit_set_altered", "a stored set of subjects is not the one that the log names")
        return tokens

    def _store_details(self, session: Session, first: int, batch: Sequence[Prepared]) -> None:
        rows = []
        for index, prepared in enumerate(batch, first):
            if prepared.detail is not None:
                sealed = self._session.seal(_uuid_bytes(prepared.event_id), prepared.detail)
                rows.append({"idx": index, "session_id": self._session.session_id, "sealed": sealed})
        if rows:
            self._store_session(session)
            session.execute(insert(AuditDetailRow), rows)

    def _store_session(self, session: Session) -> None:
        """Looked up each time: the transaction that first wrote it may have been rolled back."""
        mine = self._session
        if session.scalar(select(AuditSessionRow.session_id).where(AuditSessionRow.session_id == mine.session_id)) is None:
            row = {
                "session_id": mine.session_id,
                "audit_read_public": mine.audit_read_public,
                "sealed_key": mine.sealed_key(),
                "created": to_micros(self._clock()),
            }
            session.execute(insert(AuditSessionRow), [row])

    def _new_session(self) -> DetailSession:
        return DetailSession(self._vault_id, self._audit_read_public, random=self._random)

    def _current_session(self) -> DetailSession:
        if self._session.process != os.getpid():  # after a fork, two processes would number alike
            self._session = self._new_session()
        return self._session

    def _read_back(self, batch: Sequence[Prepared]) -> list[Appended] | None:
        """Whether a commit that reported failure happened: the whole batch from a fresh connection, or None."""
        self.database.close()
        wanted = {_uuid_bytes(prepared.event_id): prepared for prepared in batch}
        try:
            with self.database.read() as session:
                rows = session.execute(_SELECT_ENTRY.where(AuditLeafRow.event_id.in_(wanted)).order_by(AuditLeafRow.idx)).all()
        except UnavailableError:
            return None
        if len(rows) != len(batch) or any(row.leaf != wanted[row.event_id].leaf for row in rows):
            return None
        return [Appended(row.idx, wanted[row.event_id].event_id, row.leaf) for row in rows]


_EntryRow = Row[int, bytes, bytes | None, bytes]
_SELECT_ENTRY = select(AuditLeafRow.idx, AuditLeafRow.event_id, AuditLeafRow.leaf, AuditLeafRow.leaf_hash)


def _one(session: Session, index: int) -> _EntryRow:
    row = session.execute(_SELECT_ENTRY.where(AuditLeafRow.idx == index)).first()
    if row is None:
        raise InputError("no_such_entry", f"there is no audit entry {index}")
    return row


def _entry(row: _EntryRow) -> Entry:
    return Entry(row.idx, str(uuid.UUID(bytes=row.event_id)), row.leaf, row.leaf_hash)


def _uuid_bytes(event_id: str) -> bytes:
    return uuid.UUID(event_id).bytes
