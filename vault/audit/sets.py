"""Sets of subjects beside the log: stored once under their digest, and indexed token -> set -> entry.

The token of a subject comes from the key database; without it these rows link nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from vault.audit.entry import SubjectSet
from vault.ids import AuditToken
from vault.storage.audit_tables import AuditSetLeafRow, AuditSetRow, AuditSetTokenRow, AuditTokenRow

LOOKUP_BATCH = 500  # bound parameters per statement, below every driver's limit


def store_set(session: Session, subjects: SubjectSet, index: int) -> None:
    """Make entry ``index`` findable from each token of its set, inside the entry's own transaction."""
    set_id = session.scalar(select(AuditSetRow.set_id).where(AuditSetRow.digest == subjects.digest))
    if set_id is None:
        set_id = (session.scalar(select(func.max(AuditSetRow.set_id))) or 0) + 1
        tokens = _token_ids(session, subjects.tokens)
        session.execute(insert(AuditSetRow), [{"set_id": set_id, "digest": subjects.digest, "n": len(tokens)}])
        session.execute(insert(AuditSetTokenRow), [{"token_id": token, "set_id": set_id} for token in sorted(tokens)])
    session.execute(insert(AuditSetLeafRow), [{"set_id": set_id, "idx": index}])


def entries_of_token(session: Session, token: AuditToken) -> list[int]:
    """Indices of the entries that speak of a subject, ascending."""
    query = (
        select(AuditSetLeafRow.idx)
        .join(AuditSetTokenRow, AuditSetTokenRow.set_id == AuditSetLeafRow.set_id)
        .join(AuditTokenRow, AuditTokenRow.token_id == AuditSetTokenRow.token_id)
        .where(AuditTokenRow.token == token)
        .order_by(AuditSetLeafRow.idx)
    )
    return list(session.scalars(query))


def tokens_of_set(session: Session, digest: bytes) -> list[AuditToken]:
    """The stored members of a set, sorted; empty when it is not stored. The caller compares the digest."""
    query = (
        select(AuditTokenRow.token)
        .join(AuditSetTokenRow, AuditSetTokenRow.token_id == AuditTokenRow.token_id)
        .join(AuditSetRow, AuditSetRow.set_id == AuditSetTokenRow.set_id)
        .where(AuditSetRow.digest == digest)
    )
    return sorted(AuditToken(token) for token in session.scalars(query))


def _token_ids(session: Session, tokens: Sequence[AuditToken]) -> list[int]:
    known: dict[str, int] = {}
    for batch in _batches(tokens):
        query = select(AuditTokenRow.token, AuditTokenRow.token_id).where(AuditTokenRow.token.in_(batch))
        known.update((token, token_id) for token, token_id in session.execute(query))
    new = [token for token in tokens if token not in known]
    first = (session.scalar(select(func.max(AuditTokenRow.token_id))) or 0) + 1
    if new:
        session.execute(insert(AuditTokenRow), [{"token_id": first + i, "token": token} for i, token in enumerate(new)])
    return [*known.values(), *range(first, first + len(new))]


def _batches(tokens: Sequence[AuditToken]) -> Iterator[list[AuditToken]]:
    remaining = iter(tokens)
    while batch := list(islice(remaining, LOOKUP_BATCH)):
        yield batch
