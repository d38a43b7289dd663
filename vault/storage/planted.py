"""Schemas that hold what no migration made: it would run, or answer, inside a vault's own transactions.

SQLite runs a trigger of the file in whatever transaction touches its table, answers a name by a view of it, drops a row in silence
where a constraint says so, and looks a name up in whatever an index holds; PostgreSQL has rules, policies, generated columns and
functions in constraints and defaults besides. So a database is looked over before anything is read from it, and again when its schema
has changed, and refused with the first thing that was planted. Schemas of earlier programs pass: theirs are fewer tables, columns and indexes, of the same kinds.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from sqlalchemy import Connection, MetaData, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex

from vault.errors import IntegrityError
from vault.storage import book_tables, disclosure_tables, key_tables, service_tables  # noqa: F401 - whose import fills the metadata
from vault.storage.audit_tables import TRIGGERS
from vault.storage.base import Base, KeysBase
from vault.storage.compiled_statements import fetched
from vault.storage.database import Database

Planted = list[tuple[str, str]]
"""Kind and name of each thing that no migration made."""

_METADATA: dict[str, MetaData] = {"books": Base.metadata, "keys": KeysBase.metadata}
_EARLIER: dict[str, dict[str, tuple[str, ...]]] = {
    "books": {"part_member": ("CREATE INDEX ix_part_member_subject_id ON part_member (subject_id)",)},
    "keys": {},
}
"""Tables of earlier programs that a migration puts others in the place of, and their indexes."""
_OTHERS = frozenset({"alembic_version", "sqlite_stat1", "sqlite_stat4"})  # the last two: what ANALYZE leaves

# Keywords of SQLite's CREATE TABLE that ours do without: whatever they introduce changes what a statement does. CHECK and AS need a
# bracket, so that no name of ours is taken for them.
_ACTING = re.compile(
    r"\b(CONFLICT|COLLATE|GENERATED|VIRTUAL|CASCADE|RESTRICT|DEFERR\w+|AUTOINCREMENT|ON|CHECK|AS|DESC)\b", re.IGNORECASE
)
_DEFAULT = re.compile(r"\bDEFAULT\b(?! '(?:1|-|UTC)'(?![\w']))", re.IGNORECASE)
_OWN_CHECK = "CONSTRAINT ck_audit_head_single CHECK (id = 1)"


def keep_plain(database: Database, base: str) -> None:
    """As ``require_plain``; of SQLite, also in each later transaction that finds another schema than was looked over.

    A session may stay open for days. On PostgreSQL it is looked over when the session opens.
    """
    require_plain(database, base)
    database.watch_schema(lambda connection: _refuse(_in_sqlite(connection, base), base))


def require_plain(database: Database, base: str) -> None:
    """Refuse a database (``books`` or ``keys``) that holds what no migration made.

    Raises:
        IntegrityError: ``schema_planted``. UnavailableError: ``database_unavailable``.
    """
    try:
        with database.read() as tx:
            connection = tx.connection()
            found = _in_sqlite(connection, base) if connection.dialect.name == "sqlite" else _in_postgresql(connection, base)
    except IntegrityError:  # no database at all, which whoever reads its schema version says
        return
    _refuse(found, base)


def _refuse(found: Planted, base: str) -> None:
    for kind, name in found:
        raise IntegrityError(
            "schema_planted",
            f"somebody put a {kind} into the {base} database: {name!a}",
            hint="drop it with the database's own shell, then genovault doctor",
        )


def missing_guards(database: Database) -> int:
    """Number of the triggers of the books that keep programs from rewriting the log by mistake, and are gone."""
    with database.read() as tx:
        connection = tx.connection()
        if connection.dialect.name == "sqlite":
            query = text("SELECT coalesce(sql, '') FROM sqlite_master WHERE type = 'trigger'")
            found = set(map(_plain, connection.scalars(query)))
            return len({_plain(statement) for statement in TRIGGERS["sqlite"]} - found)
        query = text("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE 'audit\\_%\\_written\\_once'")
        held = connection.scalar(query) or 0
        return int(sum(statement.startswith("CREATE TRIGGER") for statement in TRIGGERS["postgresql"]) - held)


def require_sound_lookups(connection: Connection, table: str) -> None:
    """Refuse a table of SQLite whose indexes do not hold what its rows do: a row is looked up by one of them, and so by a name that
    it does not have. PostgreSQL keeps its indexes itself, out of the reach of statements.

    Raises IntegrityError ``database_damaged``.
    """
    if connection.dialect.name != "sqlite":
        return
    if fetched(connection, f"PRAGMA integrity_check('{table}')") != [("ok",)]:  # a name of our own
        raise IntegrityError(
            "database_damaged",
            f"the books were edited: indexes and rows of {table} differ",
            hint="genovault doctor says where; then restore a backup of the books",
        )


def _in_sqlite(connection: Connection, base: str) -> Planted:
    tables = _METADATA[base].tables.keys() | _EARLIER[base].keys() | _OTHERS
    indexes = _indexes(base)
    triggers = {_plain(statement) for statement in TRIGGERS["sqlite"]} if base == "books" else set()
    found: Planted = []
    # every row, because SQLite takes a type in any case of letters
    for kind, name, table, sql in connection.execute(text("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master")):
        plain = _plain(sql)
        known = (
            (kind == "table" and name in tables and _does_nothing(plain))
            or (kind == "index" and table in tables and (not sql or plain in indexes))
            or (kind == "trigger" and plain in triggers)
        )
        if not known:
            found.append((_called(str(kind).lower(), str(name), tables), str(name)))
    return found


def _called(kind: str, name: str, tables: frozenset[str] | set[str]) -> str:
    return "constraint" if kind == "table" and name in tables else kind


@lru_cache(maxsize=1024)
def _does_nothing(sql: str) -> bool:
    """True for a CREATE TABLE of plain columns and constraints that only refuse."""
    rest = sql.replace(_OWN_CHECK, "") if sql.startswith("CREATE TABLE audit_head") else sql
    return _ACTING.search(rest) is None and _DEFAULT.search(rest) is None


@cache
def _indexes(base: str) -> frozenset[str]:
    """The statements of our indexes, as ``_plain`` has them."""
    earlier = (_plain(index) for indexes in _EARLIER[base].values() for index in indexes)
    return frozenset(earlier) | frozenset(
        _plain(str(CreateIndex(index).compile(dialect=sqlite.dialect())))
        for table in _METADATA[base].tables.values()
        for index in table.indexes
    )


@lru_cache(maxsize=1024)
def _plain(sql: str) -> str:
    return " ".join(sql.replace('"', "").split())


# ``ours``: the tables that our names lead to, wherever a search path leads first.
_POSTGRESQL = r"""
    WITH ours AS (SELECT name, to_regclass(quote_ident(name)) AS oid FROM unnest(CAST(:names AS text[])) AS name)
    SELECT 'search path', array_to_string(current_schemas(true), ',') WHERE (current_schemas(true))[1] NOT IN ('pg_catalog')
     AND NOT ((current_schemas(true))[1] LIKE 'pg_temp%' AND (current_schemas(true))[2] = 'pg_catalog')
    UNION ALL SELECT 'view', viewname FROM pg_views WHERE schemaname = current_schema()
    UNION ALL SELECT 'rule', rulename FROM pg_rules WHERE schemaname = current_schema() AND rulename <> '_RETURN'
    UNION ALL SELECT 'relation', o.name FROM ours o JOIN pg_class c ON c.oid = o.oid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind <> 'r' OR n.nspname <> current_schema()
    UNION ALL SELECT 'policy', o.name FROM ours o JOIN pg_class c ON c.oid = o.oid WHERE c.relrowsecurity
    UNION ALL SELECT 'inheritance', o.name FROM ours o JOIN pg_inherits i ON o.oid IN (i.inhparent, i.inhrelid)
    UNION ALL SELECT 'column', o.name || '.' || a.attname FROM ours o JOIN pg_attribute a ON a.attrelid = o.oid
     JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = o.oid AND d.adnum = a.attnum
     WHERE a.attnum > 0 AND NOT a.attisdropped AND (a.attgenerated <> '' OR a.attidentity <> '' OR t.typtype <> 'b'
      OR EXISTS (SELECT FROM pg_collation k WHERE k.oid = a.attcollation AND NOT k.collisdeterministic)
      OR pg_get_expr(d.adbin, d.adrelid) !~ '^(''(1|UTC|\\x2d)''::(bigint|text|bytea)|nextval\(''high_water_id_seq''::regclass\))$')
    UNION ALL SELECT 'constraint', n.conname FROM ours o JOIN pg_constraint n ON n.conrelid = o.oid
     WHERE n.contype NOT IN ('p', 'u', 'f', 'n') AND NOT (n.contype = 'c' AND pg_get_constraintdef(n.oid) = 'CHECK ((id = 1))')
      OR n.contype = 'f' AND (n.confdeltype <> 'a' OR n.confupdtype <> 'a')
    UNION ALL SELECT 'index', c.relname FROM ours o JOIN pg_index i ON i.indrelid = o.oid JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL OR NOT (i.indisvalid AND i.indisready AND i.indislive)
    UNION ALL SELECT 'trigger', t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
     JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang
     WHERE NOT t.tgisinternal AND (n.nspname = current_schema() OR c.oid IN (SELECT oid FROM ours))
      AND NOT (:base = 'books' AND t.tgname = c.relname || '_written_once' AND t.tgqual IS NULL AND p.proname = 'audit_written_once'
       AND p.prosrc = :body AND l.lanname = 'plpgsql' AND p.proconfig IS NULL AND NOT p.prosecdef)
"""
_BODY = re.compile(r"\$body\$(.*)\$body\$", re.DOTALL)


def _in_postgresql(connection: Connection, base: str) -> Planted:
    body = next(match[1] for statement in TRIGGERS["postgresql"] if (match := _BODY.search(statement)))
    names = [*_METADATA[base].tables, *_EARLIER[base], "alembic_version"]
    rows = connection.execute(text(_POSTGRESQL), {"names": names, "base": base, "body": body})
    return [(kind, name) for kind, name in rows]
