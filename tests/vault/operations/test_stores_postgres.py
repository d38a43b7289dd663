"""Stores put back, moved and copied where books and keys are on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url

from tests.support import vaults
from tests.support.postgres import postgres_url
from tests.support.vaults import opened
from vault import gate
from vault.consent import recording
from vault.errors import GenovaultError
from vault.operations import doctor
from vault.operations.erasure import process
from vault.operations.relocation import relocate
from vault.session.settings import Places

pytestmark = pytest.mark.long


@contextmanager
def server(folder: Path) -> Iterator[tuple[Engine, str]]:
    """Connections of their own transactions, and the server's URL."""
    with postgres_url(folder) as url:
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        try:
            yield engine, url
        finally:
            engine.dispose()


def at(url: str, name: str) -> str:
    return make_url(url).set(drivername="postgresql", database=name).render_as_string(hide_password=False)


def copied(engine: Engine, source: str, target: str) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {target} TEMPLATE {source}")


def swapped(engine: Engine, name: str, older: str) -> None:
    """The older database takes the other's name."""
    with engine.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} RENAME TO {name}_newest")
        connection.exec_driver_sql(f"ALTER DATABASE {older} RENAME TO {name}")


def restored(engine: Engine, name: str) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} RENAME TO {name}_again_old")
        connection.exec_driver_sql(f"ALTER DATABASE {name}_newest RENAME TO {name}")


def code(folder: Path) -> str:
    with pytest.raises(GenovaultError) as caught, opened(folder):
        pass
    return caught.value.code


def released(folder: Path) -> int:
    with opened(folder) as s:
        return len(gate.view(s, project="demo", dataset="cohort").pseudonyms)


def test_stores_put_back_moved_and_copied(tmp_path: Path):
    folder = tmp_path / "v"
    with server(tmp_path) as (engine, url):
        with engine.connect() as connection:
            for name in ("books", "keys"):
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
        vaults.make(folder, places=Places(books=at(url, "books"), keys=at(url, "keys")), whole=False)
        for name in ("books", "keys"):
            copied(engine, name, f"{name}_old")
        with opened(folder) as s:
            process.erase(s, "S03")
        document = (folder / "vault.json").read_text()
        (folder / "vault.json").write_text(json.dumps(json.loads(document) | {"keys": at(url, "keys_old")}))
        assert code(folder) in {"settings_altered", "keys_behind"}
        (folder / "vault.json").write_text(document)
        swapped(engine, "keys", "keys_old")
        assert code(folder) == "keys_behind"
        restored(engine, "keys")
        swapped(engine, "books", "books_old")
        assert code(folder) == "books_behind"
        restored(engine, "books")
        assert released(folder) == 9
        for name in ("books", "keys"):
            copied(engine, name, f"{name}_moved")
        relocate(folder, factor=vaults.FACTOR, books=at(url, "books_moved"), keys=at(url, "keys_moved"))
        with opened(folder) as s:
            recording.withdraw(s, "S04")
            assert doctor.examine(s).ok
        assert released(folder) == 8
