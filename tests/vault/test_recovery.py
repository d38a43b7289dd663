"""Opening for work: objects and keys of imports that never ended go when their lease is over, and not before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from tests.support import vaults
from tests.support.vaults import FACTOR, opened, sql
from vault import imports, recovery
from vault.crypto.custody import KeyPurpose
from vault.crypto.keystore import Role
from vault.recovery import open_recovered
from vault.storage.books import LeaseRow
from vault.times import to_micros


def orphans(s, *, expires):
    """What a killed import leaves: objects, their keys, a lease."""
    prefix = s.random(16)
    for number in range(3):
        s.objects.put(f"{prefix.hex()}/{number:032x}.blocks", b"sealed")
    s.keybook.create(KeyPurpose.SITE_TABLE, [prefix])
    with s.books.write() as tx:
        tx.add(LeaseRow(prefix=prefix.hex(), expires=to_micros(expires)))
    return prefix


def left(folder, prefix):
    keys = sql(folder / "keys.db", ("SELECT count(*) FROM wrapped_key WHERE owner = ?", (prefix,)))[0][0]
    return len(list((folder / "objects").rglob(f"{prefix.hex()}/*"))), keys


@pytest.mark.parametrize(("age", "kept"), [(timedelta(seconds=-1), (0, 0)), (timedelta(hours=1), (3, 1))])
def test_only_what_has_run_out_is_swept(folder, age, kept):
    with opened(folder) as s:
        before = sorted(s.objects.list())
        prefix = orphans(s, expires=datetime.now(UTC) + age)
    with opened(folder) as s:
        assert left(folder, prefix) == kept
        assert [one for one in sorted(s.objects.list()) if not one[0].startswith(prefix.hex())] == before
        with s.books.read() as tx:
            assert len(tx.scalars(select(LeaseRow.prefix)).all()) == (1 if kept[0] else 0)
        vaults.read_all(s)


def test_sweeping_again_finds_nothing(folder):
    with opened(folder) as s:
        orphans(s, expires=datetime.now(UTC) - timedelta(days=1))
        assert recovery.sweep(s) == 1
        assert recovery.sweep(s) == 0


def test_a_lease_outlives_any_import_but_ends(folder):
    with opened(folder) as s:
        prefix = orphans(s, expires=s.clock() + imports.LEASE)
    later = open_recovered(
        folder, factor=FACTOR, principal="ann", clock=lambda: datetime.now(UTC) + imports.LEASE + timedelta(minutes=1)
    )
    later.abandon()
    assert left(folder, prefix) == (0, 0)


def test_who_lacks_the_keys_leaves_it_to_others(folder):
    with opened(folder) as s:
        prefix = orphans(s, expires=datetime.now(UTC) - timedelta(days=1))
    for role in (Role.AUDITOR, Role.CUSTODIAN):
        factor = vaults.add_role(folder, role)
        open_recovered(folder, factor=factor, principal=role.value).abandon()
        assert left(folder, prefix) == (3, 1)
    factor = vaults.add_role(folder, Role.ENGINE)
    open_recovered(folder, factor=factor, principal="engine").abandon()
    assert left(folder, prefix) == (0, 0)
