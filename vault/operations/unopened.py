"""A vault that cannot be opened: what can be said of it without a key."""

from __future__ import annotations

from pathlib import Path

from vault.errors import GenovaultError
from vault.operations.doctor import HealthFinding, HealthReport, Severity
from vault.session.settings import SETTINGS, read_settings

_WHOLE = ("keystore.a", "keystore.b", SETTINGS)
_BACK = "genovault restore SRC: what is still there is used; see docs/operations.md"
CLOSED = frozenset({"cannot_unlock", "no_vault", "passphrase_needed", "slot_outdated", "factor_needed"})
"""Codes of openings that say nothing of the vault's health: whoever asks has no key to it, or there is no vault."""


def examine(folder: Path, error: GenovaultError) -> HealthReport:
    """Reason for which the vault does not open, and those of its parts that are not in the folder."""
    found = [HealthFinding(Severity.ERROR, error.code, error.message, error.hint or _BACK)]
    found += [HealthFinding(Severity.ERROR, "part_missing", f"{name} is not there", _BACK) for name in _missing(folder)]
    return HealthReport(tuple(found), ("everything that is sealed",))


def _missing(folder: Path) -> list[str]:
    names = list(_WHOLE)
    try:
        places = read_settings(folder).places
    except GenovaultError:
        return [name for name in names if not (folder / name).exists()]
    names += [place.removeprefix("sqlite:///") for place in (places.books, places.keys) if place.startswith("sqlite:///")]
    names += [places.objects] if "://" not in places.objects else []
    return [Path(name).name for name in names if not (folder / name).exists()]
