"""Opening for work: objects and keys of imports that never ended go when their lease is over, and not before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from tests.support import vaults
from tests.support.vaults import FACTOR, opened, sql
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import Role
from vault.errors import UnavailableError
from vault.genotypes import import_job
from vault.genotypes.catalog import datasets
from vault.operations import doctor, recovery
from vault.operations.recovery import open_recovered
from vault.storage.book_tables import LeaseRow
from vault.storage.timestamps import to_micros


def orphans(s, *, expires):
    """What a killed import leaves: objects, their keys, a lease."""
    prefix = s.random(16)
    for number in range(3):
        s.objects.put(f"{prefix.hex()}/{number:032x}.blocks", b"sealed")
    s.keys.create(KeyPurpose.SITE_TABLE, [prefix])
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
        prefix = orphans(s, expires=s.clock() + import_job.LEASE)
    later = open_recovered(
        folder, factor=FACTOR, principal="ann", clock=lambda: datetime.now(UTC) + import_job.LEASE + timedelta(minutes=1)
    )
    later.abandon()
    assert left(folder, prefix) == (0, 0)


def test_who_lacks_the_keys_leaves_it_to_others(folder):
    factors = {role: vaults.add_role(folder, role) for role in (Role.AUDITOR, Role.CUSTODIAN, Role.ENGINE)}
    with opened(folder) as s:
        prefix = orphans(s, expires=datetime.now(UTC) - timedelta(days=1))
    for role in (Role.AUDITOR, Role.CUSTODIAN):
        open_recovered(folder, factor=factors[role], principal=role.value).abandon()
        assert left(folder, prefix) == (3, 1)
    factor = factors[Role.ENGINE]
    open_recovered(folder, factor=factor, principal="engine").abandon()
    assert left(folder, prefix) == (0, 0)


def test_what_was_made_under_a_lease_that_was_swept_is_never_named(folder, tmp_path, monkeypatch):
    """A clock that jumps forward in another process makes a running import look given up."""
    file = tmp_path / "new.vcf"
    file.write_bytes(vaults.vcf("N1 N2", "22 100 A G 0|1 1|1").data)
    write = import_job._write

    def swept(session, *args):
        made = write(session, *args)
        with session.books.write() as tx:
            tx.execute(update(LeaseRow).values(expires=1))
        assert recovery.sweep(session) == 1
        return made

    def bring():
        import_job.import_files(s, [file], name="new", assembly="GRCh38", options=import_job.ImportOptions(unknown="register"))

    with opened(folder) as s:
        with monkeypatch.context() as patch:
            patch.setattr(import_job, "_write", swept)
            with pytest.raises(UnavailableError) as caught:
                bring()
        assert caught.value.code == "lease_over"
        assert [d.name for d in datasets.list_all(s)] == ["cohort"]
        bring()
        assert [f for f in doctor.examine(s).findings if f.severity is not doctor.Severity.NOTE] == []
