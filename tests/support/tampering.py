"""Every table, column and file of a vault, edited by somebody who holds no factor: what stops it, or who finds it.

The cells are made from the schema, so that a new column is a new cell. ``docs/tampering.md`` is what they came to:

    python -m tests.support.tampering > docs/tampering.md
    python -m tests.support.tampering books.project          # the section of one table, to be put there
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pysqlite3 import dbapi2

from tests.support.rich_vault import Rich, released_by, rich
from tests.support.vaults import opened
from vault.audit.live_source import check_live
from vault.errors import GenovaultError
from vault.operations import doctor
from vault.session.collections import COLLECTIONS
from vault.session.unlocked_vault import UnlockedVault
from vault.storage import audit_tables, book_tables, disclosure_tables, key_tables, service_tables
from vault.storage.base import Base, KeysBase

MODULES = (
    audit_tables,
    book_tables,
    disclosure_tables,
    key_tables,
    service_tables,
)  # imported so that the metadata knows their tables
DATABASES = {"books": Base.metadata, "keys": KeysBase.metadata}


STOPPED, FOUND, HARMLESS, SILENT, CHANGED = "stopped", "found", "harmless", "SILENT", "CHANGED"

HARMLESS_BECAUSE = {
    "books.collection_head.listing": "decides nothing; only a listing that was signed names a record",
    "books.subject": "a row of an erased person, who has no data, keys or identity",
    "books.panel_build": "a build of before is of other versions of the part: it is not read, the dataset is",
    "books.layout_member.group_no": "a person's block does not open at another place: refused when it is read",
    "books.layout_member.slot": "a person's block does not open at another place: refused when it is read",
    "books.subject.created": "shown to stewards; nothing is decided by it",
    "books.panel_build.created": "shown to nobody; a build may be made again at any time",
    "books.panel_build.total_bytes": "a size for reports; reading goes by the directory of the build",
    "books.panel_build.table_versions": "a build of other versions is stale: it is not read, the dataset is",
    "books.audit_session.audit_read_public": "says which key to try first; the right one opens the detail",
    "books.audit_session.created": "shown to nobody",
    "books.audit_checkpoint.created": "shown to auditors; the note has no time",
    "books.consent_said.said_id": "a statement that no event names",
    "books.audit_checkpoint": "the marks hold size and root of the newest: another history is refused at the opening",
    "books.assayed_places": "a list that no part names",
    "books.audit_session": "a key that no detail names",
    "books.risk_report": "a report that is gone is made anew; nothing is decided by it",
    "books.stored_answer": "an answer that is gone is drawn anew, and charged; an earlier one was charged as well",
    "books.stream_ticket": "a ticket that is gone is not accepted",
    "books.extract_order": "an order that is gone is not made, and one that is put back is decided anew, for who asked: it is asked for again",
    "keys.branch_epoch": "a counter before the cipher's limit, an alarm for those who wrap keys: nobody without a slot wraps any",
    "keys.erased": "an erasure that the books do not know is later than they are; nothing is destroyed for it",
    "keys.high_water": "an earlier mark asks for less; put back with all else, only an anchor or a checkpoint tells",
    "keys.high_water.id": "there is one row, whatever its number",
    "keys.branch_epoch.created": "shown to stewards; counters decide",
    "keys.branch_epoch.closed": "a closed epoch is destroyed in the keystore: nothing can be wrapped under it",
    "keys.branch_epoch.wraps": "counted higher, the alarm comes earlier; counted lower, doctor finds it",
}
"""Why an edit that nothing notices does no harm, by database, table and column."""


@dataclass(frozen=True)
class Cell:
    """One attack: on a table's column, a table's rows, or a file."""

    database: str  # books | keys | "" for files
    table: str
    column: str  # "" for rows
    attack: str
    edit: Callable[[Path], bool]  # carries it out on a vault's folder; False if it changes nothing

    @property
    def place(self) -> str:
        """Key of ``HARMLESS_BECAUSE``."""
        return ".".join(part for part in (self.database, self.table, self.column) if part)


@dataclass(frozen=True)
class Verdict:
    """What became of one attack."""

    kind: str
    by: str = ""  # error code of the refusal, or codes of the findings


def table_cells(made: Rich) -> Iterator[Cell]:
    """Every column of every table with every attack, and the attacks on whole rows."""
    for database, metadata in DATABASES.items():
        for table in metadata.sorted_tables:
            columns = [column.name for column in table.columns]
            keys = [column.name for column in table.primary_key.columns]
            for column in columns:
                yield Cell(database, table.name, column, "edit", _edit(database, table.name, column, keys))
                yield Cell(database, table.name, column, "swap two rows", _swap(database, table.name, column, keys))
            yield Cell(database, table.name, "", "replay an older row", _replay(made, database, table.name, columns, keys))
            yield Cell(database, table.name, "", "delete a row", _delete(database, table.name, keys))
            yield Cell(database, table.name, "", "delete all", _statement(database, f"DELETE FROM {table.name}"))
            yield Cell(database, table.name, "", "insert a row", _insert(database, table.name, columns, keys))


def file_cells(made: Rich) -> Iterator[Cell]:
    """Keystore files, settings, objects, triggers and views."""

    def both(edit: Callable[[bytes], bytes]) -> Callable[[Path], bool]:
        return lambda folder: _rewrite(folder / "keystore.a", edit) & _rewrite(folder / "keystore.b", edit)

    def flip(data: bytes) -> bytes:
        return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]

    yield Cell("", "keystore", "one copy", "edit", lambda folder: _rewrite(folder / "keystore.a", flip))
    yield Cell("", "keystore", "both copies", "edit", both(flip))
    yield Cell("", "keystore", "both copies", "truncate", both(lambda data: data[:-40]))
    yield Cell(
        "",
        "keystore",
        "both copies",
        "delete",
        lambda folder: not (_remove(folder / "keystore.a") or _remove(folder / "keystore.b")),
    )
    yield Cell("", "keystore", "both copies", "replay an older one", lambda folder: _older_keystore(made, folder))
    for field in ("vault_id", "books", "keys", "objects", "anchors", "change", "signer", "signature"):
        yield Cell("", "vault.json", field, "edit", _setting(field))
    yield Cell("", "vault.json", "", "delete", lambda folder: not _remove(folder / "vault.json"))
    names = sorted({path.suffix for path in (made.folder / "objects").rglob("*") if path.is_file()})
    for suffix in names:
        yield Cell("", "objects", suffix, "edit", lambda folder, end=suffix: _rewrite(_objects(folder, end)[0], flip))
        yield Cell("", "objects", suffix, "truncate", lambda folder, end=suffix: _rewrite(_objects(folder, end)[0], _short))
        yield Cell("", "objects", suffix, "delete", lambda folder, end=suffix: not _remove(_objects(folder, end)[0]))
        yield Cell("", "objects", suffix, "swap two names", lambda folder, end=suffix: _swap_files(_objects(folder, end)))
    for database in DATABASES:
        table = "part" if database == "books" else "wrapped_key"
        trigger = f"CREATE TRIGGER planted AFTER INSERT ON {table} BEGIN SELECT 1; END"
        yield Cell("", database, "schema", "plant a trigger", _statement(database, trigger))
        yield Cell("", database, "schema", "plant a view", _statement(database, f"CREATE VIEW planted AS SELECT * FROM {table}"))
    yield Cell("", "books", "schema", "drop a guard", _drop_guard)


def judge(made: Rich, cell: Cell, work: Path) -> Verdict | None:
    """Carry an attack out on a copy of the vault and see what becomes of it; None if it changes nothing."""
    folder = work / "v"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made.folder, folder)
    if not cell.edit(folder):
        return None
    try:
        with opened(folder) as s:
            return _judge_open(made, cell, s)
    except GenovaultError as error:
        return Verdict(STOPPED, error.code)


def _judge_open(made: Rich, cell: Cell, s: UnlockedVault) -> Verdict:
    if cell.table in COLLECTIONS and cell.database == "books" and s.books.altered():
        return Verdict(STOPPED, "collection_altered")
    same, stopped = True, ""
    try:
        same = released_by(s) == made.released
    except GenovaultError as error:
        stopped = error.code
    if stopped:
        return Verdict(STOPPED, stopped)
    codes = {found.code for found in doctor.examine(s).findings if found.severity != "note"}
    report = check_live(s.trail.log, None, s.trail.log_keys()[0].to_text())
    codes |= {finding.code for finding in report.findings}
    if not same:
        return Verdict(CHANGED, ", ".join(sorted(codes)))
    if codes:
        return Verdict(FOUND, ", ".join(sorted(codes)))
    return Verdict(HARMLESS if cell.place in HARMLESS_BECAUSE else SILENT)


def _statement(database: str, statement: str) -> Callable[[Path], bool]:
    def run(folder: Path) -> bool:
        with editing(folder / f"{database}.db") as connection:
            return bool(connection.execute(statement).rowcount != 0)

    return run


def _drop_guard(folder: Path) -> bool:
    connection = dbapi2.connect(str(folder / "books.db"))
    name = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchone()[0]
    connection.execute(f"DROP TRIGGER {name}")
    connection.close()
    return True


def _edit(database: str, table: str, column: str, keys: list[str]) -> Callable[[Path], bool]:
    def run(folder: Path) -> bool:
        with editing(folder / f"{database}.db") as connection:
            query = f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY {', '.join(keys)} DESC LIMIT 1"
            row = connection.execute(query).fetchone()
            if row is None or row[0] == b"":
                return False
            changed = connection.execute(
                f"UPDATE OR IGNORE {table} SET {column} = ? WHERE ({', '.join(keys)}) IN "
                f"(SELECT {', '.join(keys)} FROM {table} WHERE {column} IS NOT NULL ORDER BY {', '.join(keys)} DESC LIMIT 1)",
                (_other(row[0]),),
            )
            return bool(changed.rowcount)

    return run


def _swap(database: str, table: str, column: str, keys: list[str]) -> Callable[[Path], bool]:
    def run(folder: Path) -> bool:
        if column in keys:
            return False  # as a copy in another place
        with editing(folder / f"{database}.db") as connection:
            order = ", ".join(keys)
            ends = [
                connection.execute(f"SELECT {order}, {column} FROM {table} ORDER BY {order} {way} LIMIT 1").fetchone()
                for way in ("ASC", "DESC")
            ]
            if None in ends or ends[0][-1] == ends[1][-1]:
                return False
            where = " AND ".join(f"{key} = ?" for key in keys)
            unique = f"UPDATE {table} SET {column} = ? WHERE {where}"
            try:
                connection.execute(unique, (_other(ends[0][-1] or b"\0"), *ends[1][:-1]))  # for unique columns
                connection.execute(unique, (ends[1][-1], *ends[0][:-1]))
                connection.execute(unique, (ends[0][-1], *ends[1][:-1]))
            except dbapi2.IntegrityError:
                return False
            return True

    return run


def _replay(made: Rich, database: str, table: str, columns: list[str], keys: list[str]) -> Callable[[Path], bool]:
    def run(folder: Path) -> bool:
        listed, where = ", ".join(columns), " AND ".join(f"{key} = ?" for key in keys)
        with editing(made.earlier / f"{database}.db") as connection:
            before = connection.execute(f"SELECT {listed} FROM {table}").fetchall()
        places = [columns.index(key) for key in keys]
        with editing(folder / f"{database}.db") as connection:
            for row in before:
                key = [row[at] for at in places]
                now = connection.execute(f"SELECT {listed} FROM {table} WHERE {where}", key).fetchone()
                if now is not None and now != row:
                    connection.execute(f"UPDATE {table} SET {' = ?, '.join(columns)} = ? WHERE {where}", (*row, *key))
                    return True
                if now is None and connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]:
                    connection.execute(f"INSERT OR IGNORE INTO {table} ({listed}) VALUES ({', '.join('?' * len(columns))})", row)
                    return True
        return False

    return run


def _delete(database: str, table: str, keys: list[str]) -> Callable[[Path], bool]:
    order = ", ".join(keys)
    last = f"({order}) IN (SELECT {order} FROM {table} ORDER BY {', '.join(f'{key} DESC' for key in keys)} LIMIT 1)"
    return _statement(database, f"DELETE FROM {table} WHERE {last}")


def _insert(database: str, table: str, columns: list[str], keys: list[str]) -> Callable[[Path], bool]:
    """A copy of the last row under another key; into an empty table, a row of zeros."""

    def run(folder: Path) -> bool:
        with editing(folder / f"{database}.db") as connection:
            listed = ", ".join(columns)
            row = connection.execute(f"SELECT {listed} FROM {table} ORDER BY {', '.join(keys)} DESC LIMIT 1").fetchone()
            if row is None:
                kinds = {name: kind for _, name, kind, *_ in connection.execute(f"PRAGMA table_info({table})")}
                row = tuple(b"\0" * 16 if kinds[one] == "BLOB" else "" if kinds[one] == "TEXT" else 0 for one in columns)
            changed = list(row)
            changed[columns.index(keys[-1])] = _other(row[columns.index(keys[-1])])
            marks = ", ".join("?" * len(columns))
            try:
                return bool(connection.execute(f"INSERT OR IGNORE INTO {table} ({listed}) VALUES ({marks})", changed).rowcount)
            except dbapi2.IntegrityError:
                return False

    return run


def _other(value: Any) -> Any:
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1])
    return value + 1 if isinstance(value, int) else f"{value}x"


class editing:  # noqa: N801 - reads as a verb where it is used
    """A connection that may do everything: no foreign keys, no triggers, which it puts back so that nothing looks different."""

    def __init__(self, path: Path) -> None:
        self._connection = dbapi2.connect(str(path), isolation_level=None)

    def __enter__(self) -> Any:
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        self._connection.execute("PRAGMA foreign_keys=0")
        self._triggers = self._connection.execute(query).fetchall()
        for name, _ in self._triggers:
            self._connection.execute(f"DROP TRIGGER {name}")
        return self._connection

    def __exit__(self, *_: object) -> None:
        for _, statement in self._triggers:
            self._connection.execute(statement)
        self._connection.close()


def _rewrite(path: Path, edit: Callable[[bytes], bytes]) -> bool:
    data = path.read_bytes()
    path.write_bytes(edit(data))
    return edit(data) != data


def _remove(path: Path) -> bool:
    path.unlink()
    return False


def _short(data: bytes) -> bytes:
    return data[:-1]


def _objects(folder: Path, suffix: str) -> list[Path]:
    return sorted(path for path in (folder / "objects").rglob(f"*{suffix}") if path.is_file() and path.suffix == suffix)


def _swap_files(paths: list[Path]) -> bool:
    if len(paths) < 2:
        return False
    first, second = paths[0].read_bytes(), paths[1].read_bytes()
    paths[0].write_bytes(second)
    paths[1].write_bytes(first)
    return first != second


def _older_keystore(made: Rich, folder: Path) -> bool:
    changed = [(made.earlier / name).read_bytes() != (folder / name).read_bytes() for name in ("keystore.a", "keystore.b")]
    for name in ("keystore.a", "keystore.b"):
        shutil.copy(made.earlier / name, folder / name)
    return any(changed)


def _setting(field: str) -> Callable[[Path], bool]:
    def run(folder: Path) -> bool:
        path = folder / "vault.json"
        settings = json.loads(path.read_text())
        if field not in settings:
            return False
        value = settings[field]
        settings[field] = [*value, "/tmp/elsewhere"] if isinstance(value, list) else _other(value)
        path.write_text(json.dumps(settings))
        return True

    return run


ATTACKS = ("edit", "swap two rows"), ("replay an older row", "delete a row", "delete all", "insert a row")
HEAD = """# What becomes of an edited vault

Somebody who writes everything that is stored and holds no factor edits one thing; then the vault is opened, a dataset and a panel are
viewed, `doctor` and `audit verify` run. **stopped** by an error code: nothing is released, or no statement that names the table is
answered. **found**: what is released is the same, and `doctor` or `audit verify` tells, by these codes. **harmless**: neither, and why.
A dash: the attack changes nothing there. Everything put back together to one earlier moment is not on this page: only an anchor or a
checkpoint kept elsewhere tells ([SECURITY.md](../SECURITY.md)).

Made by `python -m tests.support.tampering > docs/tampering.md` from the schema itself; `tests/attacks/test_tampering.py` judges every
cell again on SQLite, and a sample on PostgreSQL, and fails for a column without a row.
"""


def page(made: Rich, work: Path) -> str:
    """The page, with every cell judged."""
    tables = [(database, table.name) for database, metadata in DATABASES.items() for table in metadata.sorted_tables]
    lines = [HEAD, *(line for database, name in tables for line in section(made, work, database, name))]
    lines += ["## Files", "", "| what | | attack | |", "|---|---|---|---|"]
    for cell in file_cells(made):
        lines.append(f"| {cell.table} | {cell.column} | {cell.attack} | {_told(cell, judge(made, cell, work))} |")
    return "\n".join(lines)


def section(made: Rich, work: Path, database: str, name: str) -> list[str]:
    """The lines about one table, with its cells judged."""
    cells = [cell for cell in table_cells(made) if (cell.database, cell.table) == (database, name)]
    told = {(c.column, c.attack): _told(c, judge(made, c, work)) for c in cells}
    lines = [f"## {database}: {name}", "", f"| column | {' | '.join(ATTACKS[0])} |", "|---|---|---|"]
    for column in DATABASES[database].tables[name].columns:
        row = " | ".join(told[column.name, attack] for attack in ATTACKS[0])
        lines.append(f"| `{database}.{name}.{column.name}` | {row} |")
    rows = " | ".join(told["", attack] for attack in ATTACKS[1])
    return [*lines, "", f"| {' | '.join(ATTACKS[1])} |", "|---|---|---|---|", f"| {rows} |", ""]


def _told(cell: Cell, verdict: Verdict | None) -> str:
    if verdict is None:
        return "-"
    if verdict.kind == HARMLESS:
        return f"harmless: {HARMLESS_BECAUSE[cell.place]}"
    return f"{verdict.kind}: {verdict.by}"


def main() -> None:
    """Print the page, or the sections of the tables that are named, as ``books.project``."""
    with tempfile.TemporaryDirectory() as temporary:
        made, work = rich(Path(temporary)), Path(temporary) / "work"
        if names := sys.argv[1:]:
            sys.stdout.write("\n".join(line for name in names for line in section(made, work, *name.split("."))) + "\n")
        else:
            sys.stdout.write(page(made, work) + "\n")


if __name__ == "__main__":
    main()
