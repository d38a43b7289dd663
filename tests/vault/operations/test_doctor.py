"""Each thing that can be wrong is found, with its severity and what mends it; a healthy vault has no errors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, insert

from tests.support import vaults
from vault.audit.actions import Action, Outcome
from vault.errors import UnavailableError
from vault.ids import SubjectId
from vault.operations import backup, doctor, repair
from vault.operations.doctor import Severity
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import LeaseRow
from vault.storage.key_tables import WrappedKeyRow
from vault.storage.timestamps import to_micros
from vault.subjects import sheet_import
from vault.subjects.registration import Registration
from vault.subjects.subject_sheet import read_subject_sheet


@pytest.fixture
def vault(tmp_path) -> Path:
    return vaults.copy(tmp_path, whole=False)


def an_object(vault: Path, kind: str) -> Path:
    return next((vault / "objects").rglob(f"*.{kind}"))


def lose_an_object(vault: Path, _s: UnlockedVault) -> None:
    an_object(vault, "sites").unlink()


def swap_two_objects(vault: Path, _s: UnlockedVault) -> None:
    path = an_object(vault, "blocks")
    path.write_bytes(bytes(len(path.read_bytes())))


def leave_an_orphan(vault: Path, _s: UnlockedVault) -> None:
    (vault / "objects" / "stray").write_bytes(b"x")


def open_a_file(vault: Path, _s: UnlockedVault) -> None:
    (vault / "vault.json").chmod(0o644)


def leave_a_restore(vault: Path, _s: UnlockedVault) -> None:
    (vault.parent / f".{vault.name}.00ff.restore").mkdir()


def lose_a_keystore_copy(vault: Path, _s: UnlockedVault) -> None:
    (vault / "keystore.a").write_bytes(b"{}")


def lose_table_keys(_vault: Path, s: UnlockedVault) -> None:
    with s._key_database.write() as tx:
        tx.execute(delete(WrappedKeyRow).where(WrappedKeyRow.purpose == "site-table"))


def lose_a_person_s_keys(_vault: Path, s: UnlockedVault) -> None:
    with s._key_database.write() as tx:
        tx.execute(delete(WrappedKeyRow).where(WrappedKeyRow.purpose == "identity"))


def edit_the_log(vault: Path, _s: UnlockedVault) -> None:
    vaults.sql(vault / "books.db", "UPDATE audit_leaf SET leaf = CAST(replace(leaf, 'ann', 'bob') AS BLOB) WHERE idx = 2")


def cut_the_log(vault: Path, _s: UnlockedVault) -> None:
    """The newest entry: nothing can be signed any more."""
    vaults.sql(vault / "books.db", "DELETE FROM audit_leaf WHERE idx = (SELECT max(idx) FROM audit_leaf)")


def edit_the_tree(vault: Path, s: UnlockedVault) -> None:
    """The root of a full tile: no entry differs, and nothing can be signed."""
    s.trail.log.record_many([s.trail.event(Action.SUBJECT_LIST, Outcome.DONE)] * 300)
    s.trail.checkpoint()
    s.trail.record(Action.SUBJECT_LIST, Outcome.DONE)
    vaults.sql(vault / "books.db", "UPDATE audit_tile SET root = zeroblob(32)")


def edit_the_head(vault: Path, _s: UnlockedVault) -> None:
    vaults.sql(vault / "books.db", "UPDATE audit_head SET size = size - 1")


def damage_the_books(vault: Path, s: UnlockedVault) -> None:
    """Pages of a table that is read neither to open the vault nor to log."""
    root = vaults.sql(vault / "books.db", "SELECT rootpage FROM sqlite_master WHERE name = 'consent_form'")[0][0]
    s.books.checkpoint_wal()
    with (vault / "books.db").open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(bytes(range(256)) * 16)
    s.books.close()


def break_a_reference(vault: Path, _s: UnlockedVault) -> None:
    vaults.sql(vault / "books.db", "PRAGMA foreign_keys = 0", "DELETE FROM subject WHERE rowid = 3")


def let_a_lease_run_out(_vault: Path, s: UnlockedVault) -> None:
    with s.books.write() as tx:
        tx.execute(insert(LeaseRow), [{"prefix": "00" * 16, "expires": 1}])


def let_a_key_backup_expire(vault: Path, s: UnlockedVault) -> None:
    now = s.clock()
    backup.backup_keys(s, vault.parent / "k", expires=now + timedelta(days=3))
    with s.books.write() as tx:
        past = to_micros(now - timedelta(days=1))
        tx.connection().exec_driver_sql(f"UPDATE key_backup SET expires = {past}")


def leave_people_without_a_book(_vault: Path, s: UnlockedVault) -> None:
    """What a killed import leaves once its lease is over."""
    s.subject_keys.store(s.subject_keys.draw([SubjectId(s.random(16)) for _ in range(3)]))


def let_an_import_run(_vault: Path, s: UnlockedVault) -> None:
    with s.books.write() as tx:
        tx.execute(insert(LeaseRow), [{"prefix": "11" * 16, "expires": to_micros(s.clock() + timedelta(days=1))}])


CASES: dict[str, tuple[Callable[[Path, UnlockedVault], None], str, Severity]] = {
    "a missing object": (lose_an_object, "object_missing", Severity.ERROR),
    "an altered object": (swap_two_objects, "object_altered", Severity.ERROR),
    "an orphan": (leave_an_orphan, "orphans", Severity.WARNING),
    "an exposed file": (open_a_file, "open_permissions", Severity.ERROR),
    "a left-over restore": (leave_a_restore, "left_over", Severity.WARNING),
    "a damaged keystore copy": (lose_a_keystore_copy, "keystore_copies", Severity.WARNING),
    "missing table keys": (lose_table_keys, "key_missing", Severity.ERROR),
    "people without keys": (lose_a_person_s_keys, "subject_keyless", Severity.ERROR),
    "an edited log": (edit_the_log, "log_broken", Severity.ERROR),
    "a log cut short": (cut_the_log, "log_broken", Severity.ERROR),
    "a log that takes no entry": (edit_the_head, "log_closed", Severity.ERROR),
    "a tree that is not the entries'": (edit_the_tree, "log_unsigned", Severity.ERROR),
    "damaged pages": (damage_the_books, "database_damaged", Severity.ERROR),
    "a dangling row": (break_a_reference, "database_damaged", Severity.ERROR),
    "orphaned keys": (leave_people_without_a_book, "keys_of_nobody", Severity.WARNING),
    "an import at work": (let_an_import_run, "being_written", Severity.NOTE),
    "an expired lease": (let_a_lease_run_out, "lease_expired", Severity.NOTE),
    "an expired key backup": (let_a_key_backup_expire, "key_backup_expired", Severity.WARNING),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_found(vault, name):
    work, code, severity = CASES[name]
    with vaults.opened(vault) as s:
        work(vault, s)
        report = doctor.examine(s)
        found = {finding.code: finding for finding in report.findings}
        assert code in found
        assert found[code].severity is severity
        assert found[code].remedy
        assert report.ok is (severity is not Severity.ERROR)
        s.close = lambda: None  # some of these vaults can sign no more
        s.abandon()


def test_a_healthy_vault_has_only_notes(vault):
    with vaults.opened(vault) as s:
        report = doctor.examine(s)
    assert {finding.severity for finding in report.findings} <= {Severity.NOTE}
    assert report.skipped == ()


def test_mending_takes_away_what_nothing_names(vault):
    leave_an_orphan(vault, None)
    lose_a_keystore_copy(vault, None)
    with vaults.opened(vault) as s:
        assert repair.sweep_orphaned_objects(s) == 1
        assert repair.mend_keystore(s.folder)
        assert not repair.mend_keystore(s.folder)
        assert not {"orphans", "keystore_copies"} & {finding.code for finding in doctor.examine(s).findings}


class TestOrphanedKeys:
    def held(self, s: UnlockedVault) -> set[SubjectId]:
        return s.subject_keys.list_all()

    def test_they_go_and_nobody_else_s_do(self, vault):
        with vaults.opened(vault) as s:
            before = self.held(s)
            leave_people_without_a_book(vault, s)
            assert repair.sweep_orphaned_keys(s) == 3
            assert self.held(s) == before
            assert repair.sweep_orphaned_keys(s) == 0
            vaults.read_all(s)

    def test_they_stay_while_an_import_is_at_work(self, vault):
        with vaults.opened(vault) as s:
            leave_people_without_a_book(vault, s)
            let_an_import_run(vault, s)
            assert repair.orphaned_keys(s) == []
            assert repair.sweep_orphaned_keys(s) == 0
            assert len(self.held(s)) == len(vaults.SAMPLES) + 3

    def test_they_stay_when_the_books_came_from_a_backup(self, vault):
        """The books that know these people may still be found."""
        with vaults.opened(vault) as s:
            s.trail.record(Action.BACKUP_RESTORE, Outcome.DONE)
            leave_people_without_a_book(vault, s)
            assert repair.sweep_orphaned_keys(s) == 0
            (finding,) = [f for f in doctor.examine(s).findings if f.code == "keys_of_nobody"]
            assert "keep" in finding.remedy

    def test_people_whose_new_keys_went_are_not_entered(self, vault, monkeypatch):
        """A sheet holds no lease: its import fails whole, and the sheet can be given again."""
        rows = read_subject_sheet(b"sample_id\nNEW1\nNEW2\n", today=vaults.TODAY)
        with vaults.opened(vault) as s:
            transaction = Registration.transaction

            @contextmanager
            def swept(new):
                new._wait()
                assert repair.sweep_orphaned_keys(s) == 2
                with transaction(new) as tx:
                    yield tx

            with monkeypatch.context() as patched:
                patched.setattr(Registration, "transaction", swept)
                with pytest.raises(UnavailableError) as caught:
                    sheet_import.import_sheet(s, rows)
            assert caught.value.code == "changed_meanwhile"
            assert sheet_import.import_sheet(s, rows).created == 2
            assert doctor.examine(s).ok
