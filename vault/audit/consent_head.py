"""The consent ledger's head according to the log (``docs/formats/audit.md`` §4)."""

from __future__ import annotations

from sqlalchemy import bindparam, func, or_, select

from vault.audit.entry import ConsentHead, decode_leaf
from vault.errors import IntegrityError
from vault.storage.audit_tables import AuditLeafRow
from vault.storage.compiled_statements import Statement
from vault.storage.database import Transaction
from vault.storage.stored_types import largest

PAGE = 256  # entries read at a time; each access carries a head, so one page is usually enough
ADDING = (b'{"act":"consent.', b'{"act":"subject.')  # the beginnings, of one length, of every entry that adds to the ledger

_LEAF, _END = AuditLeafRow.leaf, 2**62  # more entries than a log will have
_PAGE = Statement(
    select(AuditLeafRow.idx, _LEAF).where(AuditLeafRow.idx < bindparam("stop")).order_by(AuditLeafRow.idx.desc()).limit(PAGE)
)
_LAST = Statement(select(largest(AuditLeafRow.idx)))
_ADDED = Statement(
    select(_LEAF)
    .where(AuditLeafRow.idx >= bindparam("start"), AuditLeafRow.idx < bindparam("stop"))
    .where(or_(*(func.substr(_LEAF, 1, len(beginning)) == beginning for beginning in ADDING)))
    .order_by(AuditLeafRow.idx)
)


def consent_head(tx: Transaction) -> ConsentHead | None:
    """The head in the newest entry that carries one, as the caller's transaction sees the log; None before the first.

    Raises IntegrityError ``entry_malformed``; as ``entry.decode_leaf``.
    """
    stop = _END
    while page := _PAGE.rows(tx, stop=stop):
        for _, leaf in page:
            found = None if leaf is None else _stated(leaf)
            if found is not None:
                return found
        stop = page[-1][0]
    return None


def added_heads(tx: Transaction, looked: int) -> tuple[int, list[ConsentHead]]:
    """The entries looked through so far, and the heads to which entries say that they added, in order.

    The ledger only grows, so it goes through each of them for ever, whatever a later entry quotes. ``looked``: the number of before,
    0 at first; only later entries are read, and the last ones again, which a transaction may have taken back since.
    Raises as ``consent_head``.
    """
    end = (_LAST.rows(tx)[0][0] or 0) + 1
    added = _ADDED.rows(tx, start=looked - PAGE, stop=end)
    stated = [_stated(leaf) for (leaf,) in added if leaf is not None]
    return end, [head for head in stated if head is not None and head.added]


def _stated(leaf: bytes) -> ConsentHead | None:
    try:
        stated = decode_leaf(leaf).get("consent")
        return None if stated is None else ConsentHead(stated["seq"], bytes.fromhex(stated["head"]), stated.get("added", 0))
    except (AttributeError, KeyError, TypeError, ValueError):
        message = "an audit entry does not state the consent ledger as an entry does"
        raise IntegrityError("entry_malformed", message, hint="genovault audit verify") from None
