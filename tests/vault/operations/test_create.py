"""Making a vault, inside its folder and on databases elsewhere."""

from __future__ import annotations

import stat

import pytest
from sqlalchemy import inspect, text

from tests.support import vaults
from tests.support.clusters import new_postgres
from tests.support.releases import pinned
from tests.support.vaults import FACTOR, PERMITTED, copy, opened, verified
from vault import gate
from vault.audit.entry import decode_leaf
from vault.consent import recording
from vault.crypto.primitives import Argon2Profile
from vault.errors import GenovaultError, InputError, RefusedError, UnavailableError
from vault.extracts.verification import verify_release
from vault.operations import create
from vault.session.settings import Places
from vault.storage.database import Database
from vault.subjects import registry


def init(folder, **options):
    return create.init(folder, steward="ann", factor=FACTOR, profile=Argon2Profile.TEST_ONLY, **options)


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
        assert [decode_leaf(e.leaf)["act"] for e in s.trail.log.entries()] == ["vault.init"]
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

    monkeypatch.setattr(create, "_first_entry", fail)
    assert refused(UnavailableError, lambda: init(tmp_path / "v", places=Places(keys=f"sqlite:///{tmp_path}/elsewhere.db")))
    assert list(tmp_path.iterdir()) == []


def test_books_and_keys_are_never_one_database(tmp_path, server):
    url = new_postgres(server)
    assert refused(InputError, lambda: init(tmp_path / "v", places=Places(books=url, keys=url))) == "one_database"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "a b", "../x", "ann\n", "x" * 65])
def test_a_stewards_name_is_plain(tmp_path, name):
    code = refused(InputError, lambda: create.init(tmp_path / "v", steward=name, factor=FACTOR, profile=Argon2Profile.TEST_ONLY))
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
        verify_release(tmp_path / "out", **pinned(s))
        recording.withdraw(s, "S03")
        assert gate.check(s, "demo").permit == len(PERMITTED) - 1
        assert registry.subject_show(s, "S03")[1].mrn == "MRN0003"
        assert len(recording.history(s, "S03").events) == 2
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
        patch.setattr(create, "_first_entry", fail)
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
