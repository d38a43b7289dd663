"""Entries about a subject, found in the entries themselves: a row deleted beside the log hides no access.

A leaf names a set of subjects by its salted digest (``docs/formats/audit.md`` §3). The digest of a single subject follows from the
token. Sets of several are stored beside the log (``subject_sets``) and hashed anew here; each digest of several that an entry names
must be one of them, so a removed member or a removed set is an error at the entry that names it. Only for entries whose payload
retention dropped does the index alone answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from sqlalchemy import ColumnElement, LargeBinary, and_, case, cast, func, literal, or_, select

from vault.audit.entry import set_digest
from vault.audit.log_head import read_head
from vault.audit.subject_sets import entries_of_token
from vault.errors import IntegrityError
from vault.ids import AuditToken
from vault.storage.audit_tables import AuditLeafRow, AuditSetRow, AuditSetTokenRow, AuditTokenRow
from vault.storage.database import Transaction
from vault.storage.stored_types import largest

_MEMBERS_AT_ONCE = 20_000  # rows fetched at a time
_NAMES_SET = ',"set":"'
_NAMES_ONE = f'{{"n":1{_NAMES_SET}'
_END = 114  # fixed distance of the digest from the end of a leaf that names a set


def _tail(before: str) -> ColumnElement[bytes]:
    """SQL for the digest member of a leaf with a set, which ends in ,"set":"<64 hex>"},"t":"<27 characters>","v":1}."""
    more = len(before) - len(_NAMES_SET)
    return func.substr(AuditLeafRow.leaf, func.length(AuditLeafRow.leaf) - _END - more, len(before) + 64)


def entries_naming(tx: Transaction, tokens: Sequence[AuditToken], *, set_salt: bytes) -> list[int]:
    """Numbers of all entries about the subject with these audit tokens, ascending.

    Raises:
        IntegrityError: ``audit_set_altered``: an entry names a set that is not stored unaltered; ``log_incomplete``.
    """
    alone = {set_digest([token], set_salt).hex().encode() for token in tokens}
    theirs, broken = _sets(tx, tokens, set_salt, several=True)
    found, dropped = [], set()
    for index, digest in _naming_other_than(tx, sorted({*theirs.values(), *broken}), alone=sorted(alone)):
        if digest is None:
            dropped.add(index)
        elif digest in alone or digest in theirs:
            found.append(index)
        else:
            raise IntegrityError("audit_set_altered", f"the people whom audit entry {index} names are not stored as they were")
    if dropped:
        found += dropped.intersection(index for token in tokens for index in entries_of_token(tx, token))
    return sorted(found)


def entries_without_set(tx: Transaction, *, set_salt: bytes) -> list[int]:
    """Numbers of the entries whose set of subjects is not stored unaltered. Raises IntegrityError (``log_incomplete``)."""
    _, broken = _sets(tx, (), set_salt, several=False)
    scanned = _naming_other_than(tx, sorted(broken))
    return [index for index, digest in scanned if digest is not None]


def _sets(tx: Transaction, tokens: Sequence[AuditToken], set_salt: bytes, *, several: bool) -> tuple[dict[bytes, int], set[int]]:
    """Hash every stored set anew, without the token index.

    ``several``: only sets stored as having several members. Returns digest (hex, as in leaves) -> set number, for the sets with one of
    ``tokens``; and the numbers of the sets whose members do not give their digest.
    """
    stored = select(AuditSetRow.set_id, AuditSetRow.digest)
    members = (
        select(AuditSetTokenRow.set_id, AuditTokenRow.token)
        .join(AuditTokenRow, AuditTokenRow.token_id == AuditSetTokenRow.token_id)
        .order_by(AuditSetTokenRow.set_id)
        .execution_options(yield_per=_MEMBERS_AT_ONCE)
    )
    if several:
        stored = stored.where(AuditSetRow.n > 1)
        members = members.join(AuditSetRow, AuditSetRow.set_id == AuditSetTokenRow.set_id).where(AuditSetRow.n > 1)
    unseen = {row.set_id: row.digest for row in tx.execute(stored)}
    theirs, wanted = {}, set(tokens)
    for set_id, rows in groupby(tx.execute(members), key=itemgetter(0)):
        named = sorted([AuditToken(token) for _, token in rows])
        digest = set_digest(named, set_salt)
        if unseen.get(set_id) == digest:
            del unseen[set_id]
            if not wanted.isdisjoint(named):
                theirs[digest.hex().encode()] = set_id
    return theirs, set(unseen)


def _naming_other_than(
    tx: Transaction, sets: Sequence[int], *, alone: Sequence[bytes] | None = None
) -> list[tuple[int, bytes | None]]:
    """Entries that name one of ``sets`` or a set that is not stored: (entry number, hex digest), (entry number, None) without payload.

    ``alone``: an entry about a single subject is returned exactly if its digest is among these, whatever is stored of its set.

    Raises IntegrityError (``log_incomplete``).
    """
    # Filtered in SQL: fetching a million leaves takes longer than scanning them in the database.
    digest: ColumnElement[str] = func.lower(func.hex(AuditSetRow.digest))
    if tx.connection().dialect.name == "postgresql":
        digest = func.encode(AuditSetRow.digest, "hex")
    tail = _tail(_NAMES_SET)
    others = select(cast(literal(_NAMES_SET).concat(digest), LargeBinary)).where(AuditSetRow.set_id.not_in(sets))
    names_a_set = func.substr(tail, 1, len(_NAMES_SET)) == literal(_NAMES_SET.encode())
    if alone is None:
        wanted = and_(tail.not_in(others), names_a_set)
    else:
        one = func.substr(_tail(_NAMES_ONE), 1, len(_NAMES_ONE)) == literal(_NAMES_ONE.encode())
        theirs = tail.in_([_NAMES_SET.encode() + digest for digest in alone])
        wanted = case((one, theirs), else_=and_(names_a_set, tail.not_in(others.where(AuditSetRow.n > 1))))
    query = select(AuditLeafRow.idx, tail).where(or_(wanted, AuditLeafRow.leaf.is_(None)))
    found = tx.execute(query.order_by(AuditLeafRow.idx)).all()
    count, last = tx.execute(select(func.count(), largest(AuditLeafRow.idx)).select_from(AuditLeafRow)).one()
    if not (count == read_head(tx).end == (0 if last is None else last + 1)):
        raise IntegrityError("log_incomplete", "entries of the audit log are missing", hint="genovault audit verify names them")
    return [(index, None if named is None else named[len(_NAMES_SET) :]) for index, named in found]
