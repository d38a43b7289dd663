"""Empty databases on both back ends: new SQLite files, and new databases of one PostgreSQL cluster per process."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

from tests.support.postgres import postgres_url
from vault.storage.database import create_sqlite_file

_numbers = itertools.count(1)


@contextmanager
def cluster() -> Iterator[str]:
    """URL of a running cluster. Not below pytest's own folder, which is closed to the account that PostgreSQL runs as."""
    folder = Path(tempfile.mkdtemp(prefix="genovault-pg-"))
    folder.chmod(0o755)
    try:
        with postgres_url(folder) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_postgres(server: str) -> str:
    """URL of a new, empty database of the cluster."""
    name = f"test{next(_numbers)}"
    engine = create_engine(make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def new_sqlite(folder: Path) -> str:
    """URL of a new, empty SQLite file."""
    path = folder / f"test{next(_numbers)}.db"
    create_sqlite_file(path)
    return f"sqlite:///{path}"
