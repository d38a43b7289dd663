"""Cursors of panel reads: what an engine has of a panel, signed so that it can be shown again and nothing else (docs/design/server.md §8).

    base64url(JSON) "." base64url(HMAC-SHA256 under a key of this vault)

A cursor is of one principal, project, dataset and panel. It names the people of the read by the digest that the log keeps of them, and holds nothing of
them. Whatever is wrong with one is one error.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from vault.crypto.context import encode_context
from vault.crypto.keystore import Branch
from vault.crypto.primitives import KEY_BYTES, hkdf_expand_sha256, hmac_sha256
from vault.crypto.secret import Secret
from vault.errors import InputError
from vault.session.caches import Cache
from vault.session.moments import present
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.timestamps import to_micros

LONGEST = timedelta(days=30)
MOST_CHARACTERS = 2_000
MOST_GIVEN = 256  # texts that are kept
_FIELDS = ("principal", "project", "dataset", "panel", "people", "sites", "rows", "expires")


_GIVEN: Cache[dict[tuple[PanelCursor, int, int], str]] = Cache(dict)  # by cursor, epoch of the key and minute


@dataclass(frozen=True)
class PanelCursor:
    """State of an engine's copy of a panel.

    ``people``: digests of sets whose symmetric difference is everybody who was permitted; ``sites_id`` and ``rows`` as ``gate.PanelRead`` has them.
    """

    principal: str
    project: str
    dataset: str
    panel: str
    people: tuple[bytes, ...]
    sites_id: str
    rows: str


def cursor_text(vault: UnlockedVault, cursor: PanelCursor) -> str:
    """A cursor as it is given out, good for ``LONGEST`` from the end of the minute on; within one, the same state has the same text. Raises UnavailableError
    ``branch_closed``.
    """
    epoch, key = vault.keyring.current(Branch.RELEASE_SIGN)
    minute = int(vault.clock().timestamp()) // 60
    kept = vault.caches.get(_GIVEN)
    place = cursor, epoch, minute
    found = kept.get(place)
    if found is None:
        values = (
            cursor.principal,
            cursor.project,
            cursor.dataset,
            cursor.panel,
            ",".join(one.hex() for one in cursor.people),
            cursor.sites_id,
            cursor.rows,
            to_micros(datetime.fromtimestamp(60 * (minute + 1), UTC) + LONGEST),
        )
        found = kept[place] = signed_text(_of_epoch(vault, key), dict(zip(_FIELDS, values, strict=True)))
        while len(kept) > MOST_GIVEN:
            kept.pop(next(iter(kept)), None)
    return found


def read_cursor(vault: UnlockedVault, text: str, *, project: str, dataset: str, panel: str) -> PanelCursor:
    """Cursor that was given to this vault's actor for this panel.

    Raises:
        InputError: ``cursor_invalid``: malformed, altered, expired, another's or of another panel; which of them, nobody is told.
    """
    said = signed_fields(_key(vault), text)
    own = {"principal": vault.principal, "project": project, "dataset": dataset, "panel": panel}
    if said is None or any(said.get(name) != value for name, value in own.items()) or not _current(said, present(vault)):
        raise cursor_invalid()
    people = tuple(bytes.fromhex(one) for one in str(said["people"]).split(","))
    return PanelCursor(vault.principal, project, dataset, panel, people, str(said["sites"]), str(said["rows"]))


def cursor_invalid() -> InputError:
    """Whatever is wrong with a cursor."""
    return InputError("cursor_invalid", "this cursor does not hold here", hint="read all genotypes again")


def signed_text(key: bytes, fields: dict[str, str | int]) -> str:
    """Fields as text that ``signed_fields`` takes with the same key."""
    body = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    return f"{_base64(body)}.{_base64(hmac_sha256(key, body))}"


def signed_fields(key: bytes, text: str) -> dict[str, object] | None:
    """Fields of a text that was signed with a key; None for any other."""
    body, _, mac = text.partition(".")
    if len(text) > MOST_CHARACTERS or not text.isascii():
        return None
    try:
        raw, shown = _bytes(body), _bytes(mac)
    except binascii.Error:
        return None
    if not hmac.compare_digest(hmac_sha256(key, raw), shown) or f"{_base64(raw)}.{_base64(shown)}" != text:
        return None
    fields: dict[str, object] = json.loads(raw)  # ours: the MAC holds
    return fields


def _current(said: dict[str, object], now: datetime) -> bool:
    expires = said.get("expires")
    return isinstance(expires, int) and to_micros(now) < expires


def _key(vault: UnlockedVault) -> bytes:
    """Key of this vault's cursors, of the newest epoch of release-sign: a rotation ends all of them. Raises UnavailableError ``branch_closed``."""
    return _of_epoch(vault, vault.keyring.current(Branch.RELEASE_SIGN)[1])


def _of_epoch(vault: UnlockedVault, key: Secret) -> bytes:
    return hkdf_expand_sha256(key.reveal(), encode_context("genovault/panel-cursor/v1", vault.vault_id), KEY_BYTES)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
