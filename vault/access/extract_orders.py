"""Orders: extracts that somebody asked a server for, kept in the books until a week after they were, so that no end of a process loses one.

    waiting   to be made, under the id that whoever asked was given
    again     its making was cut short, and it waits under a new id: the release of the old one was stopped, and stays so in the log
    done      there is a release
    refused, failed

A row opens nothing and decides nothing: whoever makes an extract of it asks the gate anew, in the name of a person whose token has to stand.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select

from vault.crypto.keystore import Role
from vault.errors import IntegrityError, UsageError
from vault.extracts.genotype_files import FileChoice
from vault.session.on_behalf import OnBehalf
from vault.session.row_faults import row_faults
from vault.session.sealed_records import SealedRecord
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.storage.service_tables import ExtractOrderRow
from vault.storage.timestamps import from_micros, to_micros

WAITING, AGAIN, DONE, REFUSED, FAILED = "waiting", "again", "done", "refused", "failed"
SEALED = SealedRecord("extract_order")


@dataclass(frozen=True)
class ExtractOrder:
    """Extract of one person's request, by the id of its release. ``tokens``: accessors of all by which it was asked for; ``spool``: folder that it is made
    in; ``tries``: how often its making was begun; ``then``: id under which it goes on, of one in the state ``again``.
    """

    release_id: str
    request_id: str
    person: OnBehalf
    chosen: FileChoice
    recipients: tuple[str, ...]
    tokens: frozenset[str]
    spool: str
    created: datetime
    state: str = WAITING
    tries: int = 0
    then: str = ""

    def is_same(self, other: ExtractOrder) -> bool:
        """True if both ask for the same files."""
        mine, theirs = ((one.request_id, one.person, one.chosen, one.recipients, one.spool) for one in (self, other))
        return mine == theirs


def keep(vault: UnlockedVault, tx: Transaction, order: ExtractOrder) -> None:
    """Write an order, or what became of it."""
    content = {
        "request": order.request_id,
        "person": [order.person.principal, order.person.role.value, order.person.authn],
        "chosen": asdict(order.chosen),
        "recipients": list(order.recipients),
        "tokens": sorted(order.tokens),
        "spool": order.spool,
        "state": order.state,
        "tries": order.tries,
        "then": order.then,
    }
    created = to_micros(order.created)
    sealed = SEALED.seal(vault.records, order.release_id, content, standing=created)
    tx.merge(ExtractOrderRow(release_id=order.release_id, created=created, sealed=sealed))
    tx.flush()


def find(vault: UnlockedVault, tx: Transaction, release_id: str) -> ExtractOrder | None:
    """The order of a release's id, if there is any. Raises IntegrityError ``extract_order_altered``, ``seal_broken``."""
    row = tx.get(ExtractOrderRow, release_id)
    return None if row is None else _opened(vault, row)


def of_spool(vault: UnlockedVault, tx: Transaction, spool: str) -> list[ExtractOrder]:
    """Orders of one spool, the oldest first. Raises as ``find``."""
    rows = tx.scalars(select(ExtractOrderRow).order_by(ExtractOrderRow.created, ExtractOrderRow.release_id))
    return [order for row in rows if (order := _opened(vault, row)).spool == spool]


def begin_again(vault: UnlockedVault, tx: Transaction, order: ExtractOrder, release_id: str) -> ExtractOrder:
    """Put an order whose making was cut short in its place again, under a new id."""
    keep(vault, tx, replace(order, state=AGAIN, then=release_id))
    follows = replace(order, release_id=release_id, state=WAITING)
    keep(vault, tx, follows)
    return follows


def forget(tx: Transaction, before: datetime) -> None:
    """Remove the orders that were made before some time."""
    tx.execute(delete(ExtractOrderRow).where(ExtractOrderRow.created < to_micros(before)))


def faults(vault: UnlockedVault) -> list[str]:
    """Orders that are not as they were written, a line each."""
    return row_faults(
        vault,
        ExtractOrderRow,
        lambda _, row: _opened(vault, row),
        lambda row, _: f"the order of release {row.release_id} is not as it was written",
    )


def _opened(vault: UnlockedVault, row: ExtractOrderRow) -> ExtractOrder:
    said: dict[str, Any] = SEALED.open(vault.records, row.release_id, row.sealed, standing=row.created)
    try:
        principal, role, authn = said["person"]
        return ExtractOrder(
            release_id=row.release_id,
            request_id=said["request"],
            person=OnBehalf(principal, Role(role), authn),
            chosen=FileChoice(**said["chosen"]),
            recipients=tuple(said["recipients"]),
            tokens=frozenset(said["tokens"]),
            spool=said["spool"],
            created=from_micros(row.created),
            state=said["state"],
            tries=said["tries"],
            then=said["then"],
        )
    except (KeyError, TypeError, ValueError, UsageError):
        raise IntegrityError("extract_order_altered", "the order of an extract is not as it was written") from None
