"""The consent ledger held against what others say of it: the audit log of its heads, and the stewards of who recorded.

Stewards and custodians sign the ledger, and custodians may record withdrawals alone. So the books say, signed by a steward, how far
stewards vouch for it (``session.collection_heads``); of what follows, nothing may permit anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from vault.audit.consent_head import added_heads, consent_head
from vault.audit.entry import ConsentHead
from vault.consent import ledger_columns
from vault.consent.ledger_columns import Columns
from vault.errors import IntegrityError
from vault.session.caches import Cache
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ConsentBatchRow
from vault.storage.database import Transaction

MANY = 200  # heads that are looked up one by one; more are compared with all batches


@dataclass(frozen=True)
class _Looked:
    """Entries of the log that were looked through, and the heads of them that the verified ledger goes through."""

    size: int = 0
    heads: frozenset[ConsentHead] = frozenset()
    at: tuple[int, bytes] | None = None  # last event and head of the ledger then


LOOKED: Cache[_Looked] = Cache(_Looked)


def require(tx: Transaction, vault: UnlockedVault, columns: Columns) -> None:
    """Refuse a verified ledger that is not the one which the log and the stewards know.

    Raises:
        IntegrityError: ``consent_ledger_behind``: the log knows of events that the ledger lacks; ``consent_ledger_altered``: somebody
            who may only record withdrawals recorded what may permit something.
    """
    _require_newest(tx, columns, vault)
    _require_added(tx, columns, vault)
    _require_settled(tx, columns, vault)


def _require_newest(tx: Transaction, columns: Columns, vault: UnlockedVault) -> None:
    """Hold the ledger's end against the newest entry that states one."""
    known, end = consent_head(tx), len(columns)
    # an entry may rest on an older head than the newest: then the ledger still goes through it
    if not (end == 0 if known is None else known.seq <= end and known.head == _at(tx, columns, known.seq, vault)):
        raise _behind()


def _require_added(tx: Transaction, columns: Columns, vault: UnlockedVault) -> None:
    """Refuse a ledger that does not go through every head to which an entry of the log added."""
    known = vault.caches.get(LOOKED)
    if (
        known.at is not None and _at(tx, columns, known.at[0], vault) != known.at[1]
    ):  # another ledger than the one that was looked at
        known = _Looked()
    size, stated = added_heads(tx, known.size)
    if not _go_through(tx, set(stated) - known.heads):
        raise _behind()
    vault.caches.put(LOOKED, _Looked(size, frozenset(stated), (len(columns), columns.head)))


def _go_through(tx: Transaction, heads: Iterable[ConsentHead]) -> bool:
    """True if a batch of the ledger ends at each head."""
    wanted = {(head.seq, head.head) for head in heads}
    if not wanted:
        return True
    query = select(ConsentBatchRow.last_seq, ConsentBatchRow.head)
    if len(wanted) <= MANY:
        query = query.where(ConsentBatchRow.last_seq.in_({seq for seq, _ in wanted}))
    return wanted <= {(row.last_seq, row.head) for row in tx.execute(query)}


def _require_settled(tx: Transaction, columns: Columns, vault: UnlockedVault) -> None:
    """Refuse events that may permit something after the last one that a steward vouches for."""
    settled = vault.books.settled(tx)
    if settled is None or settled == (len(columns), columns.head):
        return
    seq, head = settled
    if seq and _at(tx, columns, seq, vault) != head:
        raise _behind()
    later = np.unique(columns.statement_ids[seq:]).tolist()
    if any(columns.statements.pattern(one).opens for one in later):
        raise ledger_columns.altered(seq + 1)


def _at(tx: Transaction, columns: Columns, seq: int, vault: UnlockedVault) -> bytes | None:
    """Head of the ledger after event ``seq``, 32 bytes; None where no batch ends there."""
    if seq == len(columns):
        return columns.head
    if seq == 0:
        return ledger_columns.start(vault.vault_id)
    return tx.scalar(select(ConsentBatchRow.head).where(ConsentBatchRow.last_seq == seq))


def _behind() -> IntegrityError:
    return IntegrityError(
        "consent_ledger_behind",
        "the consent ledger and the audit log disagree on what was recorded",
        hint="run genovault doctor",
    )
