"""Head of the log in SQL: read, advanced by compare-and-swap, rebuilt from the entries before it is signed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update

from vault.audit.head_seal import HeadSeal, SealedHead
from vault.audit.merkle import CompactRange, compact_range, leaf_hash
from vault.audit.note import Checkpoint
from vault.audit.tiles import StoredTree
from vault.errors import IntegrityError, UnavailableError
from vault.storage.audit_tables import AuditCheckpointRow, AuditHeadRow, AuditLeafRow, AuditOriginRow
from vault.storage.compiled_statements import Statement
from vault.storage.database import Transaction

_HEAD = Statement(
    select(AuditHeadRow.base, AuditHeadRow.size, AuditHeadRow.stack, AuditHeadRow.state, AuditHeadRow.epoch, AuditHeadRow.mac)
)
_ADVANCE = Statement(
    update(AuditHeadRow)
    .where(AuditHeadRow.id == 1, AuditHeadRow.base == bindparam("old_base"), AuditHeadRow.size == bindparam("old_size"))
    .values(
        base=bindparam("new_base"),
        size=bindparam("new_size"),
        stack=bindparam("new_stack"),
        state=bindparam("new_state"),
        epoch=bindparam("new_epoch"),
        mac=bindparam("new_mac"),
    )
)
ROWS_AT_ONCE = 1_000  # entries fetched at a time while the tail is rehashed


@dataclass(frozen=True)
class LogHead:
    """Head of the newest log: its first entry number ``base`` and its tree."""

    base: int
    tree: CompactRange
    state: bytes | None = None  # digest over what decides in the books (``docs/formats/books.md``), 32 bytes

    @property
    def end(self) -> int:
        """Number of the next entry."""
        return self.base + self.tree.size


def read_head(tx: Transaction, seal: HeadSeal | None = None) -> LogHead:
    """The stored head; with ``seal``, only if a session of this vault wrote it.

    Raises:
        IntegrityError: ``log_head_missing``, ``tree_malformed``; ``log_head_unauthentic``.
    """
    row = next(iter(_HEAD.rows(tx)), None)
    if row is None:
        raise IntegrityError("log_head_missing", "the audit log has no head", hint="restore the vault from a backup")
    if seal is not None:
        seal.check(SealedHead(*row))
    return LogHead(row.base, CompactRange.from_bytes(row.size, row.stack), row.state)


def advance_head(tx: Transaction, old: LogHead, new: LogHead, seal: HeadSeal | None = None) -> None:
    """Move the head by compare-and-swap. Raises UnavailableError (``log_conflict``)."""
    stored = SealedHead(new.base, new.tree.size, new.tree.to_bytes(), new.state, None, None)
    if seal is not None:
        stored = seal.sealed(*stored[:4])
    moved = _ADVANCE.changed(
        tx, old_base=old.base, old_size=old.tree.size,
        **{f"new_{name}": value for name, value in stored._asdict().items()},
    )  # fmt: skip
    if moved != 1:
        raise UnavailableError("log_conflict", "somebody else appended to the audit log without its lock", hint="try again")


def newest_log(tx: Transaction) -> AuditOriginRow:
    """Row of the current log. Raises IntegrityError (``log_head_missing``)."""
    row = tx.scalars(select(AuditOriginRow).order_by(AuditOriginRow.base.desc()).limit(1)).first()
    if row is None:
        raise IntegrityError("log_head_missing", "the audit log has no origin", hint="restore the vault from a backup")
    return row


def last_note(tx: Transaction, base: int) -> str | None:
    """Newest signed note of the log at ``base``; None before the first."""
    query = select(AuditCheckpointRow.note).where(AuditCheckpointRow.base == base)
    return tx.scalar(query.order_by(AuditCheckpointRow.size.desc()).limit(1))


def notes(tx: Transaction, base: int) -> Iterator[str]:
    """Every signed note of the log at ``base``, newest first."""
    query = select(AuditCheckpointRow.note).where(AuditCheckpointRow.base == base)
    yield from tx.scalars(query.order_by(AuditCheckpointRow.size.desc()))


def tree_at(tx: Transaction, base: int, size: int) -> CompactRange:
    """Tree over the first ``size`` entries of a log, from its stored tiles. Raises IntegrityError (``log_incomplete``)."""
    return compact_range(size, StoredTree(tx, base).node)


def recompute(tx: Transaction, base: int, signed: Checkpoint) -> LogHead:
    """Head of the log at ``base``, rebuilt from the signed part and every later leaf; only such a head is signed.

    Raises:
        IntegrityError: ``log_forked``, ``log_incomplete``, ``log_tail_altered``, ``log_head_altered``, ``log_head_missing``.
    """
    head = read_head(tx)
    if head.base != base or head.tree.size < signed.size:
        raise IntegrityError("log_forked", f"the audit log has {head.tree.size} entries, but {signed.size} were signed")
    rebuilt = tree_at(tx, base, signed.size)
    if rebuilt.root() != signed.root:
        raise IntegrityError("log_forked", f"the first {signed.size} audit entries are not those that were signed")
    columns = select(AuditLeafRow.idx, AuditLeafRow.leaf, AuditLeafRow.leaf_hash)
    query = columns.where(AuditLeafRow.idx >= base + signed.size).order_by(AuditLeafRow.idx)
    hashes = []
    for expected, row in enumerate(tx.execute(query.execution_options(yield_per=ROWS_AT_ONCE)), base + signed.size):
        if row.idx != expected:
            raise IntegrityError("log_incomplete", f"audit entry {expected} is missing")
        if row.leaf is None or leaf_hash(row.leaf) != row.leaf_hash:
            raise IntegrityError("log_tail_altered", f"audit entry {expected} was altered before it was signed")
        hashes.append(row.leaf_hash)
    if rebuilt.extend(hashes) != head.tree:
        raise head_altered()
    return head


def head_altered() -> IntegrityError:
    """The error for a head that does not belong to its entries."""
    return IntegrityError("log_head_altered", "the audit log's head does not belong to its entries")
