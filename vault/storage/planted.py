"""Triggers, views and rules that no migration made: they would run inside a vault's own transactions.

SQLite runs a trigger of the file in whatever transaction touches its table, and answers a name by a view of it; PostgreSQL has rules
besides. So a database is looked over before anything is read from it, and refused with the first thing that was planted.
"""

from __future__ import annotations

import re

from sqlalchemy import Connection, text

from vault.errors import IntegrityError
from vault.storage.audit_tables import TRIGGERS
from vault.storage.database import Database

_POSTGRESQL = """
    SELECT 'trigger', t.tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND n.nspname = current_schema()
    UNION ALL SELECT 'view', viewname, '' FROM pg_views WHERE schemaname = current_schema()
    UNION ALL SELECT 'rule', rulename, '' FROM pg_rules WHERE schemaname = current_schema() AND rulename <> '_RETURN'
"""
_SQLITE = "SELECT type, name, coalesce(sql, '') FROM sqlite_master WHERE type IN ('trigger', 'view')"
_GUARD = re.compile(r"audit_[a-z_]+_written_once")  # names of our own on PostgreSQL


def require_plain(database: Database, base: str) -> None:
    """Refuse a database (``books`` or ``keys``) that holds what no migration made.

    Raises:
        IntegrityError: ``schema_planted``. UnavailableError: ``database_unavailable``.
    """
    try:
        with database.read() as tx:
            found = _foreign(tx.connection(), base)
    except IntegrityError:  # no database at all, which whoever reads its schema version says
        return
    for kind, name in found:
        raise IntegrityError(
            "schema_planted",
            f"somebody put a {kind} into the {base} database: {name!a}",
            hint="drop it with the database's own shell, then genovault doctor",
        )


def _foreign(connection: Connection, base: str) -> list[tuple[str, str]]:
    """(kind, name) of what was planted."""
    if connection.dialect.name == "sqlite":
        own = {_plain(statement) for statement in TRIGGERS["sqlite"]} if base == "books" else set()
        rows = connection.execute(text(_SQLITE))
        return [(kind, name) for kind, name, sql in rows if kind != "trigger" or _plain(sql) not in own]
    rows = connection.execute(text(_POSTGRESQL))
    return [(kind, name) for kind, name, sql in rows if not (kind == "trigger" and _GUARD.fullmatch(name) and _guards(sql))]


def _plain(sql: str) -> str:
    return " ".join(sql.replace('"', "").split())


def _guards(definition: str) -> bool:
    return definition.rstrip().endswith("EXECUTE FUNCTION audit_written_once()")
