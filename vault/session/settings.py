"""vault.json: format, id and places of a vault, read strictly and replaced whole, signed by the steward who changed it.

::

    {"format": "genovault/vault/1", "vault_id": hex, "books": URL, "keys": URL, "objects": folder or URL, "anchors": [folders],
     "change": n, "signer": hex, "signature": hex}

The books hold what it says (``bound_text``), so that nobody without a slot points the vault at other databases or takes an anchor out
of it. The signature tells a change that a killed process has not told the books of from one that nobody with a slot has made.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from vault.crypto.context import encode_context
from vault.crypto.primitives import SigningKey, verify_signature
from vault.errors import GenovaultError, IntegrityError, UnavailableError
from vault.files import durable
from vault.files.given_files import open_regular
from vault.ids import VaultId
from vault.limits import MAX_SETTINGS_BYTES

VAULT_FORMAT = "genovault/vault/1"
SETTINGS = "vault.json"
_NOT_BOUND = ("password", "secret", "token")  # parameters of a URL that hold one are no place


@dataclass(frozen=True)
class Places:
    """Places of a vault's parts; relative SQLite files and folders are inside the vault's folder."""

    books: str = "sqlite:///books.db"
    keys: str = "sqlite:///keys.db"
    objects: str = "objects"


IN_FOLDER = Places()


@dataclass(frozen=True)
class Settings:
    """Parsed vault.json. In a vault that was not upgraded ``change`` is 0 and nothing is signed."""

    vault_id: VaultId
    places: Places
    anchors: tuple[Path, ...] = ()
    change: int = 0  # one more with each change
    signer: bytes = b""  # Ed25519 public key of the slot that made the change, 32 bytes
    signature: bytes = b""


def read_settings(folder: Path) -> Settings:
    """Parse vault.json strictly.

    Raises:
        UnavailableError: ``no_vault``; ``settings_unreadable``.
        IntegrityError: ``settings_malformed``; ``settings_unknown``: another format, or unknown fields.
    """
    try:
        with open_regular(folder / SETTINGS) as file:
            raw = file.read(MAX_SETTINGS_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        raise UnavailableError("no_vault", f"{folder} holds no vault", hint="genovault init DIR --steward NAME") from None
    except OSError as error:
        raise UnavailableError("settings_unreadable", f"{SETTINGS} cannot be read: {error.strerror}") from None
    try:
        document = json.loads(raw)
        fields = {name: document.pop(name) for name in ("format", "vault_id", "books", "keys", "objects")}
        vault_id = VaultId(bytes.fromhex(fields["vault_id"]))
        anchors = tuple(Path(place) for place in document.pop("anchors", ()))
        change, signer, signature = document.pop("change", 0), document.pop("signer", ""), document.pop("signature", "")
        places = Places(fields["books"], fields["keys"], fields["objects"])
        settings = Settings(vault_id, places, anchors, change, bytes.fromhex(signer), bytes.fromhex(signature))
        _require(type(change) is int and all(isinstance(place, str) for place in vars(places).values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise IntegrityError("settings_malformed", f"{SETTINGS} cannot be read", hint="restore it from a backup") from None
    if document or fields["format"] != VAULT_FORMAT or len(vault_id) != 16:
        raise IntegrityError("settings_unknown", f"{SETTINGS} is of an unknown format", hint="upgrade genovault")
    return settings


def write_settings(folder: Path, settings: Settings) -> None:
    """Replace vault.json; a reader finds the old one or the new one, whole."""
    document: dict[str, object] = {"format": VAULT_FORMAT, "vault_id": settings.vault_id.hex(), **vars(settings.places)}
    if settings.anchors:
        document["anchors"] = [str(place) for place in settings.anchors]
    if settings.signature:
        document |= {"change": settings.change, "signer": settings.signer.hex(), "signature": settings.signature.hex()}
    durable.replace(folder / SETTINGS, json.dumps(document, indent=1).encode(), temporary=folder / f".{SETTINGS}.new")


def bound_text(settings: Settings) -> str:
    """Copy of vault.json for the books: canonical JSON of places, anchors and change. No password: a new one moves nothing."""
    places = {name: _without_password(place) for name, place in vars(settings.places).items()}
    document = {**places, "anchors": sorted(str(place) for place in settings.anchors), "change": settings.change}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def anchors_in(bound: str) -> tuple[Path, ...]:
    """The anchors of a ``bound_text``."""
    return tuple(Path(place) for place in json.loads(bound)["anchors"])


def change_in(bound: str) -> int:
    """The number of the change that a ``bound_text`` speaks of."""
    return int(json.loads(bound)["change"])


def differences(bound: str, settings: Settings) -> list[str]:
    """Names of the fields in which vault.json differs from what the books hold, sorted."""
    known: dict[str, Any] = json.loads(bound)
    found: dict[str, Any] = json.loads(bound_text(settings))
    return sorted(name for name in found if found[name] != known.get(name))


def signed(settings: Settings, key: SigningKey) -> Settings:
    """The settings with a signature."""
    return replace(settings, signer=key.public, signature=key.sign(_signed_bytes(settings)))


def is_signed(settings: Settings) -> bool:
    """True if the signature is that of ``signer``, whoever that is."""
    try:
        verify_signature(settings.signer, settings.signature, _signed_bytes(settings))
    except GenovaultError:
        return False
    return True


def inside(folder: Path, place: str) -> str:
    """Resolve a relative SQLite URL or folder inside the vault's folder; other URLs as they are."""
    if place.startswith("sqlite:///"):
        return f"sqlite:///{folder.resolve() / place.removeprefix('sqlite:///')}"
    return place if "://" in place else str(folder.resolve() / place)


def _signed_bytes(settings: Settings) -> bytes:
    return encode_context("genovault/settings/v1", settings.vault_id, settings.change, bound_text(settings))


def _without_password(place: str) -> str:
    try:
        parts = urlsplit(place)
    except ValueError:
        return place
    if not parts.netloc:
        return place
    who, at, host = parts.netloc.rpartition("@")
    kept = [(name, value) for name, value in parse_qsl(parts.query) if not any(word in name.lower() for word in _NOT_BOUND)]
    return parts._replace(netloc=f"{who.partition(':')[0]}{at}{host}", query=urlencode(kept)).geturl()


def _require(condition: bool) -> None:  # noqa: FBT001 - reads as the assertion that it replaces
    if not condition:
        raise ValueError
