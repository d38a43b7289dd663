"""Faults of the rows beside the tree: what the log's leaves do not hash, held against what they do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlalchemy import func, select

from vault.audit import subject_sets
from vault.audit.entry import event_id_bytes, event_id_text
from vault.audit.note import checkpoint_in
from vault.audit.tiles import TILE_WIDTH
from vault.errors import IntegrityError
from vault.storage.audit_tables import (
    AuditCheckpointRow,
    AuditClosingRow,
    AuditDetailRow,
    AuditHeadRow,
    AuditLeafRow,
    AuditOriginRow,
    AuditSessionRow,
    AuditSetLeafRow,
    AuditSetRow,
    AuditSetTokenRow,
    AuditTileRow,
    AuditTokenRow,
)
from vault.storage.database import Transaction

ROWS_AT_ONCE = 10_000

_REFERS = re.compile(rb',"refers":"([0-9a-f-]{36})"')  # a quote inside a string of a leaf is escaped, so this is a member's
_SET = re.compile(rb',"subj":\{"n":\d+,"set":"([0-9a-f]{64})"\}')
_STATE = re.compile(rb',"counts":\{[^}]*"state":(\d+)')


def newest_state(tx: Transaction) -> int:
    """Highest number of the stewards' state that an entry of the newest log states; 0 without one."""
    query = select(AuditLeafRow.idx, AuditLeafRow.leaf).order_by(AuditLeafRow.idx.desc()).limit(ROWS_AT_ONCE)
    rows = tx.execute(query).all()
    while rows:
        for row in rows:
            if found := _STATE.search(row.leaf or b""):
                return int(found[1])  # numbers only grow
        rows = tx.execute(query.where(AuditLeafRow.idx < rows[-1].idx)).all()
    return 0


def faults(tx: Transaction) -> Iterator[str]:
    """A line for each row that does not belong to its entry, checkpoint or set."""
    yield from _entries(tx)
    yield from _tiles(tx)
    yield from _checkpoints(tx)
    yield from _sessions(tx)
    yield from _sets(tx)


def _entries(tx: Transaction) -> Iterator[str]:
    """Ids, and the indexes from an intent to its outcome and from a set of subjects to the entries about it."""
    closings = set(map(tuple, tx.execute(select(AuditClosingRow.event_id, AuditClosingRow.idx))))
    about = select(AuditSetRow.digest, AuditSetLeafRow.idx).join(AuditSetLeafRow, AuditSetLeafRow.set_id == AuditSetRow.set_id)
    sets = set(map(tuple, tx.execute(about)))
    closed: set[tuple[bytes, int]] = set()
    named: set[tuple[bytes, int]] = set()
    query = select(AuditLeafRow.idx, AuditLeafRow.event_id, AuditLeafRow.leaf).where(AuditLeafRow.leaf.is_not(None))
    for row in tx.execute(query.execution_options(yield_per=ROWS_AT_ONCE)):
        leaf = row.leaf or b""
        if f'"id":"{event_id_text(row.event_id)}"'.encode() not in leaf:
            yield f"entry {row.idx} is stored under the id of another"
        if closes := _REFERS.search(leaf):
            closed.add(pair := (event_id_bytes(closes[1].decode()), row.idx))
        if closes and pair not in closings:
            yield f"entry {row.idx} is not found by the intent that it closes"
        if names := _SET.search(leaf):
            named.add(about_whom := (bytes.fromhex(names[1].decode()), row.idx))
        if names and about_whom not in sets:
            yield f"entry {row.idx} is not found by the people that it names"
    kept = select(AuditLeafRow.idx).where(AuditLeafRow.leaf.is_(None))
    dropped = set(tx.scalars(kept))
    for index in {index for _, index in closings - closed} - dropped:
        yield f"entry {index} is said to close an intent that it does not name"
    for index in {index for _, index in sets - named} - dropped:
        yield f"entry {index} is said to be about people that it does not name"


def _tiles(tx: Transaction) -> Iterator[str]:
    """Tiles that the newest log is too short for; the others are compared with the entries by ``audit verify``."""
    head = tx.execute(select(AuditHeadRow.base, AuditHeadRow.size)).first()
    if head is None:
        return
    rows = tx.execute(select(AuditTileRow.level, AuditTileRow.n).where(AuditTileRow.base == head.base))
    for level, n in rows:
        if (n + 1) * TILE_WIDTH ** (level + 1) > head.size:
            yield f"tile {n} of level {level} is of entries that the log does not have"


def _checkpoints(tx: Transaction) -> Iterator[str]:
    logs = set(tx.scalars(select(AuditOriginRow.base)))
    for row in tx.scalars(select(AuditCheckpointRow)):
        try:
            stated = checkpoint_in(row.note)
        except IntegrityError:
            yield f"the checkpoint at {row.size} entries cannot be read"
            continue
        if (stated.size, stated.root) != (row.size, row.root) or row.base not in logs:
            yield f"the checkpoint at {row.size} entries is stored at the place of another"


def _sessions(tx: Transaction) -> Iterator[str]:
    query = select(AuditDetailRow.idx).outerjoin(AuditSessionRow, AuditSessionRow.session_id == AuditDetailRow.session_id)
    for index in tx.scalars(query.where(AuditSessionRow.session_id.is_(None))):
        yield f"the detail of entry {index} has lost its session's key"


def _sets(tx: Transaction) -> Iterator[str]:
    """Marks of tokens; number of members, and the first of them in the order of tokens, as each set's row states them."""
    for row in tx.execute(select(AuditTokenRow.token_id, AuditTokenRow.mark, AuditTokenRow.token)):
        if subject_sets.mark(row.token) != row.mark:
            yield f"token {row.token_id} is not found again by its mark"
    stored = tx.execute(select(func.count(), func.count(AuditTokenRow.token.distinct())).select_from(AuditTokenRow)).one()
    if stored[0] != stored[1]:
        yield "a token of a subject is stored twice"
    strays = select(AuditSetTokenRow.set_id).distinct().where(AuditSetTokenRow.set_id.not_in(select(AuditSetRow.set_id)))
    for set_id in tx.scalars(strays):
        yield f"members of set {set_id} are stored, and the set is not"
    members = (
        select(AuditSetTokenRow.set_id, func.count().label("n"), func.min(AuditTokenRow.token).label("first"))
        .join(AuditTokenRow, AuditTokenRow.token_id == AuditSetTokenRow.token_id)
        .group_by(AuditSetTokenRow.set_id)
        .subquery()
    )
    lead = select(AuditTokenRow.token_id, AuditTokenRow.token).subquery()
    query = (
        select(AuditSetRow.set_id)
        .outerjoin(members, members.c.set_id == AuditSetRow.set_id)
        .outerjoin(lead, lead.c.token_id == AuditSetRow.lead)
        .where((func.coalesce(members.c.n, 0) != AuditSetRow.n) | (func.coalesce(lead.c.token, "") != members.c.first))
    )
    for set_id in tx.scalars(query):
        yield f"set {set_id} of subjects is not as its row states it"
