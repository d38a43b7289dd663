"""Opening a vault, and what an open session does."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.support import held, vaults
from tests.support.vaults import FACTOR, opened, sql
from vault.audit.actions import Action, Outcome
from vault.audit.entry import decode_leaf
from vault.crypto.keystore import Branch, PassphraseFactor, Role
from vault.errors import GenovaultError, InputError, IntegrityError, RefusedError, UnavailableError, UsageError
from vault.session import unlocked_vault
from vault.storage import migrate
from vault.storage.database import Database

EARLIER = Path(__file__).parents[2] / "compatibility" / "vault-4e26e28.tar.gz"


def refused(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return caught.value.code


def test_opening_what_is_not_there_makes_nothing(tmp_path):
    assert refused(UnavailableError, lambda: unlocked_vault.open_vault(tmp_path / "v", factor=FACTOR)) == "no_vault"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ("books.db", "no_database"),
        ("keys.db", "no_database"),
        ("objects", "no_objects"),
        ("vault.json", "no_vault"),
        ("keystore.*", "no_vault"),
    ],
)
def test_a_missing_part_is_a_clear_error(folder, part, code):
    for path in folder.glob(part):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = refused(GenovaultError, lambda: unlocked_vault.open_vault(folder, factor=FACTOR))
    assert found == code or (part == "keystore.*" and "keystore" in found)


@pytest.mark.parametrize("part", ["books.db", "keys.db"])
@pytest.mark.parametrize("content", [b"", b"rubbish" * 1000])
def test_a_damaged_database_is_an_integrity_error(folder, part, content):
    for path in folder.glob(f"{part}-*"):
        path.unlink()
    (folder / part).write_bytes(content)
    assert refused(IntegrityError, lambda: unlocked_vault.open_vault(folder, factor=FACTOR)) == "schema_missing"


def test_a_vault_of_an_older_program_is_brought_up_to_date_as_it_is_opened(tmp_path):
    with tarfile.open(EARLIER) as archive:
        archive.extractall(tmp_path, filter="tar")
    folder = tmp_path / "vault"
    people = [
        row[0] for row in sql(folder / "books.db", "SELECT subject_id FROM subject WHERE state = 'active' ORDER BY subject_id")
    ]
    with vaults.opened(folder, factor=held.FACTOR, principal=None) as s:
        tokens = [s.subject_keys.tokens([person])[0] for person in people]
        named = [s.trail.log.entries_of(token) for token in tokens]
    assert any(named)
    database = Database(f"sqlite:///{folder / 'books.db'}")
    migrate._run(database, "books", "downgrade", "0001")
    database.close()
    with vaults.opened(folder, factor=held.FACTOR, principal=None) as s:
        assert [s.trail.log.entries_of(token) for token in tokens] == named
        about = s.trail.record(Action.SUBJECT_SHOW, Outcome.DONE, subjects=people[:3]).index
        assert [about in s.trail.log.entries_of(token) for token in tokens] == [True] * 3 + [False] * (len(people) - 3)
        assert vaults.verified(s).ok


def test_a_database_open_to_others_is_refused(folder):
    (folder / "keys.db").chmod(0o644)
    assert refused(IntegrityError, lambda: unlocked_vault.open_vault(folder, factor=FACTOR)) == "open_permissions"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"format": "genovault/vault/9"}, "settings_unknown"),
        ({"surprise": 1}, "settings_unknown"),
        ({"vault_id": "00"}, "settings_unknown"),
        ({"vault_id": "zz"}, "settings_malformed"),
        ({"vault_id": None}, "settings_malformed"),
        ({"vault_id": "00" * 16}, "wrong_keystore"),
        ({"books": "mysql://x/y"}, "bad_url"),
        ({"objects": "gone"}, "no_objects"),
    ],
)
def test_settings_are_read_strictly(folder, change, code):
    document = json.loads((folder / "vault.json").read_text())
    (folder / "vault.json").write_text(json.dumps(document | change))
    assert refused(GenovaultError, lambda: unlocked_vault.open_vault(folder, factor=FACTOR)) == code


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b'{"format": 1'])
def test_malformed_settings(folder, content):
    (folder / "vault.json").write_bytes(content)
    assert refused(IntegrityError, lambda: unlocked_vault.open_vault(folder, factor=FACTOR)) == "settings_malformed"


def test_a_failed_unlock_is_logged_without_a_name(folder):
    wrong = PassphraseFactor.from_text("wrong")
    assert (
        refused(UnavailableError, lambda: unlocked_vault.open_vault(folder, factor=wrong, principal="mallory")) == "cannot_unlock"
    )
    with opened(folder) as s:
        leaf = decode_leaf(list(s.trail.log.entries())[-1].leaf)
    assert (leaf["act"], leaf["outcome"]) == ("vault.unlock.failed", "refused")
    assert b"mallory" not in json.dumps(leaf).encode()


def test_a_factor_is_exactly_one(tmp_path):
    for given in ({}, {"passphrase": "x", "key_file": tmp_path / "k"}):
        assert refused(UsageError, lambda given=given: unlocked_vault.factor(**given)) == "factor_needed"
    (tmp_path / "k").write_bytes(bytes(31))
    (tmp_path / "k").chmod(0o600)  # whom others could read is refused before its length is looked at
    assert refused(InputError, lambda: unlocked_vault.factor(key_file=tmp_path / "k")) == "key_file_invalid"


# The opened session


def test_attempting_logs_how_it_ended_and_passes_it_on(s):
    for error, outcome, reason in (
        (RefusedError("no_way", "x"), "refused", "no_way"),
        (InputError("bad_thing", "x"), "failed", "bad_thing"),
        (ZeroDivisionError("canary-81"), "failed", "internal_error"),
    ):
        with pytest.raises(type(error)), s.trail.attempting(Action.PROJECT_CHECK):
            raise error
        leaf = list(s.trail.log.entries())[-1].leaf
        assert (decode_leaf(leaf)["outcome"], decode_leaf(leaf)["reasons"]) == (outcome, {reason: 1})
        assert b"canary" not in leaf


def test_attempting_leaves_an_interrupt_alone(s):
    before = s.trail.log.size()
    with pytest.raises(KeyboardInterrupt), s.trail.attempting(Action.PROJECT_CHECK):
        raise KeyboardInterrupt
    assert s.trail.log.size() == before


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(RefusedError("no_way", "x"), "refused"), (ZeroDivisionError("x"), "failed"), (KeyboardInterrupt(), "aborted")],
)
def test_what_stops_an_access_closes_its_intent(s, error, outcome):
    size = s.trail.log.size()

    def opened() -> None:
        with s.trail.attempting(Action.DATASET_VERIFY) as attempt:
            intent = attempt.opens([])
            assert [decode_leaf(one.leaf)["id"] for one in s.trail.log.entries(size)] == [intent]  # before anything is opened
            raise error

    with pytest.raises(type(error)):
        opened()
    begun, ended = (decode_leaf(one.leaf) for one in s.trail.log.entries(size))
    assert (begun["act"], begun["outcome"]) == ("dataset.verify", "intent")
    assert (ended["act"], ended["outcome"], ended["refers"]) == ("dataset.verify", outcome, begun["id"])


def test_an_access_that_is_over_is_not_closed_by_what_fails_later(s):
    def failed_later() -> None:
        with s.trail.attempting(Action.DATASET_VERIFY) as attempt:
            attempt.opens([])
            attempt.closed()
            raise InputError("bad_thing", "x")

    with pytest.raises(InputError):
        failed_later()
    assert "refers" not in decode_leaf(list(s.trail.log.entries())[-1].leaf)


def test_a_failing_log_does_not_hide_the_error(s, monkeypatch):
    def broken(*_args, **_kwargs):
        raise UnavailableError("log_unavailable", "no")

    monkeypatch.setattr(s.trail, "record", broken)
    with pytest.raises(InputError) as caught, s.trail.attempting(Action.PROJECT_CHECK):
        raise InputError("bad_thing", "x")
    assert caught.value.code == "bad_thing"


def test_sealed_records_are_bound_to_their_place(s):
    sealed = s.records.seal("panel", b"id", b"content", version=2)
    assert s.records.open("panel", b"id", sealed, version=2) == b"content"
    for collection, record, version in (("project", b"id", 2), ("panel", b"ie", 2), ("panel", b"id", 1)):
        with pytest.raises(IntegrityError):
            s.records.open(collection, record, sealed, version=version)


def test_a_detail_is_for_those_who_read_the_log(folder, s):
    appended = s.trail.record(Action.AUDIT_READ, Outcome.DONE, detail={"note": "private"})
    assert s.trail.detail(appended.index) == {"note": "private"}
    assert b"private" not in appended.leaf
    factor = vaults.add_role(folder, Role.ENGINE)
    engine = unlocked_vault.open_vault(folder, factor=factor, principal="engine")
    assert refused(UnavailableError, lambda: engine.trail.detail(appended.index)) == "branch_closed"
    engine.abandon()


def test_closing_signs_what_is_unsigned(folder):
    with opened(folder) as s:
        s.trail.record(Action.AUDIT_READ, Outcome.DONE)
        size = s.trail.log.size()
    assert sql(folder / "books.db", "SELECT max(size) FROM audit_checkpoint")[0][0] == size


def test_who_cannot_sign_closes_all_the_same(folder):
    factor = vaults.add_role(folder, Role.AUDITOR)
    auditor = unlocked_vault.open_vault(folder, factor=factor, principal="auditor")
    assert not auditor.keyring.has(Branch.LOG_SIGN)
    auditor.trail.record(Action.AUDIT_READ, Outcome.DONE)
    auditor.close()


def test_a_failed_unlock_is_not_written_into_other_books(folder, tmp_path):
    vaults.make(tmp_path / "w", whole=False)
    for path in folder.glob("books.db*"):
        path.unlink()
    shutil.copy(tmp_path / "w/books.db", folder / "books.db")
    before = sql(folder / "books.db", "SELECT count(*) FROM audit_leaf")
    wrong = PassphraseFactor.from_text("wrong")
    assert refused(UnavailableError, lambda: unlocked_vault.open_vault(folder, factor=wrong)) == "cannot_unlock"
    assert refused(IntegrityError, lambda: unlocked_vault.open_vault(folder, factor=FACTOR)) == "wrong_books"
    assert sql(folder / "books.db", "SELECT count(*) FROM audit_leaf") == before
