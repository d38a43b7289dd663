"""Rotation: everything opens afterwards, old epochs go only when nothing needs them, a kill is mended, other sessions follow."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.support import vaults
from tests.support.crashing import killed_at, steps_survived
from tests.support.releases import pinned
from vault import gate
from vault.audit.live_source import LogSource
from vault.audit.verify import verify
from vault.consent.recording import withdraw
from vault.crypto.key_wrapping import PURPOSE_BRANCH, KeyPurpose
from vault.crypto.keystore import Branch, KeyFileFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.crypto.secret import Secret
from vault.errors import GenovaultError
from vault.extracts.verification import verify_release
from vault.limits import ALARM_KEK_WRAPS, MAX_KEK_WRAPS
from vault.operations import key_rotation
from vault.session import principals
from vault.storage.key_tables import BranchEpochRow, WrappedKeyRow
from vault.subjects import registry
from vault.subjects.references import resolve


@pytest.fixture
def vault(tmp_path) -> Path:
    return vaults.copy(tmp_path, whole=False)


def epochs_in_use(s) -> set[tuple[str, int]]:
    with s._key_database.read() as tx:
        rows = tx.execute(select(WrappedKeyRow.purpose, WrappedKeyRow.epoch).distinct())
        return {(PURPOSE_BRANCH[KeyPurpose(purpose)].value, epoch) for purpose, epoch in rows}


def works(s) -> None:
    assert gate.view(s, project="demo", dataset="cohort").genotypes.shape[1] == len(vaults.PERMITTED)
    assert registry.subject_show(s, "S04")[1].name == "Person 4"
    s.trail.checkpoint()
    assert verify(LogSource(s.trail.log, None), "\n".join(key.to_text() for key in s.trail.log_keys())).ok


def test_every_key_is_wrapped_anew_and_everything_opens(vault, monkeypatch):
    monkeypatch.setattr(key_rotation, "BATCH", 7)
    with vaults.opened(vault) as s:
        before = gate.view(s, project="demo", dataset="cohort").pseudonyms
        assert key_rotation.rotate(s) >= 4 * len(vaults.SAMPLES)
        assert epochs_in_use(s) == {("genotype", 2), ("identity", 2), ("pseudonym", 2)}
        for branch in key_rotation.BY_DEFAULT:
            key_rotation.destroy_epoch(s, branch, 1)
        works(s)
        assert set(gate.view(s, project="demo", dataset="cohort").pseudonyms) == set(before)
    with vaults.opened(vault) as s:
        works(s)


def test_a_release_from_before_the_log_changed_its_key_still_verifies(vault, tmp_path):
    with vaults.opened(vault) as s:
        gate.extract(s, vaults.ask(s), tmp_path / "out")
        old = s.trail.log_keys()[0]
        key_rotation.rotate(s, [Branch.LOG_SIGN])
        assert verify_release(tmp_path / "out", **pinned(s)).log_key == old
        with pytest.raises(GenovaultError):
            verify_release(tmp_path / "out", **pinned(s) | {"log_keys": s.trail.log_keys()[:1]})


def test_a_session_that_was_open_meanwhile_goes_on(vault):
    with vaults.opened(vault) as other, vaults.opened(vault) as s:
        key_rotation.rotate(s, [*Branch])
        works(other)
        sealed = other.records.seal("panel", b"x" * 16, b"content")
        assert s.records.open("panel", b"x" * 16, sealed) == b"content"


def test_an_epoch_that_is_about_to_go_takes_no_more_keys(vault):
    with vaults.opened(vault) as old, vaults.opened(vault) as s:
        key_rotation.rotate(s)
        key_rotation.destroy_epoch(s, Branch.GENOTYPE, 1)
        with pytest.raises(GenovaultError) as caught:
            old.keys.create(KeyPurpose.GENOTYPE, [b"n" * 16])
        assert caught.value.code == "epoch_closed"


@pytest.mark.parametrize(("number", "code"), [(1, "epoch_in_use"), (2, "epoch_current"), (7, "epoch_unknown")])
def test_epochs_that_must_stay_stay(vault, number, code):
    with vaults.opened(vault) as s:
        key_rotation.rotate(s, [Branch.BOOKS])
        with pytest.raises(GenovaultError) as caught:
            key_rotation.destroy_epoch(s, Branch.BOOKS, number)
        assert caught.value.code == code


def test_whatever_the_books_branch_seals_keeps_its_epoch():
    """A table that is forgotten would be unreadable for good once an epoch is destroyed."""
    page = (Path(__file__).parents[3] / "docs" / "formats" / "books.md").read_text()
    listed = re.findall(r"^\|[^|]*\| `(\w+)` \| books branch \|", page, re.MULTILINE)
    assert sorted(column.class_.__tablename__ for column in key_rotation.SEALED_IN_BOOKS) == sorted(listed)


def test_a_notice_and_a_holding_keep_their_epoch(vault):
    with vaults.opened(vault) as s:
        counted = []
        for act in (
            lambda: None,
            lambda: gate.view(s, project="demo", dataset="cohort", panel="pgx"),
            lambda: withdraw(s, "S03"),
        ):
            act()
            with s.books.read() as tx:
                counted.append(key_rotation.sealed_under(tx, 1))
        assert [later - first for first, later in pairwise(counted)] == [
            3,
            1,
        ]  # release, holding and what left to the organisation, then a notice


def test_the_log_s_keys_sign_their_handing_over(vault):
    with vaults.opened(vault) as s:
        old = s.trail.log_keys()[0]
        key_rotation.rotate(s, [Branch.LOG_SIGN])
        new = s.trail.log_keys()[0]
        assert old != new
        note = s.trail.log.latest_checkpoint()
        assert note.count("\n— ") == 2
        entry = s.trail.log.size() - 1
        works(s)
        source = LogSource(s.trail.log, None)
        assert verify(source, f"{old.to_text()}\n{new.to_text()}").ok
        assert s.trail.log.receipt(entry)
    with vaults.opened(vault) as s:
        works(s)


def test_details_sealed_before_and_after_a_rotation_of_audit_read_open(vault):
    with vaults.opened(vault) as s:
        last = s.trail.log.size() - 1
        before = [(at, s.trail.detail(at)) for at in range(last)]
        key_rotation.rotate(s, [Branch.AUDIT_READ])
        gate.view(s, project="demo", dataset="cohort")
        assert [(at, s.trail.detail(at)) for at in range(last)] == before
        assert any(s.trail.detail(at) for at in range(last, s.trail.log.size()))


def test_new_tokens_keep_the_old_until_they_are_destroyed(vault):
    with vaults.opened(vault) as s:
        subject = resolve(s, "S03")
        (old,) = s.subject_keys.all_tokens([subject])[subject]
        assert key_rotation.renew_tokens(s) == len(vaults.SAMPLES)
        assert s.subject_keys.all_tokens([subject])[subject][0] == old
        new = s.subject_keys.tokens([subject])[0]
        assert old.split(":")[1:2] == ["1"]
        assert new.split(":")[1:2] == ["2"]
        gate.view(s, project="demo", dataset="cohort")
        assert s.trail.log.entries_of(old)
        assert s.trail.log.entries_of(new)
        assert key_rotation.destroy_old_tokens(s) == len(vaults.SAMPLES)
        assert s.subject_keys.all_tokens([subject])[subject] == [new]
        works(s)


def test_a_project_s_new_key_gives_pseudonyms_that_do_not_link(vault):
    with vaults.opened(vault) as s:
        before = set(gate.view(s, project="demo", dataset="cohort").pseudonyms)
        assert key_rotation.renew_project(s, "demo") == 2
        assert not before & set(gate.view(s, project="demo", dataset="cohort").pseudonyms)


def test_root_and_branch_keys_are_renewed_for_those_who_are_there(vault):
    aud = KeyFileFactor(Secret(b"a" * 32))
    with vaults.opened(vault) as s:
        principals.add(s, "aud", Role.AUDITOR, aud)
        principals.add(s, "gone", Role.STEWARD, KeyFileFactor(Secret(b"g" * 32)), profile=Argon2Profile.TEST_ONLY)
        slots = {slot.principal: slot.slot_id for slot in principals.slots(s)}
        stolen = s.unlocked.payload  # what a removed steward kept
        dropped = key_rotation.renew_root(s, {slots["ann"]: vaults.FACTOR, slots["aud"]: aud})
        assert dropped == [slots["gone"]]
        works(s)
    with vaults.opened(vault, factor=aud, principal="aud") as s:
        assert s.keyring.has(Branch.AUDIT_READ)
        with pytest.raises(GenovaultError):
            s.unlocked.keystore._opened(s.unlocked.slot, stolen)


def test_a_mistyped_factor_renews_nothing(vault):
    with vaults.opened(vault) as s:
        seq = s.public.seq
        slot = principals.slots(s)[0].slot_id
        with pytest.raises(GenovaultError) as caught:
            key_rotation.renew_root(s, {slot: KeyFileFactor(Secret(b"x" * 32))})
        assert caught.value.code == "cannot_unlock"
        assert s.public.seq == seq


def test_counters_warn_and_stop_before_the_cipher_s_limit(vault):
    with vaults.opened(vault) as s:
        assert not any(epoch.worn for epoch in key_rotation.epochs(s))
        with s._key_database.write() as tx:
            tx.get_one(BranchEpochRow, ("genotype", 1)).wraps = ALARM_KEK_WRAPS
        assert [e.branch for e in key_rotation.epochs(s) if e.worn] == ["genotype"]
        with s._key_database.write() as tx:
            tx.get_one(BranchEpochRow, ("genotype", 1)).wraps = MAX_KEK_WRAPS
        with pytest.raises(GenovaultError) as caught:
            s.keys.create(KeyPurpose.GENOTYPE, [b"n" * 16])
        assert caught.value.code == "key_worn"
        key_rotation.rotate(s)
        s.keys.create(KeyPurpose.GENOTYPE, [b"n" * 16])


def rotate_all(folder: str) -> None:
    key_rotation.BATCH = 9
    with vaults.opened(Path(folder)) as s:
        key_rotation.rotate(s, [*key_rotation.BY_DEFAULT, Branch.LOG_SIGN])


def settled(folder: Path) -> None:
    with vaults.opened(folder) as s:
        for branch, epoch in epochs_in_use(s):
            assert epoch == max(s.unlocked.keystore.epochs(Branch(branch)))
        works(s)


@pytest.mark.parametrize("step", [9, 17, 38])
def test_killed_somewhere_it_is_finished_at_the_next_open(vault, step):
    killed_at(step, rotate_all, str(vault))
    settled(vault)


@pytest.mark.long
def test_killed_at_every_step_it_is_finished_at_the_next_open(vault, tmp_path):
    assert steps_survived(vault, tmp_path, rotate_all, settled) >= 30
