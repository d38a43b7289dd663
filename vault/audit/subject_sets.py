"""Sets of subjects beside the log: stored once under their digest, and indexed token -> set -> entry.

The token of a subject comes from the key database; without it these rows link nobody. Every entry about somebody whom the log has
not named before adds to each index, and where it adds decides what a commit costs: rows are numbered as they come, so that all but
one index grow at their end, and the one that has to know tokens again holds four bytes of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from sqlalchemy import func, select

from vault.audit.entry import SubjectSet
from vault.ids import AuditToken
from vault.storage.audit_tables import AuditSetLeafRow, AuditSetRow, AuditSetTokenRow, AuditTokenRow
from vault.storage.base import insert_rows
from vault.storage.bulk_columns import insert_columns, rows_among
from vault.storage.compiled_statements import Statement
from vault.storage.database import Transaction

_LAST = Statement(
    select(
        select(func.max(AuditSetRow.set_id)).scalar_subquery().label("set"),
        select(func.max(AuditTokenRow.token_id)).scalar_subquery().label("token"),
    )
)


def store_sets(tx: Transaction, found: Sequence[tuple[int, SubjectSet]]) -> None:
    """Make entries findable from each token of their sets, inside the entries' own transaction. ``found``: (index, set)."""
    if not found:
        return
    distinct = {subjects.digest: subjects for _, subjects in found}
    numbers = _stored_tokens(tx, {subjects.tokens[0] for subjects in distinct.values()})
    known = _stored_sets(tx, [subjects for subjects in distinct.values() if subjects.tokens[0] in numbers], numbers)
    new = [subjects for digest, subjects in distinct.items() if digest not in known]
    if new:
        known |= _store_new(tx, new, numbers)
    rows = sorted((known[subjects.digest], index) for index, subjects in found)
    insert_rows(tx, AuditSetLeafRow, ("set_id", "idx"), rows)


def entries_of_token(tx: Transaction, token: AuditToken) -> list[int]:
    """Indices of the entries that speak of a subject, ascending."""
    query = (
        select(AuditSetLeafRow.idx)
        .join(AuditSetTokenRow, AuditSetTokenRow.set_id == AuditSetLeafRow.set_id)
        .join(AuditTokenRow, AuditTokenRow.token_id == AuditSetTokenRow.token_id)
        .where(AuditTokenRow.token == token)
        .order_by(AuditSetLeafRow.idx)
    )
    return list(tx.scalars(query))


def tokens_of_set(tx: Transaction, digest: bytes, entry: int | None = None) -> list[AuditToken]:
    """The stored members of a set, sorted; empty when it is not stored. The caller compares the digest.

    An ``entry`` that names the set leads to it; without one, every stored set is looked at.
    """
    query = select(AuditSetRow.set_id).where(AuditSetRow.digest == digest)
    naming = query.join(AuditSetLeafRow, AuditSetLeafRow.set_id == AuditSetRow.set_id).where(AuditSetLeafRow.idx == entry)
    set_id = None if entry is None else tx.scalar(naming)
    if set_id is None:
        set_id = tx.scalar(query)
    members = (
        select(AuditTokenRow.token)
        .join(AuditSetTokenRow, AuditSetTokenRow.token_id == AuditTokenRow.token_id)
        .where(AuditSetTokenRow.set_id == set_id)
    )
    return sorted(AuditToken(token) for token in tx.scalars(members))


def most_named(tx: Transaction, indices: Iterable[int], most: int) -> list[tuple[AuditToken, int]]:
    """The tokens that these entries name most often, with how often; equals in the order of their text."""
    wanted = set(indices)
    sets = Counter(set_id for set_id, idx in tx.execute(select(AuditSetLeafRow.set_id, AuditSetLeafRow.idx)) if idx in wanted)
    named: Counter[int] = Counter()
    for token_id, set_id in tx.execute(select(AuditSetTokenRow.token_id, AuditSetTokenRow.set_id)):
        if set_id in sets:
            named[token_id] += sets[set_id]
    ranked = named.most_common(most)
    query = select(AuditTokenRow.token_id, AuditTokenRow.token).where(AuditTokenRow.token_id.in_([i for i, _ in ranked]))
    tokens = {token_id: AuditToken(token) for token_id, token in tx.execute(query)}
    return sorted(((tokens[token_id], n) for token_id, n in ranked if token_id in tokens), key=lambda item: (-item[1], item[0]))


def _stored_tokens(tx: Transaction, tokens: AbstractSet[AuditToken]) -> dict[AuditToken, int]:
    """The numbers of those tokens that are stored."""
    marks = list({mark(token) for token in tokens})
    rows = rows_among(tx, [AuditTokenRow.token, AuditTokenRow.token_id], AuditTokenRow.mark, marks)
    return {token: number for token, number in rows if token in tokens}


def _stored_sets(tx: Transaction, sets: Sequence[SubjectSet], numbers: Mapping[AuditToken, int]) -> dict[bytes, int]:
    """Digest -> number, of those sets that are stored; the first token of each has a number."""
    leads = [numbers[subjects.tokens[0]] for subjects in sets]
    digests = [subjects.digest for subjects in sets]
    return dict(rows_among(tx, [AuditSetRow.digest, AuditSetRow.set_id], AuditSetRow.lead, leads, digest=digests))


def _store_new(tx: Transaction, sets: Sequence[SubjectSet], firsts: Mapping[AuditToken, int]) -> dict[bytes, int]:
    """Store sets, and give a number to each token that has none. ``firsts``: the numbers of their first tokens that have one."""
    last_set, last_token = (last or 0 for last in _LAST.rows(tx)[0])
    members = {token for subjects in sets for token in subjects.tokens}
    numbers = {**firsts, **_stored_tokens(tx, members.difference(subjects.tokens[0] for subjects in sets))}
    newcomers = {token: mark(token) for token in members.difference(numbers)}
    if newcomers:
        tokens = sorted(newcomers, key=newcomers.__getitem__)
        added = range(last_token + 1, last_token + 1 + len(tokens))
        marks = [newcomers[token] for token in tokens]
        insert_columns(tx, AuditTokenRow, {"token_id": list(added), "mark": marks, "token": tokens})
        numbers.update(zip(tokens, added, strict=True))
    rows = [(set_id, numbers[s.tokens[0]], s.digest, len(s.tokens)) for set_id, s in enumerate(sets, last_set + 1)]
    insert_rows(tx, AuditSetRow, ("set_id", "lead", "digest", "n"), rows)
    # (token, set) in one number each, which sorts faster than a pair
    places = sorted(numbers[token] * len(sets) + at for at, s in enumerate(sets) for token in s.tokens)
    token_ids, set_ids = [place // len(sets) for place in places], [last_set + 1 + place % len(sets) for place in places]
    insert_columns(tx, AuditSetTokenRow, {"token_id": token_ids, "set_id": set_ids})
    return {digest: set_id for set_id, _, digest, _ in rows}


def mark(token: AuditToken) -> int:
    """31 bits of a token, by which it is looked up: as much as the database keeps in four bytes."""
    return int(token[-8:], 16) >> 1
