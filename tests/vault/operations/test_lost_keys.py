"""The key database is lost and the books are not: they are looked at and copied, and a backup of the keys brings back what it can open."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support import vaults
from tests.support.shell import Shell
from tests.support.vaults import opened
from tests.vault.operations.test_restore_gap import OTHER, add_steward
from vault import gate
from vault.access import projects
from vault.consent import recording
from vault.errors import GenovaultError, IntegrityError, UnavailableError
from vault.operations import backup, doctor, log_anchors, lost_keys
from vault.operations.restore import Restored, restore
from vault.operations.restore_gap import Gap, SecondPerson
from vault.session.unlocked_vault import open_vault


@pytest.fixture
def production(tmp_path) -> Path:
    """A vault with an anchor and a backup of its keys."""
    folder = vaults.copy(tmp_path, whole=False)
    (tmp_path / "anchor").mkdir()
    with opened(folder) as s:
        log_anchors.add(s, tmp_path / "anchor")
        backup.backup_keys(s, tmp_path / "k", expires=s.clock() + timedelta(days=7))
    return folder


def lose(folder: Path) -> None:
    """Take the key database away, and copy the data as a steward would."""
    for path in folder.glob("keys.db*"):
        path.unlink()
    with pytest.raises(UnavailableError) as caught:
        open_vault(folder, factor=vaults.FACTOR, principal="ann")
    assert lost_keys.is_lost(folder, caught.value)
    with lost_keys.opened(folder, factor=vaults.FACTOR, principal="ann") as s:
        with pytest.raises(GenovaultError):
            gate.view(s, project="demo", dataset="cohort")
        backup.backup(s, folder.parent / "rescued")
        s.close()


def back(folder: Path, **options: object) -> Restored:
    anchors = [folder.parent / "anchor"]
    return restore(
        folder.parent / "rescued",
        folder.parent / "new",
        factor=vaults.FACTOR,
        principal="ann",
        keys=folder.parent / "k",
        anchors=anchors,
        take_over=True,
        **options,
    )


def test_all_come_back_of_whom_the_backup_of_the_keys_knows(production):
    with opened(production) as s:
        recording.withdraw(s, "S03")
        before = set(gate.view(s, project="demo", dataset="cohort").pseudonyms)
    lose(production)
    report = back(production)
    assert (report.anchored, report.lost, report.erased_again, report.since) == (True, 0, 0, "")
    with opened(production.parent / "new") as s:
        assert set(gate.view(s, project="demo", dataset="cohort").pseudonyms) == before
        assert doctor.examine(s).ok


def test_who_came_since_is_given_up_by_two_stewards_only_and_counted(production):
    add_steward(production)
    shutil.rmtree(production.parent / "k")
    with opened(production) as s:
        backup.backup_keys(s, production.parent / "k", expires=s.clock() + timedelta(days=7))
        before = set(gate.view(s, project="demo", dataset="cohort").pseudonyms)
        vaults.bring(s, vaults.vcf("N1 N2", "22 1000 A G 0/1 0/1"), "later", unknown="register")
    lose(production)
    with pytest.raises(IntegrityError) as caught:
        back(production)
    assert (caught.value.code, "--accept-gap" in caught.value.hint) == ("keys_behind", True)
    with pytest.raises(GenovaultError) as caught:
        back(production, gap=Gap("disk"))
    assert caught.value.code == "second_needed"
    report = back(production, gap=Gap("disk", SecondPerson("bea", OTHER)))
    assert (report.lost, report.erased_again, report.suspended) == (2, 2, ("demo",))
    with opened(production.parent / "new", factor=OTHER, principal="bea") as s:
        projects.change(s, "demo", "approve")
        assert set(gate.view(s, project="demo", dataset="cohort").pseudonyms) == before
        assert doctor.examine(s).ok is (report.unreadable == 0)


def test_a_copy_that_lost_its_keys_leaves_the_anchor_of_the_original_alone(production, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(production, copy)
    with opened(production) as s:
        recording.withdraw(s, "S03")  # the anchor has seen more than the copy
    lose(copy)
    with opened(production) as s:  # and nothing of the copy's
        assert doctor.examine(s).ok
        recording.withdraw(s, "S04")


def test_doctor_verify_and_backup_work_and_say_the_way_back(production, tmp_path, monkeypatch):
    (tmp_path / "at").mkdir()
    shell = Shell(tmp_path / "at", monkeypatch)
    monkeypatch.setenv("GENOVAULT_HOME", str(production))
    monkeypatch.setenv("GENOVAULT_PASSPHRASE", vaults.PASSPHRASE)
    for path in production.glob("keys.db*"):
        path.unlink()
    examined = shell.try_("doctor --json")
    assert examined.code == 5
    assert [item["code"] for item in examined.json["findings"] if item["severity"] == "error"] == ["keys_lost"]
    verified = shell.try_("audit verify --json")
    assert (verified.code, verified.error) == (6, "keys_lost")
    assert "everything holds" in shell.try_("audit verify").out
    assert "only the data are copied" in shell.run("backup rescued").err
    (production / "books.db").unlink()
    examined = shell.try_("doctor --json")
    assert examined.code == 5
    assert {item["message"] for item in examined.json["findings"]} >= {"books.db is not there", "keys.db is not there"}
    monkeypatch.setenv("GENOVAULT_PASSPHRASE", "wrong one")
    assert shell.try_("doctor --json").code in (5, 6)
