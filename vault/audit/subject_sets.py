"""Sets of subjects beside the log: stored once per digest, indexed token -> set -> entry (``docs/formats/audit.md`` §3).

Audit tokens come from the key database; without it these rows identify no one. Each entry about a subject new to the log adds to every
index, and the place of the addition decides the cost of a commit. Rows are numbered in order of arrival, so all indexes but one grow
at their end; the one that finds tokens again holds 4 bytes of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlalchemy import select

from vault.audit.entry import SubjectSet
from vault.ids import AuditToken
from vault.storage.audit_tables import AuditSetLeafRow, AuditSetRow, AuditSetTokenRow, AuditTokenRow
from vault.storage.base import insert_rows
from vault.storage.bulk_columns import insert_columns, rows_among
from vault.storage.compiled_statements import Statement
from vault.storage.database import Transaction
from vault.storage.stored_types import largest

SETS_AT_ONCE = 500  # whose members are asked for together
_LAST = Statement(
    select(
        select(largest(AuditSetRow.set_id)).scalar_subquery().label("set"),
        select(largest(AuditTokenRow.token_id)).scalar_subquery().label("token"),
    )
)


def store_sets(tx: Transaction, found: Sequence[tuple[int, SubjectSet]]) -> None:
    """Store the sets of entries and index them, in the entries' own transaction. ``found``: (entry number, set)."""
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
    """Numbers of the entries about the subject of a token, by the index, ascending."""
    query = (
        select(AuditSetLeafRow.idx)
        .join(AuditSetTokenRow, AuditSetTokenRow.set_id == AuditSetLeafRow.set_id)
        .join(AuditTokenRow, AuditTokenRow.token_id == AuditSetTokenRow.token_id)
        .where(AuditTokenRow.token == token)
        .order_by(AuditSetLeafRow.idx)
    )
    return list(tx.scalars(query))


def tokens_of_set(tx: Transaction, digest: bytes, entry: int | None = None) -> list[AuditToken]:
    """Stored members of a set, sorted; empty if it is not stored. The caller compares the digest.

    ``entry``: number of an entry that names the set; without it the query scans all sets, because digests have no index.
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


def members_of_sets(tx: Transaction, digests: Iterable[bytes]) -> dict[bytes, list[AuditToken]]:
    """Stored members of each of some sets, sorted; sets that are not stored are left out. All sets are gone through once."""
    wanted = set(digests)
    rows = tx.execute(select(AuditSetRow.set_id, AuditSetRow.digest)) if wanted else ()
    digest_of = {set_id: digest for set_id, digest in rows if digest in wanted}
    found: dict[bytes, list[AuditToken]] = {digest: [] for digest in digest_of.values()}
    numbers = sorted(digest_of)
    for first in range(0, len(numbers), SETS_AT_ONCE):
        members = (
            select(AuditSetTokenRow.set_id, AuditTokenRow.token)
            .join(AuditTokenRow, AuditTokenRow.token_id == AuditSetTokenRow.token_id)
            .where(AuditSetTokenRow.set_id.in_(numbers[first : first + SETS_AT_ONCE]))
        )
        for set_id, token in tx.execute(members):
            found[digest_of[set_id]].append(AuditToken(token))
    return {digest: sorted(tokens) for digest, tokens in found.items()}


@dataclass(frozen=True)
class NamedAlike:
    """People whom equally many entries name. ``tokens``: all of them, sorted; empty where they are too many to list."""

    entries: int
    people: int
    tokens: tuple[AuditToken, ...]


def most_named(tx: Transaction, indices: Iterable[int], most: int) -> list[NamedAlike]:
    """People by how many of these entries name them, the largest number first.

    Tokens are listed while they are ``most`` together; of people who tie, all or none are.
    """
    wanted = set(indices)
    sets = Counter(set_id for set_id, idx in tx.execute(select(AuditSetLeafRow.set_id, AuditSetLeafRow.idx)) if idx in wanted)
    named: Counter[int] = Counter()
    for token_id, set_id in tx.execute(select(AuditSetTokenRow.token_id, AuditSetTokenRow.set_id)):
        if set_id in sets:
            named[token_id] += sets[set_id]
    alike: dict[int, list[int]] = {}
    for token_id, n in named.items():
        alike.setdefault(n, []).append(token_id)
    found, left = [], most
    for n in sorted(alike, reverse=True):
        left -= len(alike[n])
        shown = alike[n] if left >= 0 else []
        query = select(AuditTokenRow.token).where(AuditTokenRow.token_id.in_(shown))
        tokens = sorted(AuditToken(token) for token in tx.scalars(query)) if shown else []
        found.append(NamedAlike(n, len(alike[n]), tuple(tokens)))
    return found


def _stored_tokens(tx: Transaction, tokens: AbstractSet[AuditToken]) -> dict[AuditToken, int]:
    """Token -> number, of the tokens that are stored."""
    marks = list({mark(token) for token in tokens})
    rows = rows_among(tx, [AuditTokenRow.token, AuditTokenRow.token_id], AuditTokenRow.mark, marks)
    return {token: number for token, number in rows if token in tokens}


def _stored_sets(tx: Transaction, sets: Sequence[SubjectSet], numbers: Mapping[AuditToken, int]) -> dict[bytes, int]:
    """Digest -> number, of the sets that are stored. ``numbers`` must have the first token of each set."""
    leads = [numbers[subjects.tokens[0]] for subjects in sets]
    digests = [subjects.digest for subjects in sets]
    return dict(rows_among(tx, [AuditSetRow.digest, AuditSetRow.set_id], AuditSetRow.lead, leads, digest=digests))


def _store_new(tx: Transaction, sets: Sequence[SubjectSet], firsts: Mapping[AuditToken, int]) -> dict[bytes, int]:
    """Store sets and number their new tokens; digest -> set number. ``firsts``: numbers of the first tokens that are stored."""
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
    # (token, set) as one integer: sorts faster than a tuple
    places = sorted(numbers[token] * len(sets) + at for at, s in enumerate(sets) for token in s.tokens)
    token_ids, set_ids = [place // len(sets) for place in places], [last_set + 1 + place % len(sets) for place in places]
    insert_columns(tx, AuditSetTokenRow, {"token_id": token_ids, "set_id": set_ids})
    return {digest: set_id for set_id, _, digest, _ in rows}


def mark(token: AuditToken) -> int:
    """Lookup key of a token: 31 bits, the most that a non-negative 4-byte integer column holds."""
    return int(token[-8:], 16) >> 1
