"""The consent ledger's head according to the log (``docs/formats/audit.md`` §4)."""

from __future__ import annotations

from sqlalchemy import select

from vault.audit.entry import ConsentHead, decode_leaf
from vault.storage.audit_tables import AuditLeafRow
from vault.storage.database import Transaction

PAGE = 256  # entries read at a time; each access carries a head, so one page is usually enough


def consent_head(tx: Transaction) -> ConsentHead | None:
    """The head in the newest entry that carries one, as the caller's transaction sees the log; None before the first.

    Raises IntegrityError as ``entry.decode_leaf``.
    """
    stop: int | None = None
    while True:
        query = select(AuditLeafRow.idx, AuditLeafRow.leaf).order_by(AuditLeafRow.idx.desc()).limit(PAGE)
        page = tx.execute(query if stop is None else query.where(AuditLeafRow.idx < stop)).all()
        if not page:
            return None
        for row in page:
            stated = None if row.leaf is None else decode_leaf(row.leaf).get("consent")
            if stated is not None:
                return ConsentHead(stated["seq"], bytes.fromhex(stated["head"]), stated.get("added", 0))
        stop = page[-1].idx
