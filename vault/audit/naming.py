"""Which entries speak of somebody, read from the entries themselves: a row that is missing beside the log hides nothing.

A leaf names a set of people by its salted digest; the sets are stored beside the log (``sets``). Every stored set is hashed anew,
and every digest that an entry names has to be one of those: a member that was taken out of a set, or a whole set that is gone, is
noticed at the entry that names it. Only of entries whose payload retention has dropped does the index alone say whom they name.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from sqlalchemy import ColumnElement, LargeBinary, and_, cast, func, literal, or_, select
from sqlalchemy.orm import Session

from vault.audit.entry import set_digest
from vault.audit.sets import entries_of_token
from vault.audit.stored_head import read_head
from vault.errors import IntegrityError
from vault.ids import AuditToken
from vault.storage.audit_tables import AuditLeafRow, AuditSetRow, AuditSetTokenRow, AuditTokenRow

_MEMBERS_AT_ONCE = 20_000
_NAMES_SET = ',"set":"'
_TAIL = func.substr(AuditLeafRow.leaf, func.length(AuditLeafRow.leaf) - 114, len(_NAMES_SET) + 64)
"""The member that names a set, of a leaf that has one: it closes with ,"set":"<64 hex>"},"t":"<27 characters>","v":1}"""


def entries_naming(session: Session, tokens: Sequence[AuditToken], *, set_salt: bytes) -> list[int]:
    """Numbers of all entries that speak of the subject with these audit tokens, ascending.

    Raises:
        IntegrityError: ``audit_set_altered``: an entry names a set of people that is not stored as it was; ``log_incomplete``.
    """
    theirs, broken = _sets(session, tokens, set_salt)
    found, dropped = [], set()
    for index, digest in _naming_other_than(session, sorted({*theirs.values(), *broken})):
        if digest is None:
            dropped.add(index)
        elif digest in theirs:
            found.append(index)
        else:
            raise IntegrityError("audit_set_altered", f"the people whom audit entry {index} names are not stored as they were")
    if dropped:
        found += dropped.intersection(index for token in tokens for index in entries_of_token(session, token))
    return sorted(found)


def entries_without_set(session: Session, *, set_salt: bytes) -> list[int]:
    """Numbers of the entries that name a set of people which is not stored as it was. Raises IntegrityError (``log_incomplete``)."""
    _, broken = _sets(session, (), set_salt)
    scanned = _naming_other_than(session, sorted(broken))
    return [index for index, digest in scanned if digest is not None]


def _sets(session: Session, tokens: Sequence[AuditToken], set_salt: bytes) -> tuple[dict[bytes, int], set[int]]:
    """What all stored sets say, each hashed anew: digest (hex, as leaves have it) -> number of the sets that one of ``tokens`` is a
    member of, and the numbers of the sets that their stored members do not make. No index of tokens is asked.
    """
    unseen = {row.set_id: row.digest for row in session.execute(select(AuditSetRow.set_id, AuditSetRow.digest))}
    theirs, wanted = {}, set(tokens)
    members = (
        select(AuditSetTokenRow.set_id, AuditTokenRow.token)
        .join(AuditTokenRow, AuditTokenRow.token_id == AuditSetTokenRow.token_id)
        .order_by(AuditSetTokenRow.set_id)
        .execution_options(yield_per=_MEMBERS_AT_ONCE)
    )
    for set_id, rows in groupby(session.execute(members), key=itemgetter(0)):
        named = sorted([AuditToken(token) for _, token in rows])
        digest = set_digest(named, set_salt)
        if unseen.get(set_id) == digest:
            del unseen[set_id]
            if not wanted.isdisjoint(named):
                theirs[digest.hex().encode()] = set_id
    return theirs, set(unseen)


def _naming_other_than(session: Session, sets: Sequence[int]) -> list[tuple[int, bytes | None]]:
    """(entry, digest that it names) of the entries that name one of ``sets`` or one that is not stored; (entry, None) of each entry
    without payload. The database looks for them, because handing over a million leaves takes longer than reading them.
    """
    digest: ColumnElement[str] = func.lower(func.hex(AuditSetRow.digest))
    if session.connection().dialect.name == "postgresql":
        digest = func.encode(AuditSetRow.digest, "hex")
    others = select(cast(literal(_NAMES_SET).concat(digest), LargeBinary)).where(AuditSetRow.set_id.not_in(sets))
    names_a_set = func.substr(_TAIL, 1, len(_NAMES_SET)) == literal(_NAMES_SET.encode())
    query = select(AuditLeafRow.idx, _TAIL).where(or_(and_(_TAIL.not_in(others), names_a_set), AuditLeafRow.leaf.is_(None)))
    found = session.execute(query.order_by(AuditLeafRow.idx)).all()
    count, last = session.execute(select(func.count(), func.max(AuditLeafRow.idx)).select_from(AuditLeafRow)).one()
    if not (count == read_head(session).end == (0 if last is None else last + 1)):
        raise IntegrityError("log_incomplete", "entries of the audit log are missing", hint="genovault audit verify names them")
    return [(index, None if tail is None else tail[len(_NAMES_SET) :]) for index, tail in found]
