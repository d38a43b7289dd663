"""One SQL database: SQLite by default, PostgreSQL by URL; transactions that mean the same on both.

``write()`` serialises all writers of the database (BEGIN IMMEDIATE; a transaction-level advisory lock on PostgreSQL), so
whatever is read inside it stays true until its commit. A commit that returned is on disk (SQLite: WAL with synchronous=FULL;
PostgreSQL: synchronous_commit on). If ``write()`` raises ``UnavailableError("database_unavailable")`` the outcome of the commit
is unknown: read back before trying again (SQLite and PostgreSQL both may keep a commit that reported failure;
``docs/design/reliability.md``).
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, event, exc, make_url, text
from sqlalchemy import create_engine as sqlalchemy_engine
from sqlalchemy.orm import Session

from vault.errors import InputError, IntegrityError, UnavailableError
from vault.storage.driver_calls import keep_driver
from vault.storage.driver_errors import wrapped
from vault.storage.patience import BUSY_MILLISECONDS, Patience

SQLITE_FIXED = (3, 51, 3)  # first release without the WAL-reset bug, which loses commits silently
WRITER_CACHE_KIB = 65_536  # pages that an import touches in random order stay in memory, not in the log again and again
WAL_PAGES = 4_000  # a page that many commits write is folded into the file once; one table of the log's index finds up to 4,062
CONNECT_SECONDS = 10  # to a PostgreSQL server, unless its URL says otherwise
WRITER_LOCK = 0x67656E6F  # any constant: the advisory lock all writers of one PostgreSQL database share

PRAGMAS: tuple[tuple[str, str | int], ...] = (
    ("journal_mode", "wal"),
    ("synchronous", 2),  # FULL: a returned commit survives power loss
    ("foreign_keys", 1),
    ("busy_timeout", BUSY_MILLISECONDS),
    ("secure_delete", 1),  # off in the wheels' build: a deleted key would stay in the file
    ("trusted_schema", 0),
    ("cell_size_check", 1),
    ("journal_size_limit", 64 * 2**20),  # bytes
    ("wal_autocheckpoint", WAL_PAGES),
)

_WAITS = "genovault-waits"  # in a connection's info: the statement by which it was told how long to wait
_LOOKED_OVER = "genovault-schema"  # in a connection's info: the number of the schema that was looked over

Transaction = Session
"""An SQL transaction, as ``Database.read`` and ``Database.write`` yield it."""


class Database:
    """Engines of one database: a single writer and a pool of readers."""

    def __init__(self, url: str) -> None:
        self._url = _parse(url)
        self.dialect = self._url.get_backend_name()
        self.patience = Patience()
        self._turn = threading.Lock()  # of this process's writers
        if self.dialect == "sqlite":
            _require_file(Path(str(self._url.database)))
            self._writer = _sqlite(self._url, writer=True, patience=self.patience)
            self._reader = _sqlite(self._url, writer=False)
        else:
            waiting = {} if "connect_timeout" in self._url.query else {"connect_timeout": CONNECT_SECONDS}
            self._writer = _engine(self._url, pool_pre_ping=True, connect_args=waiting)
            self._reader = self._writer

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Open a write transaction, alone in the database; commits on leaving, rolls back on any exception.

        Raises UnavailableError("database_unavailable") when it cannot start or its commit's outcome is unknown.
        """
        if not self._turn.acquire(timeout=self.patience.left):
            self.patience.tire()
            raise UnavailableError("database_unavailable", "another writer of the database did not end in time", hint="try again")
        try:
            with wrapped(), Transaction(self._writer, expire_on_commit=False) as tx, tx.begin():
                try:
                    self._take_turn(tx)
                except Exception:
                    self.patience.tire()
                    raise
                self.patience.rest()
                yield tx
        finally:
            self._turn.release()

    def _take_turn(self, tx: Transaction) -> None:
        keep_driver(tx)  # BEGIN IMMEDIATE now, not with the first statement
        if self.dialect == "postgresql":
            tx.execute(text("SET TRANSACTION ISOLATION LEVEL READ COMMITTED"))  # else the lock would not renew the snapshot
            tx.execute(text("SET LOCAL synchronous_commit = on"))
            if not self.patience.usual:
                tx.execute(text(f"SET LOCAL lock_timeout = {int(self.patience.left * 1000)}"))
            tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK})

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Open a read transaction over one snapshot.

        Raises UnavailableError("database_unavailable"); IntegrityError("database_damaged"): the file is damaged, ("schema_altered").
        """
        with wrapped(reading=True), Transaction(self._reader, expire_on_commit=False) as tx, tx.begin():
            if self.dialect == "postgresql":
                tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            keep_driver(tx)
            yield tx

    def watch_schema(self, check: Callable[[Connection], None]) -> None:
        """Have the schema looked over in the first transaction of each connection, and in each that finds it changed (SQLite only).

        ``check`` raises what refuses the transaction. It reads within it, so nothing changes between the look and the work.
        """
        if self.dialect != "sqlite":
            return

        def begun(connection: Connection) -> None:
            raw = connection.connection.dbapi_connection
            version = raw.execute("PRAGMA schema_version").fetchone()  # type: ignore[union-attr]
            if connection.info.get(_LOOKED_OVER) != version:
                check(connection)
                connection.info[_LOOKED_OVER] = version

        for engine in (self._reader, self._writer):
            event.listen(engine, "begin", begun)

    def checkpoint_wal(self, *tables: str) -> None:
        """Overwrite deleted bytes: fold SQLite's write-ahead log into the file. On PostgreSQL, VACUUM the tables named, which frees the
        rows; its own log, archives and replicas keep them as long as they are kept (``docs/operations.md``).

        Raises:
            UnavailableError: ``database_busy``: a reader keeps the log open; ``database_unavailable``.
        """
        if self.dialect != "sqlite":
            with wrapped(), self._writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for table in tables:
                    connection.exec_driver_sql(f"VACUUM {table}")
            return
        with wrapped(), self._writer.connect() as connection:
            raw = connection.connection.dbapi_connection
            if not self.patience.usual:
                connection.info[_WAITS] = told = self.patience.pragma
                raw.execute(told)  # type: ignore[union-attr]
            busy = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]  # type: ignore[union-attr]
        if busy:
            raise UnavailableError(
                "database_busy", "a reader keeps the write-ahead log open", hint="try again when it has finished"
            )

    def settings(self) -> list[tuple[str, str | int]]:
        """Current values of ``PRAGMAS`` (SQLite only)."""
        if self.dialect != "sqlite":
            return []
        with wrapped(), self._reader.connect() as connection:
            raw = connection.connection.dbapi_connection
            return [(name, raw.execute(f"PRAGMA {name}").fetchone()[0]) for name, _ in PRAGMAS]  # type: ignore[union-attr]

    def damage(self) -> list[str]:
        """Findings of SQLite's own check of pages and foreign keys; none on PostgreSQL, which checks itself."""
        if self.dialect != "sqlite":
            return []
        found: list[str] = []
        try:
            with wrapped(reading=True), self._reader.connect() as connection:
                raw = connection.connection.dbapi_connection
                lines = (line for row in raw.execute("PRAGMA integrity_check(20)") for line in str(row[0]).splitlines())  # type: ignore[union-attr]
                found += (line for line in lines if line != "ok" and not line.startswith("***"))
                dangling = {row[0] for row in raw.execute("PRAGMA foreign_key_check")}  # type: ignore[union-attr]
                found += (f"rows of {table} refer to what is not there" for table in sorted(dangling))
        except IntegrityError as error:  # so damaged that the check itself stops
            found.append(error.message)
        return found

    def copy_to(self, path: Path) -> None:
        """Copy to a new SQLite file, consistent, made while others read and write (SQLite only).

        Raises:
            UnavailableError: ``copy_needs_sqlite``; ``database_unavailable``: the disk is full, or the database does not answer.
            InputError: ``vault_exists``: the file is already there.
        """
        if self.dialect != "sqlite":
            raise UnavailableError(
                "copy_needs_sqlite", "a PostgreSQL database is not copied from here", hint="use pg_dump or base backups"
            )
        create_sqlite_file(path)
        target = _sqlite(make_url(f"sqlite:///{path}"), writer=True, patience=Patience())
        try:
            with wrapped(), self._reader.connect() as source, target.connect() as copy:
                # The snapshot is one: all pages are copied in one step, under one read lock.
                source.connection.dbapi_connection.backup(copy.connection.dbapi_connection)  # type: ignore[union-attr]
                copy.connection.dbapi_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
        finally:
            target.dispose()

    def room(self) -> int | None:
        """Bytes that are free where the file lies; None on PostgreSQL, and where the system does not say."""
        if self.dialect != "sqlite":
            return None
        try:
            found = os.statvfs(Path(str(self._url.database)).parent)
        except (OSError, AttributeError):
            return None
        return found.f_bavail * found.f_frsize

    def close(self) -> None:
        """Return all connections."""
        self._writer.dispose()
        self._reader.dispose()

    @property
    def engine(self) -> Engine:
        """The writer engine, for migrations."""
        return self._writer


def create_sqlite_file(path: Path) -> None:
    """Create an empty file with mode 0600 for a new SQLite database. Raises InputError ``vault_exists``."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise InputError("vault_exists", f"{path.name} is already there", hint="choose another folder") from None


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise InputError("bad_url", "the database URL cannot be read", hint="sqlite:///FILE or postgresql://…") from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or not parsed.database:
        raise InputError("bad_url", f"no support for databases of kind {backend}", hint="sqlite:///FILE or postgresql://…")
    return parsed


def _require_file(path: Path) -> None:
    mode = _mode(path)
    if mode is None:
        raise UnavailableError("no_database", f"{path.name} is missing", hint="restore it from a backup")
    for beside in ("", "-wal", "-shm", "-journal"):  # SQLite opens whatever stands there, and waits for a pipe for ever
        name = path.name + beside
        found = _mode(path.with_name(name))
        if found is not None and not stat.S_ISREG(found):
            raise IntegrityError("not_a_database", f"{name} is not a file", hint=f"remove what stands at {path}{beside}")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise IntegrityError("open_permissions", f"{path.name} is open to other users", hint=f"chmod 600 {path}")


def _mode(path: Path) -> int | None:
    """Kind and mode of the file that a name leads to; None where there is none. Raises UnavailableError ``no_database``."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:  # links that lead in a circle, a folder that may not be searched
        raise UnavailableError(
            "no_database", f"{path.name} cannot be opened: {error.strerror}", hint=f"look at what stands at {path}"
        ) from None


def _engine(url: URL, **options: Any) -> Engine:
    # Parameters hold sealed data and ids: they never belong in a message. Rows do too, and a program that turns on SQLAlchemy's
    # logging would have each one written out, so the engine is given a logger of its own that leads nowhere.
    engine = sqlalchemy_engine(url, hide_parameters=True, **options)
    engine.logger = logging.Logger("vault.storage.silent", logging.CRITICAL)  # noqa: LOG001 - getLogger would join it to the tree
    return engine


def _sqlite(url: URL, *, writer: bool, patience: Patience | None = None) -> Engine:
    from pysqlite3 import dbapi2  # noqa: PLC0415 - a PostgreSQL vault needs no SQLite

    if dbapi2.sqlite_version_info < SQLITE_FIXED:
        raise UnavailableError(
            "sqlite_too_old",
            f"SQLite {dbapi2.sqlite_version} can lose commits in WAL mode",
            hint="install pysqlite3 0.6.1 or newer",
        )
    pool: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, "pool_timeout": BUSY_MILLISECONDS / 1000} if writer else {}
    engine = _engine(url, module=dbapi2, **pool)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours: the driver's legacy mode starts transactions late
        _set_pragmas(connection)
        connection.execute(f"PRAGMA cache_size=-{WRITER_CACHE_KIB}" if writer else "PRAGMA query_only=1")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        raw = connection.connection.dbapi_connection
        if patience is not None and not patience.usual and connection.info.get(_WAITS) != patience.pragma:
            connection.info[_WAITS] = told = patience.pragma
            raw.execute(told)
        raw.execute("BEGIN IMMEDIATE" if writer else "BEGIN")

    return engine


def _set_pragmas(connection: Any) -> None:
    """Set every pragma and read it back: SQLite ignores unknown ones in silence."""
    for name, wanted in PRAGMAS:
        connection.execute(f"PRAGMA {name}={wanted}")
        found = connection.execute(f"PRAGMA {name}").fetchone()
        if found is None or found[0] != wanted:
            raise UnavailableError("sqlite_setting", f"SQLite does not take {name}={wanted}", hint="use a local file system")


class ReadOnlyCopy(Database):
    """A SQLite file in a folder that this account may not write, where nobody else writes either: for looking, never for work."""

    def __init__(self, url: str) -> None:
        """Raises UnavailableError ``database_unavailable``: what stands in its write-ahead log could not be read."""
        from pysqlite3 import dbapi2  # noqa: PLC0415 - as _sqlite

        self._url = _parse(url)
        self.dialect = "sqlite"
        self.patience, self._turn = Patience(), threading.Lock()
        path = Path(str(self._url.database))
        _require_file(path)
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            raise UnavailableError(
                "database_unavailable", "the copy's write-ahead log cannot be read here", hint="copy it while the vault is closed"
            )
        place = f"file:{quote(str(path))}?immutable=1&mode=ro"
        self._reader = self._writer = _engine(self._url, module=dbapi2, creator=lambda: dbapi2.connect(place, uri=True))


def look_into(url: str) -> Database:
    """A database to look into: as ``Database``, or, where its folder cannot be written, as ``ReadOnlyCopy``."""
    found = _parse(url)
    frozen = found.get_backend_name() == "sqlite" and not os.access(Path(str(found.database)).parent, os.W_OK)
    return ReadOnlyCopy(url) if frozen else Database(url)
