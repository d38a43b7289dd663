"""Sets of subjects beside the log: stored once under their digest, and indexed token -> set -> entry.

The token of a subject comes from the key database; without it these rows link nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import BindParameter, bindparam, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from vault.audit.entry import SubjectSet
from vault.ids import AuditToken
from vault.storage.audit_tables import AuditSetLeafRow, AuditSetRow, AuditSetTokenRow, AuditTokenRow
from vault.storage.base import bulk_insert
from vault.storage.packed import insert_columns, rows_among
from vault.storage.statements import Statement

Key = TypeVar("Key", bytes, AuditToken)

LOOKUP_BATCH = 512  # bound parameters per statement, below every driver's limit; more keys travel packed

_NAMES = tuple([f"k{i}" for i in range(LOOKUP_BATCH)])
_SET = (AuditSetRow.digest, AuditSetRow.set_id)
_TOKEN = (AuditTokenRow.token, AuditTokenRow.token_id)
_LAST_SET = Statement(select(func.max(AuditSetRow.set_id)))
_LAST_TOKEN = Statement(select(func.max(AuditTokenRow.token_id)))


def store_sets(session: Session, found: Sequence[tuple[int, SubjectSet]]) -> None:
    """Make entries findable from each token of their sets, inside the entries' own transaction. ``found``: (index, set)."""
    if not found:
        return
    distinct = {subjects.digest: subjects for _, subjects in found}
    known = _look_up(session, _sets_among, _SET, list(distinct))
    new = [subjects for digest, subjects in distinct.items() if digest not in known]
    if new:
        first = (_LAST_SET.rows(session)[0][0] or 0) + 1
        ids = _token_ids(session, sorted({token for subjects in new for token in subjects.tokens}))
        rows = [{"set_id": first + i, "digest": s.digest, "n": len(s.tokens)} for i, s in enumerate(new)]
        bulk_insert(session, AuditSetRow, rows)
        token_ids, set_ids = zip(*sorted((ids[token], first + i) for i, s in enumerate(new) for token in s.tokens), strict=True)
        insert_columns(session, AuditSetTokenRow, {"token_id": token_ids, "set_id": set_ids})
        known.update((subjects.digest, first + i) for i, subjects in enumerate(new))
    bulk_insert(session, AuditSetLeafRow, [{"set_id": known[s.digest], "idx": index} for index, s in found])


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


def most_named(session: Session, indices: Iterable[int], most: int) -> list[tuple[AuditToken, int]]:
    """The tokens that these entries name most often, with how often; equals in the order of their text."""
    wanted = set(indices)
    sets = Counter(
        set_id for set_id, idx in session.execute(select(AuditSetLeafRow.set_id, AuditSetLeafRow.idx)) if idx in wanted
    )
    named: Counter[int] = Counter()
    for token_id, set_id in session.execute(select(AuditSetTokenRow.token_id, AuditSetTokenRow.set_id)):
        if set_id in sets:
            named[token_id] += sets[set_id]
    ranked = named.most_common(most)
    query = select(AuditTokenRow.token_id, AuditTokenRow.token).where(AuditTokenRow.token_id.in_([i for i, _ in ranked]))
    tokens = {token_id: AuditToken(token) for token_id, token in session.execute(query)}
    return sorted(((tokens[token_id], n) for token_id, n in ranked if token_id in tokens), key=lambda item: (-item[1], item[0]))


def _token_ids(session: Session, tokens: Sequence[AuditToken]) -> dict[AuditToken, int]:
    known = _look_up(session, _tokens_among, _TOKEN, tokens)
    new = [token for token in tokens if token not in known]
    if new:
        first = (_LAST_TOKEN.rows(session)[0][0] or 0) + 1
        added = {token: first + i for i, token in enumerate(new)}
        insert_columns(session, AuditTokenRow, {"token_id": list(added.values()), "token": new})
        known.update(added)
    return known


def _look_up(
    session: Session, statement: Callable[[int], Statement], columns: Sequence[InstrumentedAttribute[Any]], keys: Sequence[Key]
) -> dict[Key, int]:
    """The numbers of those keys that are stored."""
    if len(keys) > LOOKUP_BATCH:
        return dict(rows_among(session, columns, columns[0], keys))
    if not keys:
        return {}
    values = _filled(keys)
    return {key: number for key, number in statement(len(values)).rows(session, **values)}  # noqa: C416 - rows are no pairs to a type checker


def _filled(keys: Sequence[object]) -> dict[str, object]:
    """A value for each place of a statement with a power of two of them, so that few statements serve any number of keys."""
    width = 1 << (len(keys) - 1).bit_length()
    return dict(zip(_NAMES, [*keys, *[keys[-1]] * (width - len(keys))], strict=False))


@lru_cache
def _sets_among(width: int) -> Statement:
    return Statement(select(AuditSetRow.digest, AuditSetRow.set_id).where(AuditSetRow.digest.in_(_places(width))))


@lru_cache
def _tokens_among(width: int) -> Statement:
    return Statement(select(AuditTokenRow.token, AuditTokenRow.token_id).where(AuditTokenRow.token.in_(_places(width))))


def _places(width: int) -> list[BindParameter[Any]]:
    return [bindparam(name) for name in _NAMES[:width]]
