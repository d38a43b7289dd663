"""The migrations make what the models say, on both databases."""

from __future__ import annotations

import hashlib

import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import exc, inspect, text

from vault.audit.entry import SubjectSet
from vault.audit.subject_sets import mark, store_sets, tokens_of_set
from vault.errors import IntegrityError, UnavailableError
from vault.ids import AuditToken
from vault.storage import audit_tables, book_tables, key_tables
from vault.storage.base import Base, KeysBase
from vault.storage.migrate import REVISIONS, SCRIPTS, has_tables, make_current, remove, upgrade

MODELS = {"books": Base.metadata, "keys": KeysBase.metadata}
MODULES = (audit_tables, book_tables, key_tables)  # imported so that the metadata knows their tables


@pytest.mark.parametrize("base", ["books", "keys"])
def test_upgrading_makes_what_the_models_say(database, base):
    upgrade(database, base)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, MODELS[base]) == []
        assert set(inspect(connection).get_table_names()) == {*MODELS[base].tables, "alembic_version"}
    make_current(database, base)


@pytest.mark.parametrize("base", ["books", "keys"])
def test_columns_are_as_strict_as_the_models(database, base):
    """What the comparison leaves out: primary keys in their order, and checks."""
    upgrade(database, base)
    found = inspect(database.engine)
    for name, table in MODELS[base].tables.items():
        assert found.get_pk_constraint(name)["constrained_columns"] == [c.name for c in table.primary_key.columns], name
        assert {c["name"]: c["nullable"] for c in found.get_columns(name)} == {c.name: c.nullable for c in table.columns}, name


def test_the_log_is_guarded_after_upgrading(database):
    upgrade(database, "books")
    query = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
    }[database.dialect]
    wanted = {
        statement.split()[2] for statement in audit_tables.TRIGGERS[database.dialect] if statement.startswith("CREATE TRIGGER")
    }
    with database.read() as tx:
        assert set(tx.execute(text(query)).scalars()) == wanted


@pytest.mark.parametrize("base", ["books", "keys"])
def test_what_was_made_can_be_taken_away(database, base):
    assert not has_tables(database)
    upgrade(database, base)
    assert has_tables(database)
    remove(database, base)
    assert inspect(database.engine).get_table_names() == []
    upgrade(database, base)
    make_current(database, base)


@pytest.mark.parametrize("base", ["books", "keys"])
def test_upgrading_twice_changes_nothing(database, base):
    upgrade(database, base)
    upgrade(database, base)
    make_current(database, base)


@pytest.mark.parametrize("base", ["books", "keys"])
def test_the_program_knows_every_revision(base):
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS / base))
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    assert tuple(reversed([script.revision for script in scripts])) == REVISIONS[base]


def test_an_empty_database_is_no_vault(database):
    with pytest.raises(IntegrityError) as caught:
        make_current(database, "books")
    assert caught.value.code == "schema_missing"


@pytest.mark.parametrize("version", ["0000", "9999"])
def test_another_schema_is_refused(database, version):
    upgrade(database, "books")
    with database.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": version})
    with pytest.raises(UnavailableError) as caught:
        make_current(database, "books")
    assert caught.value.code == "schema_version"


def test_a_failed_upgrade_leaves_nothing(database, monkeypatch):
    class HaltedError(Exception):
        pass

    create, made = op.create_table, []

    def halt(name, *columns, **options):
        if len(made) == 5:
            raise HaltedError
        made.append(create(name, *columns, **options))

    monkeypatch.setattr(op, "create_table", halt)
    with pytest.raises(HaltedError):
        upgrade(database, "books")
    assert inspect(database.engine).get_table_names() == []


PEOPLE = [f"hmac-sha256:{1 + n % 11}:{hashlib.sha256(bytes([n])).hexdigest()}" for n in range(40)]
NEWCOMER = f"hmac-sha256:1:{'0' * 64}"
SETS = {1: [3], 2: [5, 4, 3], 3: list(range(40)), 4: []}  # of the last one somebody took the only member away


@pytest.fixture
def from_0001(database):
    """A log that names people, as the first schema kept it."""
    upgrade(database, "books", to="0001")
    with database.write() as tx:
        for number, token in enumerate(PEOPLE):
            tx.execute(text("INSERT INTO audit_token (token_id, token) VALUES (:n, :token)"), {"n": number, "token": token})
        for number, members in SETS.items():
            row = {"n": number, "digest": bytes([number]) * 32, "size": len(members)}
            tx.execute(text("INSERT INTO audit_set (set_id, digest, n) VALUES (:n, :digest, :size)"), row)
            tx.execute(text("INSERT INTO audit_set_leaf (set_id, idx) VALUES (:n, 10 - :n)"), {"n": number})
            for member in members:
                tx.execute(text("INSERT INTO audit_set_token (token_id, set_id) VALUES (:m, :n)"), {"m": member, "n": number})
    return database


def test_what_the_first_schema_holds_is_carried_over(from_0001):
    make_current(from_0001, "books")
    with from_0001.read() as tx:
        tokens = tx.execute(text("SELECT token_id, mark, token FROM audit_token ORDER BY token_id")).all()
        sets = tx.execute(text("SELECT set_id, lead, digest, n FROM audit_set ORDER BY set_id")).all()
        leaves = tx.execute(text("SELECT set_id, idx FROM audit_set_leaf ORDER BY set_id")).all()
        members = tx.scalar(text("SELECT count(*) FROM audit_set_token"))
    assert tokens == [(number, mark(token), token) for number, token in enumerate(PEOPLE)]
    leads = {number: min(members, key=PEOPLE.__getitem__, default=0) for number, members in SETS.items()}
    assert sets == [(number, leads[number], bytes([number]) * 32, len(members)) for number, members in SETS.items()]
    assert leaves == [(number, 10 - number) for number in SETS]
    assert members == sum(map(len, SETS.values()))
    test_upgrading_makes_what_the_models_say(from_0001, "books")
    test_the_log_is_guarded_after_upgrading(from_0001)
    for table in ("audit_token", "audit_set"):
        with pytest.raises((UnavailableError, exc.IntegrityError)), from_0001.write() as tx:
            tx.execute(text(f"DELETE FROM {table}"))


def test_a_log_of_the_first_schema_goes_on(from_0001):
    make_current(from_0001, "books")
    known = SubjectSet((AuditToken(PEOPLE[3]),), b"\x01" * 32)
    fewer = SubjectSet(tuple(AuditToken(token) for token in sorted([PEOPLE[4], PEOPLE[3], NEWCOMER])), b"\x05" * 32)
    with from_0001.write() as tx:
        store_sets(tx, [(20, known), (21, fewer), (22, known)])
        assert tx.scalar(text("SELECT count(*) FROM audit_set")) == len(SETS) + 1
        assert tx.scalar(text("SELECT count(*) FROM audit_token")) == len(PEOPLE) + 1
        assert tx.scalars(text("SELECT idx FROM audit_set_leaf WHERE set_id = 1 ORDER BY idx")).all() == [9, 20, 22]
        assert tokens_of_set(tx, b"\x05" * 32, 21) == list(fewer.tokens)


def test_an_upgrade_that_fails_leaves_what_was_there(from_0001, monkeypatch):
    class HaltedError(Exception):
        pass

    def halt(*_given, **_options):
        raise HaltedError

    monkeypatch.setattr(op, "create_index", halt)  # the last step
    with pytest.raises(HaltedError):
        make_current(from_0001, "books")
    monkeypatch.undo()
    with from_0001.read() as tx:
        assert tx.scalar(text("SELECT version_num FROM alembic_version")) == "0001"
        assert tx.scalars(text("SELECT token FROM audit_token ORDER BY token_id")).all() == PEOPLE
    make_current(from_0001, "books")


def test_a_database_that_does_not_answer_is_not_called_damaged(database, monkeypatch):
    """On a full disk SQLite cannot even open a database: restoring a backup would be the wrong advice."""
    upgrade(database, "keys")

    def full():
        raise UnavailableError("database_unavailable", "the database did not answer (OperationalError)")

    with monkeypatch.context() as patched:
        patched.setattr(database, "read", full)
        with pytest.raises(UnavailableError) as caught:
            make_current(database, "keys")
    assert caught.value.code == "database_unavailable"
    make_current(database, "keys")
