"""Backups hold what they should and no key; restore believes nothing that it has not compared."""

from __future__ import annotations

import json
import shutil
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.support import vaults
from vault import gate
from vault.errors import GenovaultError, IntegrityError
from vault.operations import backup, doctor, key_backups, key_rotation, log_anchors
from vault.operations.erasure import process
from vault.operations.restore import Restored, restore
from vault.storage.key_tables import WrappedKeyRow


@pytest.fixture
def vault(tmp_path) -> Path:
    return vaults.copy(tmp_path, whole=False)


def lose_data(vault: Path) -> None:
    for path in vault.glob("books.db*"):
        path.unlink()
    shutil.rmtree(vault / "objects")


def bring_back(source: Path, vault: Path, **options: object) -> Restored:
    return restore(source, vault, factor=vaults.FACTOR, principal="ann", **options)


def code_of(source: Path, vault: Path, **options: object) -> str:
    with pytest.raises(GenovaultError) as caught:
        bring_back(source, vault, **options)
    return caught.value.code


def test_a_backup_of_data_holds_no_key_and_opens_nothing(vault, tmp_path):
    with vaults.opened(vault) as s:
        with s._key_database.read() as tx:
            wraps = list(tx.scalars(select(WrappedKeyRow.wrapped)))
        made = backup.backup(s, tmp_path / "b")
    assert made.objects > 0
    data = b"".join(path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file())
    assert wraps
    assert not any(wrap in data for wrap in wraps)
    assert b"keystore/1" not in data
    assert not any(path.name.startswith("key") for path in (tmp_path / "b").rglob("*"))
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "b").rglob("*"))


def test_a_backup_made_while_others_write_is_one_moment(vault, tmp_path):
    stop = threading.Event()

    def work() -> None:
        with vaults.opened(vault) as other:
            while not stop.is_set():
                gate.view(other, project="demo", dataset="cohort")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        with vaults.opened(vault) as s:
            for at in range(3):
                backup.backup(s, tmp_path / f"b{at}")
    finally:
        stop.set()
        worker.join()
    lose_data(vault)
    assert bring_back(tmp_path / "b2", vault).entries > 0
    with vaults.opened(vault) as s:
        assert doctor.examine(s).ok


def test_a_restored_vault_works_and_says_what_vouched_for_it(vault, tmp_path):
    with vaults.opened(vault) as s:
        before = gate.view(s, project="demo", dataset="cohort", panel="pgx")
        backup.backup(s, tmp_path / "b")
    lose_data(vault)
    report = bring_back(tmp_path / "b", vault)
    assert (report.newest_keys, report.anchored, report.erased_again, report.unreadable) == (True, False, 0, 0)
    with vaults.opened(vault) as s:
        after = gate.view(s, project="demo", dataset="cohort", panel="pgx")
        assert set(after.pseudonyms) == set(before.pseudonyms)
        assert vaults.verified(s).ok
    assert not list(vault.parent.glob(".*.restore"))


def test_keys_and_data_from_backups_want_an_anchor(vault, tmp_path):
    (tmp_path / "anchor").mkdir()
    with vaults.opened(vault) as s:
        log_anchors.add(s, tmp_path / "anchor")
        backup.backup_keys(s, tmp_path / "k", expires=s.clock() + timedelta(days=7))
        backup.backup(s, tmp_path / "b")
        s.books.close()  # as if the machine burnt down right then: nothing more was signed
        s._key_database.close()
        s.close = lambda: None
    new = tmp_path / "new"
    assert code_of(tmp_path / "b", new, keys=tmp_path / "k") == "restore_unproven"
    assert code_of(tmp_path / "b", new) == "keys_needed"
    (tmp_path / "other").mkdir()
    assert code_of(tmp_path / "b", new, keys=tmp_path / "k", anchors=[tmp_path / "other"]) == "anchor_unreachable"
    report = bring_back(tmp_path / "b", new, keys=tmp_path / "k", anchors=[tmp_path / "anchor"])
    assert (report.newest_keys, report.anchored) == (False, True)
    with vaults.opened(new) as s:
        assert gate.view(s, project="demo", dataset="cohort").genotypes.size
        assert doctor.examine(s).ok


def test_a_log_behind_its_anchor_is_not_continued(vault, tmp_path):
    (tmp_path / "anchor").mkdir()
    with vaults.opened(vault) as s:
        log_anchors.add(s, tmp_path / "anchor")
        backup.backup_keys(s, tmp_path / "k", expires=s.clock() + timedelta(days=7))
        backup.backup(s, tmp_path / "b")
        process.erase(s, "S03")
    new = tmp_path / "new"
    anchors = {"anchors": [tmp_path / "anchor"]}
    assert code_of(tmp_path / "b", new, keys=tmp_path / "k", **anchors) == "log_behind_anchor"
    assert code_of(tmp_path / "b", new, keys=tmp_path / "k", new_log=True, **anchors) == "log_behind_anchor"
    with pytest.raises(IntegrityError, match="copy of the anchor"):
        bring_back(tmp_path / "b", new, keys=tmp_path / "k", **anchors)
    lose_data(vault)
    with pytest.raises(IntegrityError, match="--new-log") as caught:
        bring_back(tmp_path / "b", vault)
    assert caught.value.code == "log_behind_anchor"
    report = bring_back(tmp_path / "b", vault, new_log=True)
    assert (report.newest_keys, report.anchored, report.new_log, report.erased_again) == (True, False, True, 1)
    with vaults.opened(vault) as s:
        assert s.trail.origin.endswith("/log2")
        with pytest.raises(GenovaultError):
            process.erase(s, "S03")


def test_keys_that_are_older_than_the_books_are_refused(vault, tmp_path):
    (tmp_path / "anchor").mkdir()
    with vaults.opened(vault) as s:
        backup.backup_keys(s, tmp_path / "k", expires=s.clock() + timedelta(days=7))
        vaults.bring(s, vaults.tiny(), "later", unknown="register", namespace="new")
        log_anchors.add(s, tmp_path / "anchor")
        backup.backup(s, tmp_path / "b")
        s.close = lambda: None
        s.abandon()
    code = code_of(tmp_path / "b", tmp_path / "new", keys=tmp_path / "k", anchors=[tmp_path / "anchor"])
    assert code == "keys_behind"


def test_an_old_keystore_put_back_is_refused_at_unlock(vault):
    old = {name: (vault / name).read_bytes() for name in ("keystore.a", "keystore.b")}
    with vaults.opened(vault) as s:
        key_rotation.rotate(s)
    for name, data in old.items():
        (vault / name).write_bytes(data)
    with pytest.raises(GenovaultError) as caught, vaults.opened(vault):
        pass
    assert caught.value.code == "keystore_behind"


@pytest.mark.parametrize("what", ["books.db", "object", "missing", "about"])
def test_an_altered_backup_is_refused_and_nothing_is_left(vault, tmp_path, what):
    with vaults.opened(vault) as s:
        backup.backup(s, tmp_path / "b")
    victim = next(path for path in (tmp_path / "b" / "objects").rglob("*") if path.is_file())
    if what == "missing":
        victim.unlink()
    elif what == "about":
        about = json.loads((tmp_path / "b" / "backup.json").read_text())
        about["vault"] = "00" * 16
        (tmp_path / "b" / "backup.json").write_text(json.dumps(about))
    else:
        path = victim if what == "object" else tmp_path / "b" / "books.db"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    lose_data(vault)
    expected = {"books.db": "backup_altered", "object": "object_altered", "missing": "object_missing", "about": "other_vault"}
    assert code_of(tmp_path / "b", vault) == expected[what]
    assert not (vault / "books.db").exists()
    assert not list(vault.parent.glob(".*.restore"))


def test_restore_overwrites_nothing(vault, tmp_path):
    with vaults.opened(vault) as s:
        backup.backup(s, tmp_path / "b")
        backup.backup_keys(s, tmp_path / "k", expires=s.clock() + timedelta(days=7))
    assert code_of(tmp_path / "b", vault) == "vault_present"
    lose_data(vault)
    assert code_of(tmp_path / "b", vault, keys=tmp_path / "k") == "keys_present"
    assert code_of(tmp_path / "k", vault) == "no_backup"
    assert code_of(tmp_path, vault) == "no_backup"


def test_a_backup_goes_where_nothing_is_and_not_into_the_vault(vault, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with vaults.opened(vault) as s:
        for place, code in ((tmp_path / "full", "output_not_empty"), (vault / "b", "backup_inside")):
            with pytest.raises(GenovaultError) as caught:
                backup.backup(s, place)
            assert caught.value.code == code
        with pytest.raises(GenovaultError) as caught:
            backup.backup_keys(s, tmp_path / "k", expires=s.clock() - timedelta(days=1))
        assert caught.value.code == "expiry_past"
        assert key_backups.list_all(s.books) == []
