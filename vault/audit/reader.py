"""Read the log: entries, details, subjects, signed heads and proofs (``docs/formats/audit.md``).

Entry numbers run through all logs of a vault. A log that continues another after a roll-back has its own origin and tree: entry N is
leaf N - ``base`` of its log (``docs/formats/audit.md`` §7).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, func, literal, or_, select

from vault.audit import canonical
from vault.audit.details import open_detail, open_session
from vault.audit.entry import DETAIL_SALT_BYTES, commitment, decode_leaf, event_id_bytes, event_id_text, set_digest
from vault.audit.log_head import last_note, newest_log, read_head, tree_at
from vault.audit.merkle import inclusion_proof, leaf_hash, verify_inclusion
from vault.audit.note import Checkpoint
from vault.audit.receipt import Receipt
from vault.audit.subject_index import entries_naming, entries_without_set
from vault.audit.subject_sets import NamedAlike, members_of_sets, most_named, tokens_of_set
from vault.audit.tiles import StoredTree
from vault.crypto.secret import Secret
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.ids import AuditToken
from vault.storage.audit_tables import (
    AuditCheckpointRow,
    AuditClosingRow,
    AuditDetailRow,
    AuditLeafRow,
    AuditOriginRow,
    AuditSessionRow,
)
from vault.storage.database import Database, Transaction
from vault.storage.timestamps import to_micros

UNSIGNED = "the next session of a steward or an engine signs it"
PAGE = 1_000  # entries per transaction: a longer one would keep the write-ahead log from being truncated


@dataclass(frozen=True)
class LogEntry:
    """Stored entry. ``leaf`` is None once retention dropped the payload."""

    index: int
    event_id: str
    leaf: bytes | None
    leaf_hash: bytes


@dataclass(frozen=True)
class LogPart:
    """One log of the vault: its origin line and the range of its entries. Only the newest log grows."""

    origin: str
    base: int  # number of the entry that is leaf 0
    size: int  # entries


class LogReader:
    """Reading side of the log. Thread-safe: each method uses a transaction of its own."""

    def __init__(self, database: Database, *, vault_id: bytes, set_salt: bytes) -> None:
        self.database = database
        self._vault_id = vault_id
        self._set_salt = set_salt

    def size(self) -> int:
        """Number of entries in all logs: the number of the next one. Raises IntegrityError as ``log_head.read_head``."""
        with self.database.read() as tx:
            return read_head(tx).end

    def parts(self) -> list[LogPart]:
        """Every log of this vault, oldest first. Raises IntegrityError as ``log_head.read_head``."""
        with self.database.read() as tx:
            return _parts(tx)

    def origins(self) -> list[str]:
        """Origin of every log of this vault, oldest first."""
        with self.database.read() as tx:
            return list(tx.scalars(select(AuditOriginRow.origin).order_by(AuditOriginRow.base)))

    def latest_checkpoint(self, part: LogPart | None = None) -> str | None:
        """Newest signed note of a log (default: the newest log); None before the first."""
        with self.database.read() as tx:
            return last_note(tx, part.base if part else newest_log(tx).base)

    def checkpoints(self, part: LogPart | None = None, *, newest: int | None = None) -> list[str]:
        """Every signed note of a log (default: the newest log), or its ``newest`` ones, oldest first."""
        with self.database.read() as tx:
            base = part.base if part else newest_log(tx).base
            query = select(AuditCheckpointRow.note).where(AuditCheckpointRow.base == base)
            return list(tx.scalars(query.order_by(AuditCheckpointRow.size.desc()).limit(newest)))[::-1]

    def root_at(self, size: int) -> bytes | None:
        """32-byte root over the newest log's first ``size`` entries; None if it has fewer. Raises IntegrityError (``log_incomplete``)."""
        with self.database.read() as tx:
            head = read_head(tx)
            return None if head.tree.size < size else tree_at(tx, head.base, size).root()

    def receipt(self, index: int) -> str:
        """Receipt of entry ``index``: its tlog-proof against the newest checkpoint of its log, with the leaf.

        The proof is verified first, so that no false receipt is issued (``docs/design/audit-log.md`` §8.1).

        Raises:
            InputError: ``no_such_entry``.
            UnavailableError: ``not_signed_yet``: no checkpoint covers the entry yet.
            IntegrityError: ``entry_unproven``: the entry or the stored tree differs from the signed one.
        """
        with self.database.read() as tx:
            entry = _entry(_one(tx, index))
            part = next(part for part in reversed(_parts(tx)) if part.base <= index)
            note, leaf = last_note(tx, part.base), index - part.base
            signed = None if note is None else Checkpoint.from_text(note.partition("\n\n")[0] + "\n")
            if note is None or signed is None or signed.size <= leaf:
                raise UnavailableError("not_signed_yet", f"no checkpoint covers entry {index} yet", hint=UNSIGNED)
            proof = inclusion_proof(leaf, signed.size, StoredTree(tx, part.base).node)
        try:
            hashed = entry.leaf_hash if entry.leaf is None else leaf_hash(entry.leaf)
            verify_inclusion(hashed, leaf, signed.size, proof, signed.root)
        except IntegrityError:
            message = f"audit entry {index} cannot be proven: what is stored is not what was signed"
            raise IntegrityError("entry_unproven", message, hint="genovault audit verify") from None
        return Receipt(leaf, proof, note, entry.leaf).to_text()

    def entry(self, index: int) -> LogEntry:
        """One entry. Raises InputError (``no_such_entry``)."""
        with self.database.read() as tx:
            return _entry(_one(tx, index))

    def find(self, event_id: str) -> LogEntry | None:
        """Entry of an event id; None if there is none."""
        with self.database.read() as tx:
            row = tx.execute(_SELECT_ENTRY.where(AuditLeafRow.event_id == event_id_bytes(event_id))).first()
            return None if row is None else _entry(row)

    def entries_with(self, event_ids: Sequence[str]) -> dict[str, LogEntry]:
        """Event id -> entry; ids without an entry are left out."""
        found: dict[str, LogEntry] = {}
        for first in range(0, len(event_ids), PAGE):
            wanted = [event_id_bytes(event_id) for event_id in event_ids[first : first + PAGE]]
            with self.database.read() as tx:
                rows = tx.execute(_SELECT_ENTRY.where(AuditLeafRow.event_id.in_(wanted)))
                found.update((entry.event_id, entry) for entry in map(_entry, rows))
        return found

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[LogEntry]:
        """Entries ``start`` to ``stop`` (exclusive; None: to the end), ascending; missing rows are gaps in ``index``."""
        while stop is None or start < stop:
            with self.database.read() as tx:
                query = _SELECT_ENTRY.where(AuditLeafRow.idx >= start).order_by(AuditLeafRow.idx).limit(PAGE)
                page = tx.execute(query if stop is None else query.where(AuditLeafRow.idx < stop)).all()
            if not page:
                return
            yield from map(_entry, page)
            start = page[-1].idx + 1

    def entries_saying(self, marks: Sequence[bytes], start: int, stop: int) -> Iterator[LogEntry]:
        """Entries ``start`` to ``stop`` (exclusive) whose leaf holds any of the byte strings, ascending; the database looks through the others."""
        for first in range(start, stop, PAGE):
            query = _SELECT_ENTRY.where(AuditLeafRow.idx >= first, AuditLeafRow.idx < min(first + PAGE, stop))
            with self.database.read() as tx:
                holds = _holds_sqlite if tx.get_bind().dialect.name == "sqlite" else _holds_postgres
                rows = tx.execute(query.where(or_(*map(holds, marks))).order_by(AuditLeafRow.idx)).all()
            yield from map(_entry, rows)

    def entries_made(self, since: datetime, until: datetime) -> Iterator[LogEntry]:
        """Entries of a time, by their event ids, which begin with it, to the millisecond; an index finds them, however long the log is."""
        first, last = _first_id(since), _first_id(until + timedelta(milliseconds=1))
        while True:
            query = _SELECT_ENTRY.where(AuditLeafRow.event_id >= first, AuditLeafRow.event_id < last)
            with self.database.read() as tx:
                page = tx.execute(query.order_by(AuditLeafRow.event_id).limit(PAGE)).all()
            yield from map(_entry, page)
            if len(page) < PAGE:
                return
            first = page[-1].event_id + b"\0"

    def detail(self, index: int, private: Secret) -> dict[str, Any] | None:
        """Detail of entry ``index``, opened with the audit-read private key; None if it has none.

        Raises:
            InputError: ``no_such_entry``. IntegrityError: as ``details``.
        """
        with self.database.read() as tx:
            _one(tx, index)
        return self.details([index], lambda _public: private)[index]

    def details(self, indices: Sequence[int], private: Callable[[bytes], Secret]) -> dict[int, dict[str, Any] | None]:
        """Number -> detail of each entry that there is, None where it has none.

        Args:
            indices: entry numbers; a session's key is opened once for all of its entries.
            private: the audit-read private key that belongs to a public one, 32 bytes.

        Raises:
            IntegrityError: ``audit_detail_missing``, ``audit_detail_altered``, ``seal_broken`` and others of opening blobs.
        """
        query = select(
            AuditDetailRow.idx,
            AuditDetailRow.session_id,
            AuditDetailRow.sealed,
            AuditSessionRow.sealed_key,
            AuditSessionRow.audit_read_public,
        ).join(AuditSessionRow, AuditSessionRow.session_id == AuditDetailRow.session_id)
        found: dict[int, dict[str, Any] | None] = {}
        sessions: dict[bytes, Secret] = {}
        for first in range(0, len(indices), PAGE):
            page = indices[first : first + PAGE]
            with self.database.read() as tx:
                entries = [_entry(row) for row in tx.execute(_SELECT_ENTRY.where(AuditLeafRow.idx.in_(page)))]
                rows = {row.idx: row for row in tx.execute(query.where(AuditDetailRow.idx.in_(page)))}
            for entry in entries:
                committed = None if entry.leaf is None else decode_leaf(entry.leaf).get("detail")
                if committed is None:
                    found[entry.index] = None
                    continue
                row = rows.get(entry.index)
                if row is None:
                    raise IntegrityError("audit_detail_missing", f"the sealed detail of audit entry {entry.index} is missing")
                place = {"vault_id": self._vault_id, "session_id": row.session_id}
                if row.session_id not in sessions:
                    sessions[row.session_id] = open_session(private(row.audit_read_public), row.sealed_key, **place)
                event_id = event_id_bytes(entry.event_id)
                salted = open_detail(sessions[row.session_id], row.sealed, event_id=event_id, **place)
                if commitment(salted).hex() != committed:
                    message = f"the sealed detail of audit entry {entry.index} is not what was logged"
                    raise IntegrityError("audit_detail_altered", message)
                found[entry.index] = canonical.decode(salted[DETAIL_SALT_BYTES:])
        return found

    def with_detail(self, most: int) -> list[int]:
        """Numbers of the newest entries that have a sealed detail, newest first, at most ``most``."""
        query = select(AuditDetailRow.idx).order_by(AuditDetailRow.idx.desc()).limit(most)
        with self.database.read() as tx:
            return list(tx.scalars(query))

    def entries_at(self, indices: Sequence[int]) -> list[LogEntry]:
        """Entries of these numbers, ascending; numbers without an entry are left out."""
        found: list[LogEntry] = []
        for first in range(0, len(indices), PAGE):
            query = _SELECT_ENTRY.where(AuditLeafRow.idx.in_(sorted(indices)[first : first + PAGE])).order_by(AuditLeafRow.idx)
            with self.database.read() as tx:
                found += map(_entry, tx.execute(query))
        return found

    def closings(self, event_ids: Sequence[str]) -> dict[str, list[LogEntry]]:
        """Event id of an intent -> the entries that close it, oldest first. An intent without any: assume full disclosure."""
        found: dict[str, list[LogEntry]] = {}
        for first in range(0, len(event_ids), PAGE):
            wanted = [event_id_bytes(event_id) for event_id in event_ids[first : first + PAGE]]
            query = (
                _SELECT_ENTRY.add_columns(AuditClosingRow.event_id.label("intent"))
                .join(AuditClosingRow, AuditClosingRow.idx == AuditLeafRow.idx)
                .where(AuditClosingRow.event_id.in_(wanted))
                .order_by(AuditLeafRow.idx)
            )
            with self.database.read() as tx:
                for row in tx.execute(query):
                    entry = LogEntry(row.idx, event_id_text(row.event_id), row.leaf, row.leaf_hash)
                    found.setdefault(event_id_text(row.intent), []).append(entry)
        return found

    def entries_of(self, *tokens: AuditToken) -> list[int]:
        """Numbers of all entries about the subject with these audit tokens, ascending.

        Raises as ``subject_index.entries_naming``.
        """
        with self.database.read() as tx:
            return entries_naming(tx, tokens, set_salt=self._set_salt)

    def entries_without_set(self) -> list[int]:
        """Numbers of the entries whose set of subjects is not stored unaltered. Raises IntegrityError (``log_incomplete``)."""
        with self.database.read() as tx:
            return entries_without_set(tx, set_salt=self._set_salt)

    def most_named(self, indices: Sequence[int], most: int) -> list[NamedAlike]:
        """People by how many of these entries name them, as ``subject_sets.most_named``."""
        with self.database.read() as tx:
            return most_named(tx, indices, most)

    def set_of(self, tokens: Sequence[AuditToken]) -> bytes:
        """Digest of a set of people as entries name it, 32 bytes, stored or not."""
        return set_digest(sorted(set(tokens)), self._set_salt)

    def everybody_in(self, digests: Collection[bytes]) -> set[AuditToken]:
        """Audit tokens of everybody in any of the sets with these digests. Raises IntegrityError (``audit_set_altered``)."""
        wanted = set(digests)
        with self.database.read() as tx:
            found = members_of_sets(tx, wanted)
        if found.keys() != wanted or any(set_digest(tokens, self._set_salt) != digest for digest, tokens in found.items()):
            raise IntegrityError("audit_set_altered", "a stored set of subjects is not the one that the log names")
        return {token for tokens in found.values() for token in tokens}

    def subjects_of(self, digest: bytes, *, entry: int | None = None) -> list[AuditToken]:
        """Audit tokens of the set with this digest, sorted. ``entry``: number of an entry that names it, which makes the lookup fast.

        Raises IntegrityError (``audit_set_altered``).
        """
        with self.database.read() as tx:
            tokens = tokens_of_set(tx, digest, entry)
        if set_digest(tokens, self._set_salt) != digest:
            raise IntegrityError("audit_set_altered", "a stored set of subjects is not the one that the log names")
        return tokens


_EntryRow = Row[int, bytes, bytes | None, bytes]
_SELECT_ENTRY = select(AuditLeafRow.idx, AuditLeafRow.event_id, AuditLeafRow.leaf, AuditLeafRow.leaf_hash)


def _holds_sqlite(mark: bytes) -> ColumnElement[bool]:
    return func.instr(AuditLeafRow.leaf, mark) > 0


def _holds_postgres(mark: bytes) -> ColumnElement[bool]:
    return func.position(literal(mark).op("IN")(AuditLeafRow.leaf)) > 0


def _first_id(time: datetime) -> bytes:
    """The least event id of a time: 48 bits of milliseconds, as UUIDv7 begins."""
    return (to_micros(time) // 1_000).to_bytes(6, "big") + bytes(10)


def _parts(tx: Transaction) -> list[LogPart]:
    rows = tx.scalars(select(AuditOriginRow).order_by(AuditOriginRow.base)).all()
    ends = [row.base for row in rows[1:]] + [read_head(tx).end]
    return [LogPart(row.origin, row.base, end - row.base) for row, end in zip(rows, ends, strict=True)]


def _one(tx: Transaction, index: int) -> _EntryRow:
    """Row of an entry. Raises InputError (``no_such_entry``)."""
    row = tx.execute(_SELECT_ENTRY.where(AuditLeafRow.idx == index)).first()
    if row is None:
        raise InputError("no_such_entry", f"there is no audit entry {index}")
    return row


def _entry(row: _EntryRow) -> LogEntry:
    return LogEntry(row.idx, event_id_text(row.event_id), row.leaf, row.leaf_hash)
