"""Append entries to the log and sign its heads (``docs/formats/audit.md`` §6, §7); ``reader`` reads it.

Invariants:

* ``append`` works inside the caller's write transaction, so that a state change and its entry commit together; ``record`` makes
  its own and returns once the entry is on disk. Indices are contiguous from 0.
* The head is read from SQL under the database's write lock each time and advanced by compare-and-swap; nothing is remembered.
* The head carries a MAC that needs a slot (``head_seal``); details are sealed to the auditors' public key (``details``).
* If the outcome of a commit is unknown, all connections are closed, and the entry is looked up by its id, and made sure to be on
  disk, before anyone is told.
* A checkpoint is signed from a new read transaction, after the tail was rehashed and joined to the last signed checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import exc, insert, select

from vault.audit.details import DetailSession
from vault.audit.entry import DETAIL_SALT_BYTES, NONCE_BYTES, Event, Prepared, Stamp, event_id_bytes, prepare
from vault.audit.head_seal import HeadSeal, SealedHead
from vault.audit.log_head import LogHead, advance_head, head_altered, last_note, newest_log, notes, read_head, recompute
from vault.audit.merkle import CompactRange, leaf_hash
from vault.audit.note import ED25519, Checkpoint, Signer, VerifierKey, open_checkpoint, sign_note
from vault.audit.reader import LogReader
from vault.audit.signer_ranges import require_in_range
from vault.audit.subject_sets import store_sets
from vault.audit.tiles import store_full_tiles
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.ids import Clock, RandomBytes, new_uuid7
from vault.storage.audit_tables import AuditCheckpointRow, AuditClosingRow, AuditHeadRow, AuditLeafRow, AuditOriginRow
from vault.storage.base import insert_rows
from vault.storage.database import Database, Transaction
from vault.storage.stored_types import largest
from vault.storage.timestamps import to_micros


@dataclass(frozen=True)
class Appended:
    """Appended entry. Durable once its transaction has committed."""

    index: int
    event_id: str
    leaf: bytes
    subject_set: bytes = b""  # digest of the subjects that it names; empty where it names none


class AuditLog(LogReader):
    """Audit log of one vault, for writing and reading. Thread-safe, as ``LogReader`` is."""

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
        seal: HeadSeal | None = None,
    ) -> None:
        super().__init__(database, vault_id=vault_id, set_salt=set_salt)
        self.origin = origin
        self._audit_read_public = audit_read_public
        self._clock = clock
        self._random = random
        self._seal = seal
        self._seen = 0  # entries that it has found committed
        self._session = self._new_session()

    def create(self, tx: Transaction) -> None:
        """Make the empty log. Only ``init`` calls this: a log that has lost its head is never begun again by itself."""
        empty = SealedHead(0, 0, b"", None, None, None)
        if self._seal is not None:
            empty = self._seal.sealed(*empty[:4])
        tx.execute(insert(AuditHeadRow), [{"id": 1, **empty._asdict()}])
        tx.execute(insert(AuditOriginRow), [{"base": 0, "origin": self.origin}])

    def continue_as(self, tx: Transaction, origin: str, event: Event) -> Appended:
        """Begin a new log after a roll-back, with ``event`` as leaf 0, in the caller's write transaction; the old log is unchanged.

        Raises InputError (``origin_taken``), and as ``append``.
        """
        if tx.scalar(select(AuditOriginRow.base).where(AuditOriginRow.origin == origin)) is not None:
            raise InputError("origin_taken", "the vault has had a log of this origin")
        old = read_head(tx, self._seal)
        tx.execute(insert(AuditOriginRow), [{"base": old.end, "origin": origin}])
        advance_head(tx, old, LogHead(old.end, CompactRange(), old.state), self._seal)
        self.origin = origin
        return self.append(tx, event)

    def prepare(self, event: Event) -> Prepared:
        """Check and stamp an event before its action, so that the log cannot refuse it afterwards.

        Raises InputError and IntegrityError as ``entry.prepare``.
        """
        now, session = self._clock(), self._current_session()
        drawn = self._random(NONCE_BYTES + DETAIL_SALT_BYTES)
        stamp = Stamp(
            event_id=new_uuid7(self._random, now),
            time=now,
            session=session.session_id,
            seq=session.next_seq(),
            nonce=drawn[:NONCE_BYTES],
            detail_salt=drawn[NONCE_BYTES:],
        )
        return prepare(event, stamp, set_salt=self._set_salt)

    def append(self, tx: Transaction, event: Event | Prepared) -> Appended:
        """Append inside the caller's write transaction.

        Raises:
            InputError: as ``prepare``.
            IntegrityError: ``log_head_missing``, ``tree_malformed``, ``log_incomplete``; ``log_head_altered``: rows stand where the
                next entry goes; ``books_behind``: older books were put back under this process.
            UnavailableError: ``log_conflict``: another writer appended without the write lock.
        """
        try:
            return self.append_many(tx, [event])[0]
        except exc.IntegrityError:
            raise head_altered() from None

    def append_many(self, tx: Transaction, events: Sequence[Event | Prepared], *, old: LogHead | None = None) -> list[Appended]:
        """Append several entries, in order, with one head update. ``old``: the head, read in this transaction. Raises as ``append``."""
        batch = [event if isinstance(event, Prepared) else self.prepare(event) for event in events]
        hashes = [leaf_hash(prepared.leaf) for prepared in batch]
        ids = [event_id_bytes(prepared.event_id) for prepared in batch]
        old = old or self._head(tx)
        new = LogHead(old.base, old.tree.extend(hashes), old.state)
        numbered = list(enumerate(batch, old.end))
        leaves = [entry.leaf for entry in batch]
        rows = list(zip(range(old.end, new.end), ids, hashes, leaves, strict=True))
        insert_rows(tx, AuditLeafRow, ("idx", "event_id", "leaf_hash", "leaf"), rows)
        advance_head(tx, old, new, self._seal)
        store_full_tiles(tx, old.base, old.tree.size, new.tree.size)
        store_sets(tx, [(index, entry.subjects) for index, entry in numbered if entry.subjects is not None])
        closing = [(event_id_bytes(entry.refers), index) for index, entry in numbered if entry.refers is not None]
        insert_rows(tx, AuditClosingRow, ("event_id", "idx"), closing)
        details = [(old.end + i, ids[i], entry.detail) for i, entry in enumerate(batch) if entry.detail is not None]
        self._session.store(tx, details, clock=self._clock)
        return [_appended(index, prepared) for index, prepared in numbered]

    def record(self, event: Event | Prepared) -> Appended:
        """Append in a transaction of its own, durably. Not inside ``Database.write``, which would deadlock.

        Raises:
            UnavailableError: ``log_unavailable``: the entry is not known to be in the log, and nothing may be released.
            InputError, IntegrityError: as ``append``.
        """
        return self.record_many([event])[0]

    def record_many(self, events: Sequence[Event | Prepared]) -> list[Appended]:
        """Append several entries with one commit. Idempotent for prepared ones: an entry that is stored is not written again.

        Raises as ``record``.
        """
        batch = [event if isinstance(event, Prepared) else self.prepare(event) for event in events]
        return self.record_settled(batch, lambda _tx, _head: batch) if batch else []

    def record_settled(
        self,
        batch: Sequence[Prepared],
        settle: Callable[[Transaction, LogHead], Sequence[Prepared]],
        finish: Callable[[Transaction, Sequence[Appended]], None] = lambda _tx, _appended: None,
    ) -> list[Appended]:
        """As ``record_many``, of those of some entries that ``settle`` chooses in the transaction itself. ``finish``: what else it writes, behind them."""
        try:
            with self.database.write() as tx:
                head = self._head(tx)
                batch = settle(tx, head)
                appended = self.append_many(tx, batch, old=head) if batch else []
                finish(tx, appended)
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
                self._session.stored = True
            return appended
        return found

    def checkpoint(
        self,
        signer: Signer,
        *also: Signer,
        trusted: Sequence[VerifierKey] = (),
        outdated: Callable[[Transaction], bool] = lambda _: False,
    ) -> str:
        """Sign the head, store and return the note; the last note if nothing was appended since.

        ``trusted``: earlier public keys of the log, for the first checkpoint after a key rotation; ``also``: the earlier key, which
        signs the handover too. ``outdated``: whether the signer has been replaced, as a transaction sees it.

        Raises:
            IntegrityError: ``log_tail_altered``, ``log_incomplete``, ``log_head_altered``, ``log_forked`` (the log does not
                extend what was signed), ``signer_range``, and those of ``note.open_checkpoint`` about the last note.
            UnavailableError: ``log_continued``: another process began a new log; ``signer_outdated``.
        """
        keys = (VerifierKey(self.origin, ED25519, signer.public), *trusted)
        with self.database.read() as tx:
            base = self._own_base(tx)
            last = last_note(tx, base)
            signed = (
                Checkpoint(self.origin, 0, CompactRange().root()) if last is None else open_checkpoint(last, self.origin, keys)
            )
            if last is not None and not also:
                require_in_range(last, signer, notes(tx, base), self.origin)
            tree = recompute(tx, base, signed).tree
        if last is not None and tree.size == signed.size:
            return last
        note = sign_note(Checkpoint(self.origin, tree.size, tree.root()).to_text(), self.origin, signer, *also)
        with self.database.write() as tx:
            self._own_base(tx)
            if outdated(tx):
                raise UnavailableError("signer_outdated", "the log's signing key was changed meanwhile", hint="try again")
            newest = tx.scalar(select(largest(AuditCheckpointRow.size)).where(AuditCheckpointRow.base == base))
            if newest is not None and newest >= tree.size:  # another process has signed a longer log
                return last_note(tx, base) or note
            row = {"size": tree.size, "root": tree.root(), "note": note, "created": to_micros(self._clock())}
            tx.execute(insert(AuditCheckpointRow), [{"base": base, **row}])
        return note

    def _head(self, tx: Transaction) -> LogHead:
        """The head under the write lock. Raises IntegrityError ``books_behind``: it has been further, so older books were put back."""
        head = read_head(tx, self._seal)
        if head.end < self._seen:
            raise IntegrityError(
                "books_behind",
                f"the books are older than this process has seen them: {head.end} entries of the log, of {self._seen}",
                hint="put the newest books back",
            )
        self._seen = head.end
        return head

    def _own_base(self, tx: Transaction) -> int:
        """First entry number of the log that this object may sign. Raises UnavailableError (``log_continued``)."""
        newest = newest_log(tx)
        if newest.origin != self.origin:
            raise UnavailableError("log_continued", "the audit log was continued under another name", hint="open the vault again")
        return newest.base

    def _new_session(self) -> DetailSession:
        return DetailSession(self._vault_id, self._audit_read_public, random=self._random)

    def _current_session(self) -> DetailSession:
        """The detail session of this process."""
        if self._session.process != os.getpid():  # a forked child would reuse the numbers of its parent
            self._session = self._new_session()
        return self._session

    def _read_back(self, batch: Sequence[Prepared]) -> list[Appended] | None:
        """Entries of a commit that reported failure, read over a new connection; None if they are not stored.

        Raises UnavailableError (``log_unavailable``).
        """
        # A readable entry may not be durable: after a failed sync the write-ahead log may be in memory only, and a later sync of
        # that file succeeds all the same. A WAL checkpoint writes it into the database file anew and syncs that one.
        self.database.close()
        try:
            self.database.checkpoint_wal()
            found = self.entries_with([prepared.event_id for prepared in batch])
        except UnavailableError as error:
            raise _unavailable(error) from error
        if any(prepared.event_id not in found or found[prepared.event_id].leaf != prepared.leaf for prepared in batch):
            return None
        return [_appended(found[prepared.event_id].index, prepared) for prepared in batch]


def _appended(index: int, prepared: Prepared) -> Appended:
    digest = b"" if prepared.subjects is None else prepared.subjects.digest
    return Appended(index, prepared.event_id, prepared.leaf, digest)


def _unavailable(error: UnavailableError) -> UnavailableError:
    return UnavailableError("log_unavailable", "the audit log cannot be written, so nothing is released", hint=error.hint)
