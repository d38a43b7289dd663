"""The head of the log in SQL: read, advanced by compare-and-swap, and rebuilt from the entries before anybody signs it."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from vault.audit.merkle import CompactRange, compact_range, leaf_hash
from vault.audit.note import Checkpoint
from vault.audit.tiles import StoredTree
from vault.errors import IntegrityError, UnavailableError
from vault.storage.audit_tables import AuditCheckpointRow, AuditHeadRow, AuditLeafRow

ROWS_AT_ONCE = 1_000  # entries fetched at a time while a tail is rehashed


def read_head(session: Session) -> CompactRange:
    """What the next entry is appended to. Raises IntegrityError (``log_head_missing``, ``tree_malformed``)."""
    row = session.execute(select(AuditHeadRow.size, AuditHeadRow.stack)).first()
    if row is None:
        raise IntegrityError("log_head_missing", "the audit log has no head", hint="restore the vault from a backup")
    return CompactRange.from_bytes(row.size, row.stack)


def advance_head(session: Session, old: CompactRange, new: CompactRange) -> None:
    """Move the head by compare-and-swap. Raises UnavailableError (``log_conflict``)."""
    statement = (
        update(AuditHeadRow)
        .where(AuditHeadRow.id == 1, AuditHeadRow.size == old.size)
        .values(size=new.size, stack=new.to_bytes())
        .execution_options(synchronize_session=False)
    )
    if session.connection().execute(statement).rowcount != 1:
        raise UnavailableError("log_conflict", "somebody else appended to the audit log without its lock", hint="try again")


def last_note(session: Session) -> str | None:
    """The newest signed note."""
    return session.scalar(select(AuditCheckpointRow.note).order_by(AuditCheckpointRow.size.desc()).limit(1))


def recompute(session: Session, signed: Checkpoint) -> CompactRange:
    """The head, rebuilt from what was signed and every leaf since: what may be signed next.

    Raises:
        IntegrityError: ``log_forked``, ``log_incomplete``, ``log_tail_altered``, ``log_head_altered``, ``log_head_missing``.
    """
    head = read_head(session)
    if head.size < signed.size:
        raise IntegrityError("log_forked", f"the audit log has {head.size} entries, but {signed.size} were signed")
    rebuilt = compact_range(signed.size, StoredTree(session).node)
    if rebuilt.root() != signed.root:
        raise IntegrityError("log_forked", f"the first {signed.size} audit entries are not those that were signed")
    columns = select(AuditLeafRow.idx, AuditLeafRow.leaf, AuditLeafRow.leaf_hash)
    query = columns.where(AuditLeafRow.idx >= signed.size).order_by(AuditLeafRow.idx)
    hashes = []
    for expected, row in enumerate(session.execute(query.execution_options(yield_per=ROWS_AT_ONCE)), signed.size):
        if row.idx != expected:
            raise IntegrityError("log_incomplete", f"audit entry {expected} is missing")
        if row.leaf is None or leaf_hash(row.leaf) != row.leaf_hash:
            raise IntegrityError("log_tail_altered", f"audit entry {expected} was altered before it was signed")
        hashes.append(row.leaf_hash)
    rebuilt = rebuilt.extend(hashes)
    if rebuilt != head:
        raise head_altered()
    return head


def head_altered() -> IntegrityError:
    """The error of a head that does not belong to its entries."""
    return IntegrityError("log_head_altered", "the audit log's head does not belong to its entries")
