"""Certificate of erasure: signed text of what was destroyed, what remains, and when the last copy of the keys expires.

A certificate is a C2SP signed note: JSON, a blank line, and one Ed25519 signature by the vault's release key, under the name
``<origin of the log>/erasure``. It names no subject.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vault.audit.note import ED25519, Note, Signer, VerifierKey, sign_note, verify_note
from vault.errors import IntegrityError
from vault.subjects.suppressed import FIELD as SUPPRESSED

FORMAT = "genovault/erasure-certificate/1"

REMAINS = (
    "Consent codes and times under a random number that nothing links to the person; without wording, signer or evidence.",
    "Entries of the audit log, under a code that can no longer be computed from anything about the person.",
    "Sealed genotype blocks whose key is destroyed, until their dataset is removed; their lengths are sealed under a key that is kept.",
    "Pseudonymous copies in the releases listed; recipients were or will be told, and what they hold cannot be called back.",
    "Whatever key backups made before the erasure still hold, until the time given as horizon.",
)

REMAINS_SUPPRESSED = (
    "A keyed code of each reference to the person, as the person asked, so that nobody is registered under them again."
)


@dataclass(frozen=True)
class Certificate:
    """A certificate as it was signed."""

    erasure_id: str
    text: str

    @property
    def content(self) -> dict[str, Any]:
        """Document, without checking the signature."""
        return parse(self.text)


def issue(content: Mapping[str, Any], *, origin: str, signer: Signer) -> Certificate:
    """Make and sign the certificate of an erasure."""
    document = {"format": FORMAT, **content, "remains": [*REMAINS, *([REMAINS_SUPPRESSED] if SUPPRESSED in content else [])]}
    text = json.dumps(document, sort_keys=True, indent=1, ensure_ascii=True) + "\n"
    return Certificate(str(content["erasure"]), sign_note(text, signer_name(origin), signer))


def verify(text: str, *, origin: str, public: bytes) -> dict[str, Any]:
    """Check a certificate's signature (Ed25519, ``public`` 32 bytes) and return its document.

    Raises:
        IntegrityError: ``certificate_invalid``; and as reading a note.
    """
    note = Note.from_text(text)
    if not verify_note(note, [VerifierKey(signer_name(origin), ED25519, public)]):
        raise _invalid()
    return parse(text)


def parse(text: str) -> dict[str, Any]:
    """Document of a certificate, unchecked. Raises IntegrityError ``certificate_invalid``; and as reading a note."""
    try:
        document = json.loads(Note.from_text(text).text)
    except ValueError:
        raise _invalid() from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _invalid()
    return document


def signer_name(origin: str) -> str:
    """Name under which the release key signs certificates."""
    return f"{origin}/erasure"


def _invalid() -> IntegrityError:
    return IntegrityError("certificate_invalid", "this is no certificate of erasure of this vault")
