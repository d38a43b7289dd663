"""A restore is tried beside the vault in use: neither disturbs the other, and no part of one passes in the other."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support import vaults
from tests.support.vaults import opened
from vault import gate
from vault.consent import recording
from vault.errors import GenovaultError
from vault.operations import backup, doctor, log_anchors, recovery, repair
from vault.operations.erasure import process
from vault.operations.restore import restore
from vault.session import object_leases


@pytest.fixture
def production(tmp_path) -> Path:
    """A vault with an anchor, backups of data and keys, and an import at work."""
    folder = vaults.copy(tmp_path, whole=False)
    (tmp_path / "anchor").mkdir()
    with opened(folder) as s:
        log_anchors.add(s, tmp_path / "anchor")
        backup.backup_keys(s, tmp_path / "k", expires=s.clock() + timedelta(days=7))
        backup.backup(s, tmp_path / "b")
    return folder


def drill(production, **options):
    folder = production.parent / "drill"
    return folder, restore(
        production.parent / "b",
        folder,
        factor=vaults.FACTOR,
        principal="ann",
        keys=production.parent / "k",
        anchors=[production.parent / "anchor"],
        **options,
    )


def released(folder: Path) -> int:
    with opened(folder) as s:
        return len(gate.view(s, project="demo", dataset="cohort").pseudonyms)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def code(folder: Path) -> str:
    with pytest.raises(GenovaultError) as caught, opened(folder):
        pass
    return caught.value.code


def test_a_drill_disturbs_nothing(production):
    anchor = files(production.parent / "anchor")
    copy, report = drill(production)
    assert (report.copy, report.new_log, report.anchored) == (True, True, True)
    assert files(production.parent / "anchor") == anchor
    with opened(copy) as s:
        process.erase(s, "S03")
        repair.sweep_orphaned_objects(s)
        repair.sweep_orphaned_keys(s)
        recovery.sweep(s)
    assert (released(copy), released(production)) == (9, 10)
    assert files(production.parent / "anchor").items() >= anchor.items()
    with opened(production) as s:
        recording.withdraw(s, "S04")
        recording.withdraw(s, "S05")
        repair.sweep_orphaned_objects(s)
    assert (released(copy), released(production)) == (9, 8)
    for folder in (copy, production):
        with opened(folder) as s:
            assert doctor.examine(s).ok
            assert vaults.verified(s).ok


def test_its_log_says_where_it_comes_from_and_may_go_to_the_same_anchor(production):
    copy, _ = drill(production)
    with opened(production) as s:
        mine = s.trail.origin
    with opened(copy) as s:
        old, new = s.trail.log.parts()
        assert (old.origin, new.origin) == (mine, s.trail.origin)
        assert new.origin.rpartition("/")[0] != mine.rpartition("/")[0]
        log_anchors.add(s, production.parent / "anchor")
    assert (released(copy), released(production)) == (10, 10)


@pytest.mark.parametrize("names", [("books.db",), ("keys.db",), ("books.db", "keys.db"), ("keystore.",)])
@pytest.mark.parametrize("into", ["production", "drill"])
def test_no_part_of_one_passes_in_the_other(production, names, into):
    copy, _ = drill(production)
    source, target = (copy, production) if into == "production" else (production, copy)
    for name in names:
        for path in target.glob(f"{name}*"):
            path.unlink()
        for path in source.glob(f"{name}*"):
            shutil.copy(path, target / path.name)
    assert code(target) in {"other_incarnation", "keystore_behind", "keys_behind", "books_behind"}


def test_what_production_was_importing_is_not_the_drills_to_sweep(production):
    with (
        opened(production) as s,
        object_leases.acquire(s, bytes(16), lasting=timedelta(days=2), keys=object_leases.KeyPurpose.SITE_TABLE),
    ):
        backup.backup(s, production.parent / "later")
    with opened(production) as s:
        backup.backup_keys(s, production.parent / "later-k", expires=s.clock() + timedelta(days=7))
    shutil.rmtree(production.parent / "b")
    (production.parent / "later").rename(production.parent / "b")
    with pytest.raises(GenovaultError) as caught:  # the backup of the keys came after it
        drill(production)
    assert caught.value.code == "log_behind_anchor"


def test_a_lost_original_is_taken_over(production):
    copy, report = drill(production, take_over=True)
    assert (report.copy, report.new_log) == (False, True)
    with opened(copy) as s:
        assert s.trail.origin.endswith("/log2")
        assert [anchor.folder for anchor in s.trail.anchors] == [production.parent / "anchor"]
    assert released(copy) == 10
    assert code(production) == "log_continued_elsewhere"


def test_beside_the_newest_keys_the_books_that_were_lost_do_not_come_back(production):
    lost = production.parent / "lost"
    lost.mkdir()
    with opened(production) as s:
        recording.withdraw(s, "S03")
    for path in production.glob("books.db*"):
        shutil.move(path, lost / path.name)
    shutil.rmtree(production / "objects")
    report = restore(production.parent / "b", production, factor=vaults.FACTOR, new_log=True)
    assert (report.newest_keys, report.new_log, report.copy) == (True, True, False)
    assert released(production) == 10  # the withdrawal is lost with the books, and the log says from where
    for path in lost.glob("books.db*"):
        shutil.copy(path, production / path.name)
    assert code(production) in {"other_incarnation", "log_continued_elsewhere"}


def test_without_an_anchor_the_keys_know_that_the_backup_is_behind(tmp_path):
    folder = vaults.copy(tmp_path, whole=False)
    with opened(folder) as s:
        backup.backup(s, tmp_path / "b")
        recording.withdraw(s, "S03")
    for path in folder.glob("books.db*"):
        path.unlink()
    shutil.rmtree(folder / "objects")
    assert restore(tmp_path / "b", folder, factor=vaults.FACTOR).new_log
    with opened(folder) as s:
        assert s.trail.origin.endswith("/log2")
        assert vaults.verified(s).ok
