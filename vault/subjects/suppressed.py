"""References of erased people who asked not to come back: keyed codes that their certificates of erasure hold.

By default nothing is kept of an erased person, so next month's file may register the person anew. For whoever asks for it, a code of each
reference stays in the vault, under the key of the handles, which outlives that of the index (docs/design/keys.md §12).
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence

from sqlalchemy import select

from vault.audit.note import Note
from vault.crypto.context import encode_context
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.primitives import HmacSha256
from vault.errors import IntegrityError, RefusedError
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ErasureRow
from vault.subjects.identities import Identity, named_by

FIELD = "suppressed"
"""Field of a certificate that holds the codes, 64 hex digits each."""


def codes(vault: UnlockedVault, identity: Identity) -> tuple[str, ...]:
    """Codes of all references that an identity names."""
    key = HmacSha256(vault.keys.open(KeyPurpose.HANDLE, vault.vault_id).secret)
    return tuple(sorted({_code(key, kind, value) for kind, value in named_by(identity)}))


def returning(vault: UnlockedVault, identities: Sequence[Identity]) -> list[int]:
    """Positions of the identities of which a certificate suppresses a reference. Raises IntegrityError ``certificate_invalid``."""
    held = frozenset(_held(vault))
    if not held:
        return []
    key = HmacSha256(vault.keys.open(KeyPurpose.HANDLE, vault.vault_id).secret)
    return [
        at for at, identity in enumerate(identities) if any(_code(key, kind, value) in held for kind, value in named_by(identity))
    ]


def require_none(vault: UnlockedVault, samples: Sequence[str]) -> None:
    """Refuse to register samples of people who asked not to come back.

    Raises:
        RefusedError: ``reference_suppressed``. IntegrityError: as ``returning``.
    """
    back = returning(vault, [Identity((name,)) for name in samples])
    if back:
        raise RefusedError(
            "reference_suppressed",
            f"{len(back)} samples of this file are of people who were erased and asked not to come back",
            hint="--unknown skip leaves them out; who wants to come back: genovault subject import SHEET --accept suppressed",
        )


def _held(vault: UnlockedVault) -> Iterable[str]:
    with vault.books.read() as tx:
        texts = tx.scalars(select(ErasureRow.certificate).where(ErasureRow.certificate.contains(f'"{FIELD}"'))).all()
    for text in texts:
        try:
            yield from json.loads(Note.from_text(text).text)[FIELD]
        except (ValueError, KeyError, TypeError):
            raise IntegrityError("certificate_invalid", "a stored certificate of erasure is none") from None


def _code(key: HmacSha256, kind: str, value: str) -> str:
    return key.digest(encode_context("genovault/suppressed/v1", kind, unicodedata.normalize("NFC", value))).hex()
