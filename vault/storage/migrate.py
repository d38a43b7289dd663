"""Schema versions: Alembic writes them, opening reads one row (Alembic itself is imported to upgrade only)."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import exc, inspect, text

from vault.errors import IntegrityError, UnavailableError
from vault.storage.database import Database, Transaction

REVISIONS = {
    "books": (
        "0001",
        "0002",
        "0003",
        "0004",
        "0005",
        "0006",
        "0007",
        "0008",
        "0009",
        "0010",
        "0011",
        "0012",
        "0013",
        "0014",
        "0015",
        "0016",
        "0017",
        "0018",
        "0019",
        "0020",
        "0021",
        "0022",
        "0023",
        "0024",
        "0025",
        "0026",
        "0028",
        "0027",
        "0030",
        "0033",
        "0034",
    ),
    "keys": ("0001", "0002"),
}  # of each database, oldest first; a test compares with the scripts
HEADS = {base: revisions[-1] for base, revisions in REVISIONS.items()}
_REVISION = re.compile(r"\d{4}", re.ASCII)
SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(database: Database, base: str, *, to: str = "head") -> None:
    """Bring a database (``books`` or ``keys``) to the newest schema, in one write transaction, alone."""
    _run(database, base, "upgrade", to)


def remove(database: Database, base: str) -> None:
    """Drop every table that ``upgrade`` made, in one transaction."""
    _run(database, base, "downgrade", "base")
    with database.write() as tx:
        tx.execute(text("DROP TABLE alembic_version"))


def has_tables(database: Database) -> bool:
    """True if the database holds any table of a vault. Raises UnavailableError ``database_unavailable``."""
    with database.read() as tx:
        return inspect(tx.connection()).has_table("alembic_version")


def upgrade_in(tx: Transaction, base: str) -> None:
    """Bring a database to the newest schema in the caller's write transaction."""
    _run_in(tx, base, "upgrade", "head")


def is_current_in(tx: Transaction, base: str) -> bool:
    """True if the caller's transaction sees the newest schema."""
    return bool(tx.scalar(text("SELECT version_num FROM alembic_version")) == HEADS[base])


def _run(database: Database, base: str, verb: str, revision: str) -> None:
    with database.write() as tx:
        _run_in(tx, base, verb, revision)


def _run_in(tx: Transaction, base: str, verb: str, revision: str) -> None:
    from alembic import command  # noqa: PLC0415 - 0.15 s that opening a vault must not pay
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS / base))
    config.attributes["connection"] = tx.connection()
    getattr(command, verb)(config, revision)


def make_current(database: Database, base: str) -> None:
    """Bring a database that an older program made to the newest schema. Raises as ``is_current``."""
    if not is_current(database, base):
        upgrade(database, base)


def is_current(database: Database, base: str) -> bool:
    """True for the newest schema, False for one that this program upgrades.

    Raises:
        IntegrityError: ``schema_missing``: no vault's database; ``schema_altered``: of no version at all. UnavailableError: ``schema_version``: of a newer program;
            ``database_unavailable``: it does not answer, as on a full disk, which no backup mends.
    """
    try:
        with database.read() as tx:
            found = tx.scalar(text("SELECT version_num FROM alembic_version"))
    except (UnavailableError, IntegrityError, exc.ProgrammingError) as error:
        if isinstance(error, UnavailableError) and has_tables(database):
            raise
        raise IntegrityError("schema_missing", f"the {base} database is not a vault's or is damaged", hint="restore it") from None
    if found not in REVISIONS[base]:
        if not (isinstance(found, str) and _REVISION.fullmatch(found)):
            raise IntegrityError(
                "schema_altered",
                f"the {base} database does not say which schema it has: somebody has edited alembic_version",
                hint=f"put {HEADS[base]} back, if this program was the last to open it; else restore the newest backup of it",
            )
        raise UnavailableError(
            "schema_version", f"the {base} database has schema {found}, not {HEADS[base]}", hint="upgrade genovault"
        )
    return bool(found == HEADS[base])
