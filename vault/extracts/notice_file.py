"""A notice as a file that is sent to recipients: which pseudonyms to drop from a release, how, and by when::

    {"notice": {…}, "signature": {"ed25519": base64, "key": vkey}}

Canonical JSON and a newline, signed with the release key as manifests are, under a context of its own. It holds pseudonyms and nothing
that leads to a person. The format is in docs/formats/extract.md.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vault.audit import canonical
from vault.audit.note import ED25519, Signer, VerifierKey
from vault.crypto.primitives import sha256, verify_signature
from vault.errors import InputError, IntegrityError
from vault.files.given_files import read_given

FORMAT = "genovault/notice/1"
CONTEXT = b"genovault/notice/v1\n"
LABEL = "pseudonymised personal data"
MAX_NOTICE_BYTES = 64 * 2**20
FIELDS = frozenset(
    {"format", "label", "notice", "revision", "log", "project", "concerns", "to", "created", "due", "drops", "called_off"}
)


def sign_notice(fields: Mapping[str, Any], log: str, signing_key: Signer) -> bytes:
    """The bytes of a notice's file. ``fields``: all of ``FIELDS`` but format, label and log."""
    inner = {"format": FORMAT, "label": LABEL, "log": log, **fields}
    signature = signing_key.sign(CONTEXT + canonical.encode(inner))
    key = VerifierKey(f"{log}/release", ED25519, signing_key.public)
    envelope = {"notice": inner, "signature": {"ed25519": base64.b64encode(signature).decode(), "key": key.to_text()}}
    return canonical.encode(envelope) + b"\n"


def verify_notice(path: Path, release_keys: Sequence[str]) -> dict[str, Any]:
    """The notice in a file, once its signature by one of the release keys holds. ``release_keys``: fingerprints.

    Raises:
        InputError: ``file_unreadable``, ``file_too_large``. IntegrityError: ``notice_malformed``, ``notice_key``, ``notice_signature``.
    """
    data = read_given(path, limit=MAX_NOTICE_BYTES, name=path.name)
    inner, key, signature = _opened(data)
    if sha256(key.public).hex() not in release_keys:
        raise IntegrityError("notice_key", "the notice is signed by none of the release keys given")
    try:
        verify_signature(key.public, signature, CONTEXT + canonical.encode(inner))
    except IntegrityError:
        raise IntegrityError("notice_signature", "the notice's signature does not hold") from None
    if set(inner) != FIELDS or inner["format"] != FORMAT or key.name != f"{inner['log']}/release":
        raise _malformed()
    return inner


def _opened(data: bytes) -> tuple[dict[str, Any], VerifierKey, bytes]:
    try:
        envelope = canonical.decode(data[:-1])
        inner, signed = envelope["notice"], envelope["signature"]
        signature, key = base64.b64decode(signed["ed25519"], validate=True), VerifierKey.from_text(signed["key"])
        whole = {"notice": inner, "signature": {"ed25519": base64.b64encode(signature).decode(), "key": key.to_text()}}
        if not isinstance(inner, dict) or key.kind != ED25519 or canonical.encode(whole) + b"\n" != data:
            raise _malformed()
    except (InputError, IntegrityError, TypeError, KeyError, AttributeError, ValueError):
        raise _malformed() from None
    return inner, key, signature


def _malformed() -> IntegrityError:
    return IntegrityError("notice_malformed", "this is not a notice of this version")
