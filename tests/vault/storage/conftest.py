"""Every storage test runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import pytest

from tests.support.clusters import new_postgres, new_sqlite
from vault.storage.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A new, empty database."""
    if request.param == "sqlite":
        return new_sqlite(tmp_path)
    return new_postgres(request.getfixturevalue("server"))


@pytest.fixture
def database(url):
    opened = Database(url)
    yield opened
    opened.close()
