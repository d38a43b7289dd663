"""A machine is lost: data and keys that were backed up together are one set, and a gap takes two people and is told."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support import vaults
from tests.support.vaults import opened
from vault.access import projects
from vault.audit.entry import decode_leaf
from vault.consent import recording
from vault.crypto import keystore
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.crypto.secret import Secret
from vault.errors import GenovaultError
from vault.ids import utc_now
from vault.operations import backup, doctor, log_anchors
from vault.operations.restore import Restored, restore
from vault.operations.restore_gap import Gap, SecondPerson

OTHER = PassphraseFactor(Secret(b"another long passphrase"))


def save(folder: Path, *kinds: str) -> None:
    """Backups of data and keys, one after the other."""
    with opened(folder) as s:
        for kind in kinds:
            if kind == "keys":
                backup.backup_keys(s, folder.parent / "k", expires=s.clock() + timedelta(days=7))
            else:
                backup.backup(s, folder.parent / "b")


@pytest.fixture
def production(tmp_path) -> Path:
    folder = vaults.copy(tmp_path, whole=False)
    (tmp_path / "anchor").mkdir()
    with opened(folder) as s:
        log_anchors.add(s, tmp_path / "anchor")
    return folder


def lose(folder: Path) -> None:
    shutil.rmtree(folder)


def back(folder: Path, *, anchored: bool = True, **options: object) -> Restored:
    anchors = [folder.parent / "anchor"] if anchored else []
    return restore(
        folder.parent / "b", folder, factor=vaults.FACTOR, principal="ann", keys=folder.parent / "k", anchors=anchors, **options
    )


def code_of(folder: Path, **options: object) -> str:
    with pytest.raises(GenovaultError) as caught:
        back(folder, **options)
    assert not (folder / "books.db").exists()
    return caught.value.code


def add_steward(folder: Path) -> None:
    unlocked = keystore.load(folder).unlock(vaults.FACTOR, principal="ann")
    options = {"role": Role.STEWARD, "factor": OTHER, "profile": Argon2Profile.TEST_ONLY, "random": vaults.os.urandom}
    keystore.add_slot(unlocked, principal="bea", **options)
    with opened(folder):
        pass


@pytest.mark.parametrize("kinds", [("data", "keys"), ("keys", "data")])
def test_backups_made_one_after_the_other_are_one_set_in_either_order(production, kinds):
    save(production, *kinds)
    lose(production)
    report = back(production, take_over=True)
    assert (report.anchored, report.missing_entries, report.since) == (True, 0, "")
    with opened(production) as s:
        assert doctor.examine(s).ok


def test_what_happened_between_the_two_is_no_entry_of_theirs(production):
    save(production, "data")
    with opened(production) as s:
        recording.withdraw(s, "S03")
    save(production, "keys")
    lose(production)
    assert code_of(production, take_over=True) == "log_behind_anchor"


def test_a_tail_that_was_made_up_accounts_for_nothing(production):
    save(production, "data")
    with opened(production) as s:
        recording.withdraw(s, "S03")
    save(production, "keys")
    about = production.parent / "k" / "backup.json"
    with opened(production) as s:
        size = s.trail.log.size()
    assert f'"size": {size - 2}' in about.read_text()
    about.write_text(about.read_text().replace(f'"size": {size - 2}', f'"size": {size - 3}'))
    lose(production)
    assert code_of(production, take_over=True) == "log_behind_anchor"


def test_without_a_proof_two_stewards_take_the_gap_and_it_is_told(production):
    add_steward(production)
    save(production, "data", "keys")
    with opened(production) as s:
        recording.withdraw(s, "S03")
    lose(production)
    for anchored, code in ((False, "restore_unproven"), (True, "log_behind_anchor")):
        assert code_of(production, anchored=anchored) == code
    assert code_of(production, gap=Gap("")) == "reason_missing"
    assert code_of(production, gap=Gap("flood")) == "second_needed"
    for second in (SecondPerson("ann", vaults.FACTOR), SecondPerson("bea", vaults.FACTOR), SecondPerson("nobody", OTHER)):
        assert code_of(production, gap=Gap("flood", second)) == "second_refused"
    report = back(production, take_over=True, gap=Gap("flood", SecondPerson("bea", OTHER)))
    assert (report.anchored, report.suspended) == (False, ("demo",))
    assert report.missing_entries > 0
    assert report.since
    with opened(production) as s:
        leaf = next(leaf for leaf in map(_leaf, s.trail.log.entries()) if leaf["act"] == "backup.restore")
        assert leaf["flags"] == ["gap"]
        assert projects.load(s, "demo").state == projects.SUSPENDED
        assert doctor.examine(s).ok


def test_beside_the_newest_keys_there_is_no_gap_to_take(production):
    save(production, "data")
    (production / "books.db").unlink()
    shutil.rmtree(production / "objects")
    with pytest.raises(GenovaultError) as caught:
        restore(production.parent / "b", production, factor=vaults.FACTOR, principal="ann", gap=Gap("flood"))
    assert caught.value.code == "keys_present"


def test_one_steward_alone_waits_three_days(production):
    save(production, "data", "keys")
    lose(production)
    now = utc_now()
    gap = Gap("flood")
    assert code_of(production, anchored=False, gap=gap, clock=lambda: now) == "wait"
    assert code_of(production, anchored=False, gap=gap, clock=lambda: now + timedelta(hours=71)) == "wait"
    (note,) = production.parent.glob(".*.restore-asked")
    text = note.read_text()
    note.write_text(text.replace('"asked": 1', '"asked": 0'))  # dated back: the signature does not fit, and the wait begins again
    assert code_of(production, anchored=False, gap=gap, clock=lambda: now + timedelta(hours=73)) == "wait"
    report = back(production, anchored=False, gap=gap, clock=lambda: now + timedelta(hours=146))
    assert report.since
    assert not list(production.parent.glob(".*.restore-asked"))


def _leaf(entry):
    return decode_leaf(entry.leaf)
