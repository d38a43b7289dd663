"""Sizes of the log that each of its keys may sign: from its first checkpoint to the first one of its successor.

So whoever kept a key that was replaced signs nothing that comes after (``docs/formats/audit.md`` §7).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vault.audit.note import ED25519, Note, Signer, VerifierKey, checkpoint_in
from vault.errors import IntegrityError


def signed_by(note: str, key: VerifierKey) -> bool:
    """True if a note carries a signature that names this key; it was not verified."""
    return any((line.name, line.key_id) == (key.name, key.key_id) for line in Note.from_text(note).signatures)


def require_in_range(last: str, signer: Signer, notes: Iterable[str], origin: str) -> None:
    """Refuse a newest note that an earlier key signed alone after ``signer`` had begun.

    Raises:
        IntegrityError: ``signer_range``.
    """
    key = VerifierKey(origin, ED25519, signer.public)
    if not signed_by(last, key) and any(signed_by(note, key) for note in notes):
        raise IntegrityError(
            "signer_range",
            "the newest signed head of the log is signed by a key that was replaced before",
            hint="put the newest books back; genovault audit verify names the head",
        )


def ends(notes: Iterable[str], keys: Sequence[VerifierKey]) -> dict[VerifierKey, int]:
    """The last size of each replaced key: the first that a later one signed. ``keys``: newest first."""
    began: dict[VerifierKey, int] = {}
    for note in notes:
        for key in keys:
            if signed_by(note, key):
                size = checkpoint_in(note).size
                began[key] = min(size, began.get(key, size))
    found = {}
    for at, key in enumerate(keys):
        later = [began[newer] for newer in keys[:at] if newer in began]
        if later:
            found[key] = min(later)
    return found
