"""Documents that are sent and checked offline, signed with the release key as manifests are::

    {KIND: {"format": "genovault/KIND/1", "log": origin, …}, "signature": {"ed25519": base64, "key": vkey}}

Canonical JSON and a newline. The Ed25519 signature is over ``genovault/KIND/v1``, a newline and the canonical bytes of the inner object;
the key's name is the log's origin with "/release".
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vault.audit import canonical
from vault.audit.note import ED25519, Signer, VerifierKey
from vault.crypto.primitives import verify_signature
from vault.errors import InputError, IntegrityError
from vault.extracts.verification import key_fingerprint

MAX_SIGNED_FILE_BYTES = 16 * 2**20  # 100,000 regions of a request are 3 MB


@dataclass(frozen=True)
class SignedFile:
    """One kind of document. ``fields``: all that it says, beside format and log."""

    kind: str
    fields: frozenset[str]

    def sign(self, said: Mapping[str, Any], log: str, signing_key: Signer) -> bytes:
        """The bytes of a document of this kind."""
        inner = {"format": self._format, "log": log, **said}
        signature = signing_key.sign(self._covered(inner))
        return self._whole(inner, signature, VerifierKey(f"{log}/release", ED25519, signing_key.public))

    def verify(self, data: bytes, release_keys: Sequence[str]) -> dict[str, Any]:
        """Content of a document, once its signature by one of the release keys holds. ``release_keys``: fingerprints.

        Raises:
            IntegrityError: ``<kind>_malformed``, ``<kind>_key``, ``<kind>_signature``.
        """
        inner, key, signature = self._opened(data)
        if key_fingerprint(key.public) not in release_keys:
            raise IntegrityError(f"{self.kind}_key", f"the {self.kind} is signed by none of the release keys given")
        try:
            verify_signature(key.public, signature, self._covered(inner))
        except IntegrityError:
            raise IntegrityError(f"{self.kind}_signature", f"the {self.kind}'s signature does not hold") from None
        if (
            set(inner) != self.fields | {"format", "log"}
            or inner["format"] != self._format
            or key.name != f"{inner['log']}/release"
        ):
            raise self._malformed()
        return inner

    @property
    def _format(self) -> str:
        return f"genovault/{self.kind}/1"

    def _covered(self, inner: Mapping[str, Any]) -> bytes:
        return f"genovault/{self.kind}/v1\n".encode() + canonical.encode(inner)

    def _whole(self, inner: Mapping[str, Any], signature: bytes, key: VerifierKey) -> bytes:
        signed = {"ed25519": base64.b64encode(signature).decode(), "key": key.to_text()}
        return canonical.encode({self.kind: inner, "signature": signed}) + b"\n"

    def _opened(self, data: bytes) -> tuple[dict[str, Any], VerifierKey, bytes]:
        if len(data) > MAX_SIGNED_FILE_BYTES:
            raise self._malformed()
        try:
            envelope = canonical.decode(data[:-1])
            inner, signed = envelope[self.kind], envelope["signature"]
            signature, key = base64.b64decode(signed["ed25519"], validate=True), VerifierKey.from_text(signed["key"])
            if not isinstance(inner, dict) or key.kind != ED25519 or self._whole(inner, signature, key) != data:
                raise self._malformed()
        except (InputError, IntegrityError, TypeError, KeyError, AttributeError, ValueError):
            raise self._malformed() from None
        return inner, key, signature

    def _malformed(self) -> IntegrityError:
        return IntegrityError(f"{self.kind}_malformed", f"this is no {self.kind} of this version, or it was altered")
