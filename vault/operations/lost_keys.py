"""A vault whose key database is lost: its log, its ledger and its books are still there to be looked at and copied.

It is opened beside an empty key database that is thrown away: nobody's genotypes or identity can be opened so, and nothing is released.
The way back is a backup of the data as they are now, which needs no key of anybody, restored with a backup of the keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from vault.crypto.keystore import Factor
from vault.errors import GenovaultError, UnavailableError
from vault.operations.doctor import HealthFinding, HealthReport, Severity
from vault.session.settings import read_settings
from vault.session.unlocked_vault import UnlockedVault, open_vault
from vault.storage.database import Database, create_sqlite_file
from vault.storage.migrate import upgrade

_FOLLOWS = frozenset({"marks_missing", "settings_altered", "key_missing", "key_altered", "keys_behind", "subject_keyless"})
HINT = "genovault backup DEST copies the data as they are; then restore DEST into another folder with --keys DIR, a backup of the keys"


def is_lost(folder: Path, error: GenovaultError) -> bool:
    """True if an opening failed because the key database, which lies in the folder, is not there."""
    keys = read_settings(folder).places.keys
    path = folder / keys.removeprefix("sqlite:///")
    return error.code == "no_database" and keys.startswith("sqlite:///") and not path.exists()


def lost(error: GenovaultError) -> UnavailableError:
    """The error of such an opening, with the way back as its hint."""
    return UnavailableError("keys_lost", error.message, hint=HINT)


def told(report: HealthReport, error: GenovaultError) -> HealthReport:
    """A report on such a vault, with the loss in place of all that follows from it."""
    rest = tuple(finding for finding in report.findings if finding.code not in _FOLLOWS)
    return replace(report, findings=(HealthFinding(Severity.ERROR, error.code, error.message, error.hint), *rest))


@contextmanager
def opened(folder: Path, *, factor: Factor, principal: str | None = None) -> Iterator[UnlockedVault]:
    """The vault beside an empty key database. The caller abandons it, or closes it so that its log is signed.

    Raises as ``open_vault``.
    """
    with TemporaryDirectory(prefix="genovault-") as scratch:
        path = Path(scratch).resolve() / "keys.db"
        create_sqlite_file(path)
        empty = Database(f"sqlite:///{path}")
        try:
            upgrade(empty, "keys")
        finally:
            empty.close()
        settings = read_settings(folder)
        # Nothing is written to its anchors and nothing asked of them: what lost its keys may be a copy of a vault in use.
        beside = replace(settings, places=replace(settings.places, keys=f"sqlite:///{path}"), anchors=())
        yield open_vault(folder, factor=factor, principal=principal, settings=beside)
