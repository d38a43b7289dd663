"""Spool: what is handed out, for how long, and what is removed from it by whom."""

from __future__ import annotations

import pytest

from tests.support import delivered, vaults
from tests.support.vaults import opened
from vault import gate
from vault.access import recipients, releases, requests, spool
from vault.consent import recording
from vault.errors import RefusedError, UnavailableError
from vault.operations.erasure import process
from vault.operations.spooling import AGAIN, HandedOut


@pytest.fixture
def vault(tmp_path):
    folder = vaults.copy(tmp_path, whole=False)
    with opened(folder) as s:
        delivered.known(s, "lab", 1)
        vaults.approve(s, "parcels", "cohort", recipients=[{"name": "lab"}])
    return folder


def made(s):
    """A release in the vault's own spool."""
    folder = spool.prepare(s.folder / spool.FOLDER)
    release_id = releases.new_id(s)
    request = vaults.ask(s, project="parcels", regions=())
    return folder, gate.extract(s, request, folder / release_id, spooled_as=release_id)


def test_what_nobody_s_key_opens_is_not_made(vault):
    with opened(vault) as s:
        folder, release_id = spool.prepare(s.folder / spool.FOLDER), releases.new_id(s)
        with pytest.raises(RefusedError, match="sealed to a recipient") as error:
            gate.extract(s, vaults.ask(s), folder / release_id, spooled_as=release_id)
        assert error.value.code == "recipient_needed"
        assert list(folder.iterdir()) == []
        assert releases.find(s, release_id) is None


def test_a_release_is_handed_out_for_seven_days_and_then_removed(vault):
    with opened(vault) as s:
        folder, release = made(s)
        watch, now = HandedOut(), s.clock()
        watch.require(s, release)
        assert watch.sweep(s, folder) == 0
        s.clock = lambda: now + spool.KEPT
        with pytest.raises(RefusedError) as error:
            watch.require(s, release)
        assert error.value.code == "spool_expired"
        assert watch.sweep(s, folder) == 1
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "end",
    [
        lambda s, _: recording.withdraw(s, "S03"),
        lambda s, one: requests.withdraw(s, one.request_id, "x"),
        lambda s, one: requests.deny(s, one.request_id, "x"),
        lambda s, _: recipients.retire(s, "lab", reason="x"),
    ],
)
def test_whatever_ends_it_is_seen_at_the_next_look(vault, end):
    with opened(vault) as s:
        folder, release = made(s)
        watch = HandedOut()
        watch.require(s, release)
        end(s, release)
        with pytest.raises(RefusedError) as error:
            watch.require(s, release)
        assert error.value.code == "spool_ended"
        assert watch.sweep(s, folder) == 1
        assert spool.kept(folder) == []


def test_people_are_decided_again_each_minute_though_nothing_new_was_said(vault, monkeypatch):
    decided = []
    with opened(vault) as s:
        _, release = made(s)
        watch, now = HandedOut(), s.clock()
        s.clock = lambda: now
        monkeypatch.setattr(
            "vault.operations.spooling.release_recovery.still_permitted", lambda *_: decided.append(1) or len(decided) < 3
        )
        for _ in range(3):
            watch.require(s, release)
        assert len(decided) == 1
        s.clock = lambda: now + AGAIN
        watch.require(s, release)
        s.clock = lambda: now + 2 * AGAIN
        with pytest.raises(RefusedError):
            watch.require(s, release)


def test_erasing_somebody_removes_what_has_them_before_the_keys_go(vault):
    with opened(vault) as s:
        folder, release = made(s)
        assert spool.kept(folder) == [release.release_id]
        process.erase(s, "S03")
        assert spool.kept(folder) == []


def test_what_a_steward_delivered_is_not_handed_out_nor_removed(vault, tmp_path):
    with opened(vault) as s:
        folder = spool.prepare(s.folder / spool.FOLDER)
        release = gate.extract(s, vaults.ask(s, project="parcels"), tmp_path / "out")
        with pytest.raises(RefusedError):
            HandedOut().require(s, release)
        process.erase(s, "S03")
        assert (tmp_path / "out").is_dir()
        assert HandedOut().sweep(s, folder) == 0


def test_a_folder_without_a_record_and_notes_of_before_are_removed(vault):
    with opened(vault) as s:
        folder = spool.prepare(s.folder / spool.FOLDER)
        (folder / "rel-0123456789abcdef").mkdir()
        (folder / "mine").mkdir()
        (folder / "rel-2222222222222222.asked").write_bytes(b"of a server of before")
        assert HandedOut().sweep(s, folder) == 1
        assert [path.name for path in folder.iterdir()] == ["mine"]


def test_what_a_killed_process_had_begun_is_removed_while_nothing_is_made(vault):
    with opened(vault) as s:
        folder, release = made(s)
        (folder / ".genovault-0123456789abcdef").mkdir(mode=0o700)
        HandedOut().sweep(s, folder, is_idle=lambda: False)
        assert len(list(folder.iterdir())) == 2
        HandedOut().sweep(s, folder, is_idle=lambda: True)
        assert [path.name for path in folder.iterdir()] == [release.release_id]


def test_a_spool_that_others_may_read_is_not_used(tmp_path):
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("open", "link"):
        with pytest.raises(UnavailableError) as error:
            spool.prepare(tmp_path / name)
        assert error.value.code == "spool_exposed"
