"""Re-wrapping of stored keys under the newest epoch of their branch; the keys themselves do not change."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Table, bindparam, select, update

from vault.crypto.key_wrapping import PURPOSE_BRANCH, KeyPurpose, unwrap_many, wrap_many
from vault.ids import RandomBytes
from vault.session.wrapped_keys import WrappedKeys
from vault.storage.key_tables import WrappedKeyRow


def rewrap(keys: WrappedKeys, purpose: KeyPurpose, *, limit: int, random: RandomBytes) -> int:
    """Wrap up to ``limit`` keys of a purpose anew under the newest epoch and return their number; 0: none is left.

    Raises:
        UnavailableError: ``branch_closed``; ``key_worn``; ``epoch_gone``. IntegrityError: ``seal_broken``.
    """
    epoch = keys.current_epoch(purpose)
    table = cast("Table", WrappedKeyRow.__table__)
    with keys.database.write() as tx:
        query = select(table).where(table.c.purpose == purpose.value, table.c.epoch != epoch)
        rows = tx.execute(query.limit(limit)).mappings().all()
        if not rows:
            return 0
        keys.epochs.count(tx, PURPOSE_BRANCH[purpose], epoch, len(rows))
        for old in {row["epoch"] for row in rows}:
            mine = [row for row in rows if row["epoch"] == old]
            key_ids, owners = [row["key_id"] for row in mine], [row["owner"] for row in mine]
            opened = unwrap_many(*keys.wrapping(purpose, old), key_ids, owners, [row["wrapped"] for row in mine])
            wrapped = wrap_many(*keys.wrapping(purpose, epoch), key_ids, owners, opened, random=random)
            change = (
                update(table)
                .where(
                    table.c.purpose == purpose.value,
                    table.c.owner == bindparam("at_owner"),
                    table.c.version == bindparam("at_version"),
                )
                .values(epoch=epoch, wrapped=bindparam("seal"))
            )
            pairs = zip(mine, wrapped, strict=True)
            tx.connection().execute(
                change, [{"at_owner": row["owner"], "at_version": row["version"], "seal": seal} for row, seal in pairs]
            )
    return len(rows)
