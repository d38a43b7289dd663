"""vault.json: format, id and places of a vault, read strictly and replaced whole.

::

    {"format": "genovault/vault/1", "vault_id": hex, "books": URL, "keys": URL, "objects": folder or URL, "anchors": [folders]}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from vault.errors import IntegrityError, UnavailableError
from vault.files import durable
from vault.files.given_files import open_regular
from vault.ids import VaultId
from vault.limits import MAX_SETTINGS_BYTES

VAULT_FORMAT = "genovault/vault/1"
SETTINGS = "vault.json"


@dataclass(frozen=True)
class Places:
    """Places of a vault's parts; relative SQLite files and folders are inside the vault's folder."""

    books: str = "sqlite:///books.db"
    keys: str = "sqlite:///keys.db"
    objects: str = "objects"


IN_FOLDER = Places()


@dataclass(frozen=True)
class Settings:
    """Parsed vault.json."""

    vault_id: VaultId
    places: Places
    anchors: tuple[Path, ...] = ()


def read_settings(folder: Path) -> Settings:
    """Parse vault.json strictly.

    Raises:
        UnavailableError: ``no_vault``.
        IntegrityError: ``settings_malformed``; ``settings_unknown``: another format, or unknown fields.
    """
    try:
        with open_regular(folder / SETTINGS) as file:
            raw = file.read(MAX_SETTINGS_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        raise UnavailableError("no_vault", f"{folder} holds no vault", hint="genovault init DIR --steward NAME") from None
    try:
        document = json.loads(raw)
        fields = {name: document.pop(name) for name in ("format", "vault_id", "books", "keys", "objects")}
        vault_id = VaultId(bytes.fromhex(fields["vault_id"]))
        anchors = tuple(Path(place) for place in document.pop("anchors", ()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise IntegrityError("settings_malformed", f"{SETTINGS} cannot be read", hint="restore it from a backup") from None
    if document or fields["format"] != VAULT_FORMAT or len(vault_id) != 16:
        raise IntegrityError("settings_unknown", f"{SETTINGS} is of an unknown format", hint="upgrade genovault")
    return Settings(vault_id, Places(fields["books"], fields["keys"], fields["objects"]), anchors)


def write_settings(folder: Path, settings: Settings) -> None:
    """Replace vault.json; a reader finds the old one or the new one, whole."""
    document: dict[str, object] = {"format": VAULT_FORMAT, "vault_id": settings.vault_id.hex(), **vars(settings.places)}
    if settings.anchors:
        document["anchors"] = [str(place) for place in settings.anchors]
    durable.replace(folder / SETTINGS, json.dumps(document, indent=1).encode(), temporary=folder / f".{SETTINGS}.new")


def inside(folder: Path, place: str) -> str:
    """Resolve a relative SQLite URL or folder inside the vault's folder; other URLs as they are."""
    if place.startswith("sqlite:///"):
        return f"sqlite:///{folder.resolve() / place.removeprefix('sqlite:///')}"
    return place if "://" in place else str(folder.resolve() / place)
