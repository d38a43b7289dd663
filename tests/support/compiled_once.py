"""SQL compiled once in a test process, however many vaults it opens.

SQLAlchemy keeps what it compiled for each engine, and finds it again by the engine's dialect. A test that opens a vault a few times
spent half of its time on compiling what the tests before it had compiled. SQLite's dialect is made of the library's version alone,
so that what one engine compiled is what another would.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Engine
from sqlalchemy.util import LRUCache

from vault.storage import database

STATEMENTS = 4_000  # kept; more than the suite has

_dialect: Any = SQLiteDialect_pysqlite


def share() -> None:
    """Have every engine for SQLite that this process makes from now on use one cache, and all their dialects count as one."""
    kept: Any = LRUCache(STATEMENTS)
    made: Any = database._engine

    def engine(*args: Any, **options: Any) -> Engine:
        new: Any = made(*args, **options)
        if isinstance(new.dialect, _dialect):
            new._compiled_cache = kept
        return new  # type: ignore[no-any-return]

    database._engine = engine
    _dialect.__eq__ = lambda one, other: type(one) is type(other)
    _dialect.__hash__ = lambda one: hash(type(one))
