"""The log: append entries, sign heads, prove and read back (``docs/formats/audit.md``).

Rules kept here:

* ``append`` works inside the caller's write transaction, so that a state change and its entry commit together; ``record`` makes
  its own and returns once the entry is on disk. Indices are contiguous from 0.
* The head is read from SQL under the database's write lock each time and advanced by compare-and-swap; nothing is remembered.
* Appending needs no secret: details are sealed to the auditors' public key (``details``).
* If the outcome of a commit is unknown, all connections are closed, and the entry is looked up by its id, and made sure to be on
  disk, before anyone is told.
* Entries are numbered through for ever. A log that continues another (after a rollback) has its own origin and tree from its
  ``base`` on: entry N of the vault is leaf N - base of its log.
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
from vault.audit.sets import entries_of_token, most_named, store_sets, tokens_of_set
from vault.audit.stored_head import Head, advance_head, head_altered, last_note, newest_log, read_head, recompute, tree_at
from vault.audit.tiles import StoredTree, store_full_tiles
from vault.crypto.secret import Secret
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.ids import AuditToken, Clock, RandomBytes, new_uuid7
from vault.storage.audit_tables import (
    AuditCheckpointRow,
    AuditClosingRow,
    AuditDetailRow,
    AuditHeadRow,
    AuditLeafRow,
    AuditOriginRow,
    AuditSessionRow,
)
from vault.storage.base import bulk_insert
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


@dataclass(frozen=True)
class Part:
    """One log of the vault: its origin line and the entries that are its leaves. Only the last part grows."""

    origin: str
    base: int  # number of the entry that is leaf 0
    size: int


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
        self._stored = b""  # the session whose row is known to be on disk

    def create(self, session: Session) -> None:
        """Make the empty log. Only ``init`` calls this: a log that has lost its head is never begun again by itself."""
        session.execute(insert(AuditHeadRow), [{"id": 1, "base": 0, "size": 0, "stack": b""}])
        session.execute(insert(AuditOriginRow), [{"base": 0, "origin": self.origin}])

    def continue_as(self, session: Session, origin: str, event: Event) -> Appended:
        """Begin a new log in the caller's write transaction, with ``event`` as its leaf 0. The old one stays as it is.

        Raises InputError (``origin_taken``), and as ``append``.
        """
        if session.scalar(select(AuditOriginRow.base).where(AuditOriginRow.origin == origin)) is not None:
            raise InputError("origin_taken", "the vault has had a log of this origin")
        old = read_head(session)
        session.execute(insert(AuditOriginRow), [{"base": old.end, "origin": origin}])
        advance_head(session, old, Head(old.end, CompactRange()))
        self.origin = origin
        return self.append(session, event)

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
        new = Head(old.base, old.tree.extend(hashes))
        rows = [
            {"idx": old.end + i, "event_id": _uuid_bytes(prepared.event_id), "leaf_hash": hashes[i], "leaf": prepared.leaf}
            for i, prepared in enumerate(batch)
        ]
        bulk_insert(session, AuditLeafRow, rows)
        advance_head(session, old, new)
        store_full_tiles(session, old.base, old.tree.size, new.tree.size)
        numbered = list(enumerate(batch, old.end))
        store_sets(session, [(index, entry.subjects) for index, entry in numbered if entry.subjects is not None])
        closing = [{"event_id": _uuid_bytes(e.refers), "idx": index} for index, e in numbered if e.refers is not None]
        bulk_insert(session, AuditClosingRow, closing)
        self._store_details(session, numbered)
        return [Appended(index, prepared.event_id, prepared.leaf) for index, prepared in numbered]

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
                appended = self.append_many(session, batch)
        except UnavailableError as error:
            found = self._read_back(batch)
            if found is None:
                raise _unavailable(error) from error
        except exc.IntegrityError as error:
            found = self._read_back(batch)
            if found is None:
                raise head_altered() from error
        else:
            if any(prepared.detail is not None for prepared in batch):
                self._stored = self._session.session_id
            return appended
        return found

    # Heads and proofs

    def size(self) -> int:
        """Entries ever written: the number of the next one."""
        with self.database.read() as session:
            return read_head(session).end

    def parts(self) -> list[Part]:
        """Every log of this vault, oldest first. Raises as ``append`` when the head is gone."""
        with self.database.read() as session:
            return _parts(session)

    def origins(self) -> list[str]:
        """The origin of every log of this vault, oldest first."""
        with self.database.read() as session:
            return list(session.scalars(select(AuditOriginRow.origin).order_by(AuditOriginRow.base)))

    def checkpoint(self, signer: Signer, *also: Signer, trusted: Sequence[VerifierKey] = ()) -> str:
        """Sign the present head, store the note and return it; the last one again if nothing was appended since.

        ``trusted`` are the log's earlier keys, for the first checkpoint after a rotation of the signing key; ``also`` is the earlier
        key itself, which signs the one that hands over.

        Raises:
            IntegrityError: ``log_tail_altered``, ``log_incomplete``, ``log_head_altered``, ``log_forked`` (the log does not
                extend what was signed), and those of ``note.open_checkpoint`` about the last note.
            UnavailableError: ``log_continued``: meanwhile another process began a new log.
        """
        keys = (VerifierKey(self.origin, ED25519, signer.public), *trusted)
        with self.database.read() as session:
            base = self._own_base(session)
            last = last_note(session, base)
            signed = (
                Checkpoint(self.origin, 0, CompactRange().root()) if last is None else open_checkpoint(last, self.origin, keys)
            )
            tree = recompute(session, base, signed).tree
        if last is not None and tree.size == signed.size:
            return last
        note = sign_note(Checkpoint(self.origin, tree.size, tree.root()).to_text(), self.origin, signer, *also)
        with self.database.write() as session:
            self._own_base(session)
            newest = session.scalar(select(func.max(AuditCheckpointRow.size)).where(AuditCheckpointRow.base == base))
            if newest is not None and newest >= tree.size:  # another process signed meanwhile, and looked at more
                return last_note(session, base) or note
            row = {"size": tree.size, "root": tree.root(), "note": note, "created": to_micros(self._clock())}
            session.execute(insert(AuditCheckpointRow), [{"base": base, **row}])
        return note

    def latest_checkpoint(self, part: Part | None = None) -> str | None:
        """The newest signed note of a log (default: the newest log), or None before the first."""
        with self.database.read() as session:
            return last_note(session, part.base if part else newest_log(session).base)

    def checkpoints(self, part: Part | None = None) -> list[str]:
        """Every signed note of a log (default: the newest log), oldest first."""
        with self.database.read() as session:
            base = part.base if part else newest_log(session).base
            query = select(AuditCheckpointRow.note).where(AuditCheckpointRow.base == base)
            return list(session.scalars(query.order_by(AuditCheckpointRow.size)))

    def root_at(self, size: int) -> bytes | None:
        """Root over the newest log's first ``size`` entries; None when it has fewer. Raises IntegrityError (``log_incomplete``)."""
        with self.database.read() as session:
            head = read_head(session)
            return None if head.tree.size < size else tree_at(session, head.base, size).root()

    def receipt(self, index: int) -> str:
        """The tlog-proof of entry ``index`` against the newest checkpoint of its log, with the leaf in it.

        Raises:
            InputError: ``no_such_entry``.
            UnavailableError: ``not_signed_yet``: no checkpoint covers the entry yet.
        """
        with self.database.read() as session:
            entry = _entry(_one(session, index))
            part = next(part for part in reversed(_parts(session)) if part.base <= index)
            note, leaf = last_note(session, part.base), index - part.base
            size = 0 if note is None else Checkpoint.from_text(note.partition("\n\n")[0] + "\n").size
            if note is None or size <= leaf:
                raise UnavailableError("not_signed_yet", f"no checkpoint covers entry {index} yet", hint="sign one first")
            return Receipt(leaf, inclusion_proof(leaf, size, StoredTree(session, part.base).node), note, entry.leaf).to_text()

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

    def entries_at(self, indices: Sequence[int]) -> list[Entry]:
        """The entries of these numbers, ascending; numbers without an entry are left out."""
        found: list[Entry] = []
        for first in range(0, len(indices), PAGE):
            query = _SELECT_ENTRY.where(AuditLeafRow.idx.in_(sorted(indices)[first : first + PAGE])).order_by(AuditLeafRow.idx)
            with self.database.read() as session:
                found += map(_entry, session.execute(query))
        return found

    def closings(self, event_ids: Sequence[str]) -> dict[str, list[Entry]]:
        """Intent -> the entries that say how it ended, oldest first. None at all: assume fully disclosed."""
        found: dict[str, list[Entry]] = {}
        for first in range(0, len(event_ids), PAGE):
            wanted = [_uuid_bytes(event_id) for event_id in event_ids[first : first + PAGE]]
            query = (
                _SELECT_ENTRY.add_columns(AuditClosingRow.event_id.label("intent"))
                .join(AuditClosingRow, AuditClosingRow.idx == AuditLeafRow.idx)
                .where(AuditClosingRow.event_id.in_(wanted))
                .order_by(AuditLeafRow.idx)
            )
            with self.database.read() as session:
                for row in session.execute(query):
                    entry = Entry(row.idx, str(uuid.UUID(bytes=row.event_id)), row.leaf, row.leaf_hash)
                    found.setdefault(str(uuid.UUID(bytes=row.intent)), []).append(entry)
        return found

    def entries_of(self, token: AuditToken) -> list[int]:
        """Indices of the entries that speak of the subject with this audit token, ascending."""
        with self.database.read() as session:
            return entries_of_token(session, token)

    def most_named(self, indices: Sequence[int], most: int) -> list[tuple[AuditToken, int]]:
        """The tokens that these entries speak of most often, with how often."""
        with self.database.read() as session:
            return most_named(session, indices, most)

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

    def _own_base(self, session: Session) -> int:
        """Where the newest log begins, if it is still the one that this object may sign."""
        newest = newest_log(session)
        if newest.origin != self.origin:
            raise UnavailableError("log_continued", "the audit log was continued under another name", hint="open the vault again")
        return newest.base

    def _store_details(self, session: Session, numbered: Sequence[tuple[int, Prepared]]) -> None:
        rows = []
        for index, prepared in numbered:
            if prepared.detail is not None:
                sealed = self._session.seal(_uuid_bytes(prepared.event_id), prepared.detail)
                rows.append({"idx": index, "session_id": self._session.session_id, "sealed": sealed})
        if rows:
            self._store_session(session)
            bulk_insert(session, AuditDetailRow, rows)

    def _store_session(self, session: Session) -> None:
        """Looked up until a commit is known to have kept it: the transaction that first wrote it may have been rolled back."""
        mine = self._session
        if mine.session_id == self._stored:
            return
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
        """Whether a commit that reported failure happened: the whole batch from a fresh connection, or None if it did not.

        Being readable is not enough: what a failed sync left in the write-ahead log may be in memory only, and no later sync of
        that file says otherwise. Folding it into the database file writes it anew and syncs that file.
        """
        self.database.close()
        wanted = {_uuid_bytes(prepared.event_id): prepared for prepared in batch}
        try:
            self.database.checkpoint_wal()
            with self.database.read() as session:
                rows = session.execute(_SELECT_ENTRY.where(AuditLeafRow.event_id.in_(wanted)).order_by(AuditLeafRow.idx)).all()
        except UnavailableError as error:
            raise _unavailable(error) from error
        if len(rows) != len(batch) or any(row.leaf != wanted[row.event_id].leaf for row in rows):
            return None
        return [Appended(row.idx, wanted[row.event_id].event_id, row.leaf) for row in rows]


_EntryRow = Row[int, bytes, bytes | None, bytes]
_SELECT_ENTRY = select(AuditLeafRow.idx, AuditLeafRow.event_id, AuditLeafRow.leaf, AuditLeafRow.leaf_hash)


def _unavailable(error: UnavailableError) -> UnavailableError:
    return UnavailableError("log_unavailable", "the audit log cannot be written, so nothing is released", hint=error.hint)


def _parts(session: Session) -> list[Part]:
    rows = session.scalars(select(AuditOriginRow).order_by(AuditOriginRow.base)).all()
    ends = [row.base for row in rows[1:]] + [read_head(session).end]
    return [Part(row.origin, row.base, end - row.base) for row, end in zip(rows, ends, strict=True)]


def _one(session: Session, index: int) -> _EntryRow:
    row = session.execute(_SELECT_ENTRY.where(AuditLeafRow.idx == index)).first()
    if row is None:
        raise InputError("no_such_entry", f"there is no audit entry {index}")
    return row


def _entry(row: _EntryRow) -> Entry:
    return Entry(row.idx, str(uuid.UUID(bytes=row.event_id)), row.leaf, row.leaf_hash)


def _uuid_bytes(event_id: str) -> bytes:
    return uuid.UUID(event_id).bytes
