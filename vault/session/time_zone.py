"""The vault's time zone: whose days the typed dates are. Chosen at ``init`` and kept, signed, in the books."""

from __future__ import annotations

import os
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import select

from policies.errors import PolicyInputError
from policies.stated_times import Stated, first_instant
from vault.errors import InputError, UnavailableError
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import VaultRow

UTC_NAMES = frozenset({"UTC", "Etc/UTC", "Etc/UCT", "Etc/Zulu", "UCT", "Zulu"})


def require_zone(name: str) -> str:
    """The name of a zone of the IANA database, as it is kept. Raises InputError ``time_zone_unknown``."""
    if _found(name) is None:
        raise InputError(
            "time_zone_unknown", "there is no such time zone on this machine", hint="for example Europe/Berlin, or UTC"
        )
    return "UTC" if name in UTC_NAMES else name


def of_machine() -> str:
    """The name of this machine's zone: of TZ, /etc/localtime or /etc/timezone; UTC where none of them names one."""
    names = [os.environ.get("TZ", "").removeprefix(":")]
    if not names[0]:
        names = [str(Path("/etc/localtime").resolve()).partition("/zoneinfo/")[2], _first_line(Path("/etc/timezone"))]
    return next((require_zone(name) for name in names if name and _found(name) is not None), "UTC")


def zone_of(vault: UnlockedVault) -> tzinfo:
    """The vault's time zone.

    Raises:
        UnavailableError: ``time_zone_unknown``: this machine lacks its data. IntegrityError: as ``AuthenticBooks.read``.
    """
    with vault.books.read() as tx:
        name = tx.scalars(select(VaultRow.time_zone)).one()
    zone = _found(name)
    if zone is None:
        raise UnavailableError(
            "time_zone_unknown", f"this machine does not know the vault's time zone {name}", hint="pip install tzdata"
        )
    return zone


def instant_in(vault: UnlockedVault, stated: Stated | None) -> datetime | None:
    """The instant itself, or the first one of a day in the vault's time zone. Raises InputError ``bad_time``; as ``zone_of``."""
    if stated is None:
        return None
    try:
        return first_instant(stated, zone=UTC if isinstance(stated, datetime) else zone_of(vault))
    except PolicyInputError as error:
        raise InputError("bad_time", error.problems[0].message) from None


def _found(name: str) -> tzinfo | None:
    if name in UTC_NAMES:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _first_line(path: Path) -> str:
    try:
        return path.read_text().partition("\n")[0].strip()
    except (OSError, ValueError):
        return ""
