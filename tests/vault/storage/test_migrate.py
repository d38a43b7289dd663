"""The migrations make what the models say, on both databases."""

from __future__ import annotations

import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from vault.errors import IntegrityError, UnavailableError
from vault.storage import audit_tables, books, keys
from vault.storage.base import Base, KeysBase
from vault.storage.migrate import HEADS, SCRIPTS, has_tables, remove, require_current, upgrade

MODELS = {"books": Base.metadata, "keys": KeysBase.metadata}
MODULES = (audit_tables, books, keys)  # imported so that the metadata knows their tables


@pytest.mark.parametrize("base", ["books", "keys"])
def test_upgrading_makes_what_the_models_say(database, base):
    upgrade(database, base)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, MODELS[base]) == []
        assert set(inspect(connection).get_table_names()) == {*MODELS[base].tables, "alembic_version"}
    require_current(database, base)


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
    require_current(database, base)


@pytest.mark.parametrize("base", ["books", "keys"])
def test_upgrading_twice_changes_nothing(database, base):
    upgrade(database, base)
    upgrade(database, base)
    require_current(database, base)


@pytest.mark.parametrize("base", ["books", "keys"])
def test_the_program_knows_the_newest_revision(base):
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS / base))
    assert ScriptDirectory.from_config(config).get_heads() == [HEADS[base]]


def test_an_empty_database_is_no_vault(database):
    with pytest.raises(IntegrityError) as caught:
        require_current(database, "books")
    assert caught.value.code == "schema_missing"


@pytest.mark.parametrize("version", ["0000", "9999"])
def test_another_schema_is_refused(database, version):
    upgrade(database, "books")
    with database.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": version})
    with pytest.raises(UnavailableError) as caught:
        require_current(database, "books")
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
