"""What left, and what became of it: told otherwise by whoever writes to the database, or acts with an engine's or a custodian's own key."""

from __future__ import annotations

import json
from datetime import timedelta
from unittest.mock import Mock

import pytest
from sqlalchemy import update

from tests.support import vaults
from tests.support.parcels import pair
from tests.support.vaults import opened, sql
from vault import gate
from vault.access import notices, recipients, releases, requests, resolutions
from vault.access.named_people import names_of
from vault.audit.entry import decode_leaf
from vault.audit.reports.records import record_of
from vault.consent import drop_lists, recording
from vault.crypto.crypt4gh_keys import fingerprint, public_key_armour
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import Role
from vault.errors import GenovaultError, RefusedError
from vault.extracts import release_folder
from vault.operations import key_rotation
from vault.operations.erasure import process as erasure
from vault.operations.recovery import open_recovered
from vault.storage.book_tables import RequestRow


def outcome_of(function, *given, **named):
    """What a call gives, or the code of its refusal."""
    try:
        return function(*given, **named)
    except GenovaultError as error:
        return error.code


def at(s, monkeypatch, days):
    real = s.clock
    monkeypatch.setattr(s, "clock", lambda: real() + timedelta(days=days))


def test_an_expired_request_is_not_released_by_a_word_in_the_book_of_releases(small, tmp_path, monkeypatch):
    with opened(small) as s:
        asked = vaults.ask(s)
        monkeypatch.setattr(release_folder, "write_genotypes", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            gate.extract(s, asked, tmp_path / "out")
    monkeypatch.undo()
    sql(small / "books.db", "UPDATE release SET state = 'released'")
    with opened(small) as s:
        at(s, monkeypatch, 91)
        assert requests.load(s, asked).state == "expired"


def test_what_left_is_told_whatever_the_book_of_releases_says(small, tmp_path, monkeypatch):
    with opened(small) as s:
        released = gate.extract(s, vaults.ask(s), tmp_path / "out").release_id
    sql(small / "books.db", "UPDATE release SET state = 'aborted'")
    with opened(small) as s:
        monkeypatch.setattr(recording.drop_lists, "follow_quietly", lambda *_: drop_lists.Followed())
        recording.withdraw(s, "S03")
        monkeypatch.undo()
        (notice,) = drop_lists.bring_up_to_date(s)
        assert notice.ref == released


def test_a_withdrawal_is_told_whatever_index_of_the_log_was_emptied(small, tmp_path):
    with opened(small) as s:
        released = gate.extract(s, vaults.ask(s), tmp_path / "out").release_id
    sql(small / "books.db", "DELETE FROM audit_closing")
    with opened(small) as s:
        recording.withdraw(s, "S03")
        (notice,) = notices.list_all(s)
        assert notice.ref == released


@pytest.mark.parametrize("edit", ["DELETE FROM notice", "UPDATE notice SET state = 'called_off'"])
def test_a_notice_about_somebody_who_was_erased_does_not_vanish(small, tmp_path, edit):
    with opened(small) as s:
        gate.extract(s, vaults.ask(s), tmp_path / "out")
        erasure.erase(s, "S05")
        assert len(notices.list_all(s)) == 1
    sql(small / "books.db", edit)
    with opened(small) as s:
        assert str(outcome_of(drop_lists.listed, s)) in {"collection_altered", "notice_altered"}


def test_a_notice_that_was_opened_again_is_not_acknowledged_by_a_row_of_before(small, tmp_path):
    with opened(small) as s:
        gate.extract(s, vaults.ask(s), tmp_path / "out")
        recording.withdraw(s, "S03")
        (notice,) = notices.list_all(s)
        notices.acknowledge(s, notice.notice_id, reason="they said so")
    before = sql(small / "books.db", "SELECT state, version, late, sealed FROM notice")
    with opened(small) as s:
        notices.reopen(s, notice.notice_id, reason="they had not")
    sql(small / "books.db", ("UPDATE notice SET state = ?, version = ?, late = ?, sealed = ?", before[0]))
    with opened(small) as s:
        assert str(outcome_of(notices.list_all, s)) in {"collection_altered", "notice_altered"}


@pytest.fixture
def both(small, tmp_path):
    """A custodian's factor, and a pseudonym that left."""
    factor = vaults.add_role(small, Role.CUSTODIAN)
    with opened(small) as s:
        gate.extract(s, vaults.ask(s), tmp_path / "out")
        return factor, names_of(s, "S03", project="demo", reason="a test")[0].pseudonym


@pytest.mark.parametrize("end", ["executed", "closed"])
def test_what_was_told_or_refused_is_not_told_again(small, both, end):
    factor, name = both
    with opened(small) as s:
        one = resolutions.open_request(s, name, project="demo", reason="a test").resolution_id
    with opened(small, factor=factor, principal="custodian") as s:
        resolutions.approve(s, one)
        if end == "closed":
            resolutions.close(s, one, reason="it was not their report")
        else:
            resolutions.execute(s, one)
    sql(small / "books.db", "DELETE FROM audit_closing WHERE idx = (SELECT max(idx) FROM audit_closing)")
    with opened(small) as s:
        assert isinstance(outcome_of(resolutions.execute, s, one), str)


@pytest.mark.parametrize("role", [Role.ENGINE, Role.CUSTODIAN])
def test_nobody_but_a_steward_acknowledges_a_notice(small, tmp_path, role, monkeypatch):
    factor = vaults.add_role(small, role)
    with opened(small) as s:
        gate.extract(s, vaults.ask(s), tmp_path / "out")
        recording.withdraw(s, "S03")
        (notice,) = notices.list_all(s)
    monkeypatch.setattr("policies.authority.may", lambda *_: True)
    with opened(small, factor=factor, principal=role.value) as s:
        outcome_of(notices.acknowledge, s, notice.notice_id, reason="done")
    monkeypatch.undo()
    with opened(small) as s:
        found = outcome_of(notices.list_all, s)
        assert str(found) in {"approval_missing", "notice_altered", "collection_altered"} or found[0].state == "open"


def test_an_engine_takes_no_withdrawal_of_a_request_back(small, tmp_path):
    factor = vaults.add_role(small, Role.ENGINE)
    with opened(small) as s:
        asked = vaults.ask(s)
        with s.books.read() as tx:
            row = tx.get(RequestRow, asked)
            kept = {"state": row.state, "sealed": row.sealed}
        requests.withdraw(s, asked, "not needed any more")
    with opened(small, factor=factor, principal="engine") as s, s.books.write() as tx:
        tx.execute(update(RequestRow).where(RequestRow.request_id == asked).values(**kept))
    with opened(small) as s, pytest.raises(RefusedError) as caught:
        gate.extract(s, asked, tmp_path / "out")
    assert caught.value.code == "request_withdrawn"


def keys_of_releases(folder):
    return sql(folder / "keys.db", ("SELECT count(*) FROM wrapped_key WHERE purpose = ?", (KeyPurpose.RELEASE.value,)))[0][0]


def test_a_release_that_does_not_come_about_leaves_no_key(small, tmp_path, monkeypatch):
    with opened(small) as s:
        vaults.approve(s, "single", "cohort", pseudonyms="release")
        monkeypatch.setattr(release_folder, "write_genotypes", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            gate.extract(s, vaults.ask(s, project="single"), tmp_path / "out")
    assert keys_of_releases(small) == 0


def test_a_release_whose_record_was_deleted_is_told_by_the_name_that_it_has(small, tmp_path):
    with opened(small) as s:
        key_rotation.renew_project(s, "demo", keep_old=True)
        gate.extract(s, vaults.ask(s), tmp_path / "out")
        name = names_of(s, "S03", project="demo", reason="a test")[0].pseudonym
    sql(small / "books.db", "DELETE FROM release")
    with opened(small) as s:
        recording.withdraw(s, "S03")
        (notice,) = notices.list_all(s)
        assert name in {drop.pseudonym for drop in notice.in_force}


def test_who_received_a_view_is_told_although_its_records_were_deleted(small):
    factor = vaults.add_role(small, Role.ENGINE)
    with opened(small, factor=factor, principal="engine") as s:
        gate.view(s, project="demo", dataset="cohort", panel="pgx")
    sql(small / "books.db", "DELETE FROM holding", "DELETE FROM release")
    with opened(small) as s:
        recording.withdraw(s, "S03")
        (notice,) = notices.list_all(s)
        assert notice.content.recipients == ("engine",)


def test_a_withdrawal_stands_whatever_was_done_to_notices(small, tmp_path):
    """Nobody can be told then, which the log says; but an edited row keeps nobody from withdrawing."""
    with opened(small) as s:
        gate.extract(s, vaults.ask(s), tmp_path / "out")
        recording.withdraw(s, "S03")
    sql(small / "books.db", "UPDATE notice SET state = 'called_off'")
    with opened(small) as s:
        recording.withdraw(s, "S04")
        last = record_of(list(s.trail.log.entries())[-1])
        assert (last.act, last.outcome, dict(last.reasons)) == ("release.notice", "failed", {"collection_altered": 1})
    with opened(small) as s:
        assert len(gate.view(s, project="demo", dataset="cohort").pseudonyms) == 8


MAKE = {
    "extract": gate.extract,
    "view": lambda s, *_: gate.view(s, project="single", dataset="cohort", panel="pgx"),
}


def test_what_left_is_not_aborted_by_an_edited_state(small, tmp_path):
    """Its key would be gone, and nobody could tell recipients whom to drop."""
    with opened(small) as s:
        vaults.approve(s, "single", "cohort", pseudonyms="release")
        gate.extract(s, vaults.ask(s, project="single"), tmp_path / "out")
    sql(small / "books.db", "UPDATE release SET state = 'staging'", "DELETE FROM audit_closing")
    with opened(small) as s:
        assert releases.list_all(s)[0].state == "staging"
    assert keys_of_releases(small) == 1


@pytest.mark.parametrize("act", MAKE)
def test_a_release_that_was_cut_off_leaves_no_key(small, tmp_path, monkeypatch, act):
    with opened(small) as s:
        vaults.approve(s, "single", "cohort", pseudonyms="release")
        asked = vaults.ask(s, project="single")
    s = open_recovered(small, factor=vaults.FACTOR, principal="ann")
    monkeypatch.setattr(gate.accesses, "commit", Mock(side_effect=SystemExit))
    with pytest.raises(SystemExit):
        MAKE[act](s, asked, tmp_path / "out")
    assert keys_of_releases(small) == 1
    s.abandon()
    with opened(small) as s:
        assert releases.list_all(s)[0].state == "aborted"
    assert keys_of_releases(small) == 0


def test_the_log_s_public_part_names_no_pseudonym_reason_or_recipient(small, both):
    factor, name = both
    said = "canary of a reason"
    with opened(small) as s:
        recipients.add(s, "canary laboratory", public_key_armour(pair(1).public).encode())
        recipients.confirm(s, "canary laboratory", fingerprint(pair(1).public))
        recipients.retire(s, "canary laboratory", reason=said)
        one = resolutions.open_request(s, name, project="demo", reason=said, case="canary case").resolution_id
    with opened(small, factor=factor, principal="custodian") as s:
        resolutions.approve(s, one)
        resolutions.execute(s, one)
        recording.withdraw(s, "S03")
    with opened(small) as s:
        (notice,) = notices.list_all(s)
        notices.acknowledge(s, notice.notice_id, reason=said)
        notices.reopen(s, notice.notice_id, reason=said)
        leaves = [decode_leaf(entry.leaf) for entry in s.trail.log.entries()]
    for leaf in leaves:
        del leaf["n"]  # a nonce is random: it spells S03 now and then
    for secret in (name, "canary", "MRN0003", "S03"):
        assert secret not in json.dumps(leaves)
