"""Which entries speak of somebody, read from the entries themselves: a row that is missing beside the log hides nobody.

A leaf names a set of people by its salted digest. The digest of one person alone follows from their token. Sets of several are stored
beside the log (``sets``): each of those is hashed anew, and every digest of several that an entry names has to be one of them, so a
member that was taken out of a set, or a whole set that is gone, is noticed at the entry that names it. Only of entries whose
payload retention has dropped does the index alone say whom they name.
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

_MEMBERS_AT_ONCE = 20_000
_NAMES_SET = ',"set":"'
_NAMES_ONE = f'{{"n":1{_NAMES_SET}'
_END = 114  # bytes from the middle of the member that names a set to the end of a leaf that has one


def _tail(before: str) -> ColumnElement[bytes]:
    """The member that names a set, of a leaf that has one: it closes with ,"set":"<64 hex>"},"t":"<27 characters>","v":1}."""
    more = len(before) - len(_NAMES_SET)
    return func.substr(AuditLeafRow.leaf, func.length(AuditLeafRow.leaf) - _END - more, len(before) + 64)


def entries_naming(tx: Transaction, tokens: Sequence[AuditToken], *, set_salt: bytes) -> list[int]:
    """Numbers of all entries that speak of the subject with these audit tokens, ascending.

    Raises:
        IntegrityError: ``audit_set_altered``: an entry names a set of people that is not stored as it was; ``log_incomplete``.
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
    """Numbers of the entries that name a set of people which is not stored as it was. Raises IntegrityError (``log_incomplete``)."""
    _, broken = _sets(tx, (), set_salt, several=False)
    scanned = _naming_other_than(tx, sorted(broken))
    return [index for index, digest in scanned if digest is not None]


def _sets(tx: Transaction, tokens: Sequence[AuditToken], set_salt: bytes, *, several: bool) -> tuple[dict[bytes, int], set[int]]:
    """What the stored sets say, each hashed anew: digest (hex, as leaves have it) -> number of the sets that one of ``tokens`` is a
    member of, and the numbers of the sets that their stored members do not make. No index of tokens is asked.

    ``several``: only of the sets that are said to have several members.
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
    """(entry, digest that it names) of the entries that name one of ``sets`` or one that is not stored; (entry, None) of each entry
    without payload. With ``alone``, an entry that names one person is given where its digest is among those, and not otherwise; what
    is stored of such sets does not count. The database looks for them, because handing over a million leaves takes longer than
    reading them.
    """
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
    count, last = tx.execute(select(func.count(), func.max(AuditLeafRow.idx)).select_from(AuditLeafRow)).one()
    if not (count == read_head(tx).end == (0 if last is None else last + 1)):
        raise IntegrityError("log_incomplete", "entries of the audit log are missing", hint="genovault audit verify names them")
    return [(index, None if named is None else named[len(_NAMES_SET) :]) for index, named in found]
