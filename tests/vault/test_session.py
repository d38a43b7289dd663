"""Making and opening a vault, inside its folder and on databases elsewhere."""

from __future__ import annotations

import json
import shutil
import stat

import pytest
from sqlalchemy import inspect, text

from tests.support import vaults
from tests.support.clusters import new_postgres
from tests.support.vaults import FACTOR, PERMITTED, copy, opened, sql, verified
from vault import consents, gate, session, subjects
from vault.audit.acts import Act, Outcome
from vault.audit.entry import decode_leaf
from vault.crypto.keystore import Branch, PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import GenovaultError, InputError, IntegrityError, RefusedError, UnavailableError, UsageError
from vault.extracts.verification import verify_release
from vault.session import Places
from vault.storage.database import Database


def init(folder, **options):
    return session.init(folder, steward="ann", factor=FACTOR, profile=Argon2Profile.TEST_ONLY, **options)


def refused(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return caught.value.code


def test_a_new_vault_is_private_and_whole(tmp_path):
    init(tmp_path / "v")
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in [tmp_path / "v", *(tmp_path / "v").iterdir()]}
    assert {name for name, mode in modes.items() if mode == 0o700} == {"v", "objects"}
    assert {name for name, mode in modes.items() if mode == 0o600} == {
        "vault.json",
        "keystore.a",
        "keystore.b",
        "books.db",
        "keys.db",
    }
    assert [p.name for p in tmp_path.iterdir()] == ["v"]
    with opened(tmp_path / "v") as s:
        assert [decode_leaf(e.leaf)["act"] for e in s.log.entries()] == ["vault.init"]
        report = verified(s)
        assert report.ok
        assert report.signed == 1


def test_init_takes_an_empty_folder_and_makes_missing_parents(tmp_path):
    (tmp_path / "v").mkdir()
    init(tmp_path / "v")
    init(tmp_path / "a/b/v")


@pytest.mark.parametrize("there", ["file", "folder", "vault"])
def test_init_never_overwrites(tmp_path, there):
    place = tmp_path / "v"
    if there == "file":
        place.write_text("mine")
    elif there == "folder":
        place.mkdir()
        (place / "mine").write_text("mine")
    else:
        init(place)
    before = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*"))
    assert refused(InputError, lambda: init(place)) == "vault_exists"
    assert sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*")) == before


def test_an_init_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_args, **_kwargs):
        raise UnavailableError("database_unavailable", "no")

    monkeypatch.setattr(session, "_first_entry", fail)
    assert refused(UnavailableError, lambda: init(tmp_path / "v", places=Places(keys=f"sqlite:///{tmp_path}/elsewhere.db")))
    assert list(tmp_path.iterdir()) == []


def test_books_and_keys_are_never_one_database(tmp_path, server):
    url = new_postgres(server)
    assert refused(InputError, lambda: init(tmp_path / "v", places=Places(books=url, keys=url))) == "one_database"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "a b", "../x", "ann\n", "x" * 65])
def test_a_stewards_name_is_plain(tmp_path, name):
    code = refused(InputError, lambda: session.init(tmp_path / "v", steward=name, factor=FACTOR, profile=Argon2Profile.TEST_ONLY))
    assert code == "principal_invalid"
    assert list(tmp_path.iterdir()) == []


# Elsewhere


@pytest.fixture
def places(server):
    return Places(books=new_postgres(server), keys=new_postgres(server))


def tables(url):
    database = Database(url)
    names = inspect(database.engine).get_table_names()
    database.close()
    return names


def test_the_whole_path_on_postgresql(tmp_path, places):
    vaults.make(tmp_path / "v", places=places, whole=False)
    assert not list((tmp_path / "v").glob("*.db"))
    with opened(tmp_path / "v") as s:
        tally = gate.check(s, "demo")
        assert (tally.subjects, tally.permit) == (12, len(PERMITTED))
        view = gate.view(s, project="demo", dataset="cohort")
        assert view.codes.shape[1] == len(PERMITTED)
        release = gate.extract(s, vaults.ask(s), tmp_path / "out")
        assert release.state == "released"
        verify_release(tmp_path / "out", log_keys=[s.log_keys()[0]])
        consents.withdraw(s, "S03")
        assert gate.check(s, "demo").permit == len(PERMITTED) - 1
        assert subjects.subject_show(s, "S03")[1].mrn == "MRN0003"
        assert len(consents.history(s, "S03").events) == 2
        with pytest.raises(RefusedError):
            gate.view(s, project="demo", dataset="cohort", regions=["21:1-2"]) if tally.permit == 0 else _refuse(s)
        report = verified(s)
        assert report.ok
        assert report.open_intents == ()


def _refuse(s):
    vaults.projects.change(s, "demo", "suspend")
    gate.view(s, project="demo", dataset="cohort")


def test_the_same_genotypes_on_both(tmp_path, places):
    vaults.make(tmp_path / "v", places=places, whole=False)
    with (
        opened(tmp_path / "v") as there,
        opened(copy(tmp_path / "here" if (tmp_path / "here").mkdir() is None else tmp_path, whole=False)) as here,
    ):
        one, two = (gate.view(s, project="demo", dataset="cohort") for s in (there, here))
        assert sorted(one.codes.T.tolist()) == sorted(two.codes.T.tolist())
        assert one.sites.pos.tolist() == two.sites.pos.tolist()


@pytest.mark.parametrize("taken", ["books", "keys"])
def test_a_database_of_another_vault_is_left_alone(tmp_path, places, server, taken):
    init(tmp_path / "v", places=places)
    second = Places(**{**vars(Places(books=new_postgres(server), keys=new_postgres(server))), taken: getattr(places, taken)})
    assert refused(InputError, lambda: init(tmp_path / "w", places=second)) == "vault_exists"
    assert not (tmp_path / "w").exists()
    fresh = second.keys if taken == "books" else second.books
    assert tables(fresh) == []
    with opened(tmp_path / "v") as s:
        assert verified(s).ok


def test_an_init_that_fails_leaves_nothing_elsewhere(tmp_path, places, monkeypatch):
    def fail(*_args, **_kwargs):
        raise UnavailableError("database_unavailable", "no")

    with monkeypatch.context() as patch:
        patch.setattr(session, "_first_entry", fail)
        assert refused(UnavailableError, lambda: init(tmp_path / "v", places=places)) == "database_unavailable"
    assert list(tmp_path.iterdir()) == []
    assert tables(places.books) == []
    assert tables(places.keys) == []
    init(tmp_path / "v", places=places)


def test_a_database_with_other_peoples_tables_is_kept(tmp_path, places):
    database = Database(places.books)
    with database.write() as tx:
        tx.execute(text("CREATE TABLE theirs (n INT)"))
    database.close()
    init(tmp_path / "v", places=places)
    assert "theirs" in tables(places.books)


def test_an_unreachable_database_is_an_error_without_its_password(tmp_path):
    url = "postgresql://ann:hunter2@127.0.0.1:1/none?connect_timeout=1"
    with pytest.raises(GenovaultError) as caught:
        init(tmp_path / "v", places=Places(books=url))
    assert caught.value.code == "database_unavailable"
    assert "hunter2" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# Opening


def test_opening_what_is_not_there_makes_nothing(tmp_path):
    assert refused(UnavailableError, lambda: session.open_session(tmp_path / "v", factor=FACTOR)) == "no_vault"
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
    found = refused(GenovaultError, lambda: session.open_session(folder, factor=FACTOR))
    assert found == code or (part == "keystore.*" and "keystore" in found)


@pytest.mark.parametrize("part", ["books.db", "keys.db"])
@pytest.mark.parametrize("content", [b"", b"rubbish" * 1000])
def test_a_damaged_database_is_an_integrity_error(folder, part, content):
    for path in folder.glob(f"{part}-*"):
        path.unlink()
    (folder / part).write_bytes(content)
    assert refused(IntegrityError, lambda: session.open_session(folder, factor=FACTOR)) == "schema_missing"


def test_a_database_open_to_others_is_refused(folder):
    (folder / "keys.db").chmod(0o644)
    assert refused(IntegrityError, lambda: session.open_session(folder, factor=FACTOR)) == "open_permissions"


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
    assert refused(GenovaultError, lambda: session.open_session(folder, factor=FACTOR)) == code


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b'{"format": 1'])
def test_malformed_settings(folder, content):
    (folder / "vault.json").write_bytes(content)
    assert refused(IntegrityError, lambda: session.open_session(folder, factor=FACTOR)) == "settings_malformed"


def test_a_failed_unlock_is_logged_without_a_name(folder):
    wrong = PassphraseFactor.from_text("wrong")
    assert refused(UnavailableError, lambda: session.open_session(folder, factor=wrong, principal="mallory")) == "cannot_unlock"
    with opened(folder) as s:
        leaf = decode_leaf(list(s.log.entries())[-1].leaf)
    assert (leaf["act"], leaf["outcome"]) == ("vault.unlock.failed", "refused")
    assert b"mallory" not in json.dumps(leaf).encode()


def test_a_factor_is_exactly_one(tmp_path):
    for given in ({}, {"passphrase": "x", "key_file": tmp_path / "k"}):
        assert refused(UsageError, lambda given=given: session.factor(**given)) == "factor_needed"
    (tmp_path / "k").write_bytes(bytes(31))
    assert refused(InputError, lambda: session.factor(key_file=tmp_path / "k")) == "key_file_invalid"


# The opened session


def test_attempting_logs_how_it_ended_and_passes_it_on(s):
    for error, outcome, reason in (
        (RefusedError("no_way", "x"), "refused", "no_way"),
        (InputError("bad_thing", "x"), "failed", "bad_thing"),
        (ZeroDivisionError("canary-81"), "failed", "internal_error"),
    ):
        with pytest.raises(type(error)), s.attempting(Act.PROJECT_CHECK):
            raise error
        leaf = list(s.log.entries())[-1].leaf
        assert (decode_leaf(leaf)["outcome"], decode_leaf(leaf)["reasons"]) == (outcome, {reason: 1})
        assert b"canary" not in leaf


def test_attempting_leaves_an_interrupt_alone(s):
    before = s.log.size()
    with pytest.raises(KeyboardInterrupt), s.attempting(Act.PROJECT_CHECK):
        raise KeyboardInterrupt
    assert s.log.size() == before


def test_a_failing_log_does_not_hide_the_error(s, monkeypatch):
    def broken(*_args, **_kwargs):
        raise UnavailableError("log_unavailable", "no")

    monkeypatch.setattr(s, "record", broken)
    with pytest.raises(InputError) as caught, s.attempting(Act.PROJECT_CHECK):
        raise InputError("bad_thing", "x")
    assert caught.value.code == "bad_thing"


def test_sealed_records_are_bound_to_their_place(s):
    sealed = s.seal_books("panel", b"id", b"content", version=2)
    assert s.open_books("panel", b"id", sealed, version=2) == b"content"
    for collection, record, version in (("project", b"id", 2), ("panel", b"ie", 2), ("panel", b"id", 1)):
        with pytest.raises(IntegrityError):
            s.open_books(collection, record, sealed, version=version)


def test_a_detail_is_for_those_who_read_the_log(folder, s):
    appended = s.record(Act.AUDIT_READ, Outcome.DONE, detail={"note": "private"})
    assert s.detail(appended.index) == {"note": "private"}
    assert b"private" not in appended.leaf
    factor = vaults.add_role(folder, Role.ENGINE)
    engine = session.open_session(folder, factor=factor, principal="engine")
    assert refused(UnavailableError, lambda: engine.detail(appended.index)) == "branch_closed"
    engine.abandon()


def test_closing_signs_what_is_unsigned(folder):
    with opened(folder) as s:
        s.record(Act.AUDIT_READ, Outcome.DONE)
        size = s.log.size()
    assert sql(folder / "books.db", "SELECT max(size) FROM audit_checkpoint")[0][0] == size


def test_who_cannot_sign_closes_all_the_same(folder):
    factor = vaults.add_role(folder, Role.AUDITOR)
    auditor = session.open_session(folder, factor=factor, principal="auditor")
    assert not auditor.keyring.has(Branch.LOG_SIGN)
    auditor.record(Act.AUDIT_READ, Outcome.DONE)
    auditor.close()


def test_a_failed_unlock_is_not_written_into_other_books(folder, tmp_path):
    vaults.make(tmp_path / "w", whole=False)
    for path in folder.glob("books.db*"):
        path.unlink()
    shutil.copy(tmp_path / "w/books.db", folder / "books.db")
    wrong = PassphraseFactor.from_text("wrong")
    assert refused(IntegrityError, lambda: session.open_session(folder, factor=wrong)) == "wrong_books"
