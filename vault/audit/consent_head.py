"""The consent ledger's head according to the log (``docs/formats/audit.md`` §4)."""

from __future__ import annotations

from sqlalchemy import func, select

from vault.audit.entry import ConsentHead, decode_leaf
from vault.errors import IntegrityError
from vault.storage.audit_tables import AuditLeafRow
from vault.storage.database import Transaction
from vault.storage.stored_types import largest

PAGE = 256  # entries read at a time; each access carries a head, so one page is usually enough
ADDING = (b'{"act":"consent.', b'{"act":"subject.')  # the beginnings, of one length, of every entry that adds to the ledger


def consent_head(tx: Transaction) -> ConsentHead | None:
    """The head in the newest entry that carries one, as the caller's transaction sees the log; None before the first.

    Raises IntegrityError ``entry_malformed``; as ``entry.decode_leaf``.
    """
    stop: int | None = None
    while True:
        query = select(AuditLeafRow.idx, AuditLeafRow.leaf).order_by(AuditLeafRow.idx.desc()).limit(PAGE)
        page = tx.execute(query if stop is None else query.where(AuditLeafRow.idx < stop)).all()
        if not page:
            return None
        for row in page:
            found = None if row.leaf is None else _stated(row.leaf)
            if found is not None:
                return found
        stop = page[-1].idx


def added_heads(tx: Transaction, looked: int) -> tuple[int, list[ConsentHead]]:
    """The entries looked through so far, and the heads to which entries say that they added, in order.

    The ledger only grows, so it goes through each of them for ever, whatever a later entry quotes. ``looked``: the number of before,
    0 at first; only later entries are read, and the last ones again, which a transaction may have taken back since.
    Raises as ``consent_head``.
    """
    end = (tx.scalar(select(largest(AuditLeafRow.idx))) or 0) + 1
    begins = func.substr(AuditLeafRow.leaf, 1, len(ADDING[0])).in_(ADDING)
    rows = select(AuditLeafRow.leaf).where(AuditLeafRow.idx >= looked - PAGE, AuditLeafRow.idx < end, begins)
    stated = [_stated(leaf) for leaf in tx.scalars(rows.order_by(AuditLeafRow.idx)) if leaf is not None]
    return end, [head for head in stated if head is not None and head.added]


def _stated(leaf: bytes) -> ConsentHead | None:
    try:
        stated = decode_leaf(leaf).get("consent")
        return None if stated is None else ConsentHead(stated["seq"], bytes.fromhex(stated["head"]), stated.get("added", 0))
    except (AttributeError, KeyError, TypeError, ValueError):
        message = "an audit entry does not state the consent ledger as an entry does"
        raise IntegrityError("entry_malformed", message, hint="genovault audit verify") from None
