"""An upgraded vault keeps marks like a new one, and an upgrade that was killed is done again without any being missed."""

from __future__ import annotations

import shutil

import pytest

from tests.compatibility.test_vault_4e26e28 import held, made, upgraded
from tests.support.held import FACTOR
from vault.consent import recording
from vault.errors import IntegrityError
from vault.operations import key_rotation, upgrade
from vault.operations.recovery import open_recovered
from vault.session import bound_settings

__all__ = ["held", "made", "upgraded"]


def reopened(held):
    return open_recovered(held.vault.folder, factor=FACTOR, clock=held.clock, random=held.random)


def test_older_books_are_refused_beside_it(upgraded, tmp_path):
    assert bound_settings.state(upgraded.vault) is bound_settings.State.SAME
    assert upgraded.vault.marks.read() is not None
    upgraded.vault.books.checkpoint_wal()
    shutil.copy(tmp_path / "v" / "books.db", tmp_path / "old.db")
    recording.withdraw(upgraded.vault, "sample:SAMPLE_1")
    upgraded.vault.close()
    for path in (tmp_path / "v").glob("books.db*"):
        path.unlink()
    shutil.copy(tmp_path / "old.db", tmp_path / "v" / "books.db")
    with pytest.raises(IntegrityError) as caught:
        reopened(upgraded)
    assert caught.value.code == "books_behind"


@pytest.mark.parametrize(("where", "name"), [(upgrade, "sign_books"), (upgrade.keystore, "bind"), (key_rotation, "rotate")])
def test_a_killed_upgrade_opens_and_is_done_again(held, monkeypatch, where, name):
    def killed(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(where, name, killed)
        with pytest.raises(KeyboardInterrupt):
            upgrade.upgrade(held.vault, {held.vault.unlocked.slot.slot_id: FACTOR})
    held.vault.close()
    vault = reopened(held)
    upgrade.upgrade(vault, {vault.unlocked.slot.slot_id: FACTOR})
    vault.close()
    vault = reopened(held)
    assert vault.books.upgraded
    assert vault.books.altered() == {}
    assert vault.marks.read().keystore_seq == vault.public.seq
    vault.close()
