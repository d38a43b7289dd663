"""Key agreement over X25519 and ChaCha20-Poly1305, the suite of Crypt4GH 1 (GA4GH; RFC 7748, RFC 8439).

::

    session key = first 32 bytes of BLAKE2b-512( X25519(own, peer) ‖ reader's public key ‖ writer's public key )

Not used inside the vault, whose own seals bind their place (``docs/formats/keys.md``).
"""

from __future__ import annotations

import hashlib
from typing import NoReturn, SupportsIndex, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from vault.crypto.primitives import KEY_BYTES, Octets
from vault.crypto.secret import Secret
from vault.errors import InputError, IntegrityError, UsageError

_PRIME = 2**255 - 19


@final
class ExchangeKey:
    """X25519 from 32 secret bytes. ``public``: 32 bytes."""

    __slots__ = ("_private", "public")

    public: bytes

    def __init__(self, secret: Secret) -> None:
        if len(secret) != KEY_BYTES:
            raise UsageError("key_length", "an X25519 key has 32 bytes")
        self._private = X25519PrivateKey.from_private_bytes(secret.reveal())
        self.public = self._private.public_key().public_bytes_raw()

    def key_to(self, reader: bytes) -> Secret:
        """Session key with a reader, whose 32-byte public key this is. Raises InputError ``public_key_invalid``."""
        return self._session(reader, reader=reader, writer=self.public)

    def key_from(self, writer: bytes) -> Secret:
        """Session key with a writer, whose 32-byte public key this is. Raises InputError ``public_key_invalid``."""
        return self._session(writer, reader=self.public, writer=writer)

    def _session(self, peer: bytes, *, reader: bytes, writer: bytes) -> Secret:
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(peer))
        except ValueError:  # of another length, or of small order: the shared secret would be known to everybody
            raise _invalid() from None
        return Secret(hashlib.blake2b(shared + reader + writer).digest()[:KEY_BYTES])

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a key is not pickled")


def require_usable(public: bytes) -> None:
    """Refuse a public key that nobody can be alone with: of another length, of small order, or a second spelling of a key.

    Raises:
        InputError: ``public_key_invalid``.
    """
    if len(public) != KEY_BYTES or int.from_bytes(public, "little") >= _PRIME:
        raise _invalid()
    ExchangeKey(Secret(bytes(KEY_BYTES))).key_to(public)


@final
class ChaChaPoly:
    """ChaCha20-Poly1305 under one 32-byte key, without associated data. A nonce is never used twice under one key."""

    __slots__ = ("_aead",)

    def __init__(self, key: Secret) -> None:
        if len(key) != KEY_BYTES:
            raise UsageError("key_length", "a ChaCha20 key has 32 bytes")
        self._aead = ChaCha20Poly1305(key.reveal())

    def seal(self, nonce: bytes, plaintext: Octets) -> bytes:
        """Seal as ``ciphertext ‖ tag``: 16 bytes longer than the plaintext."""
        return self._aead.encrypt(nonce, plaintext, None)

    def seal_into(self, nonce: Octets, plaintext: Octets, buffer: memoryview) -> None:
        """Seal into a buffer of exactly ``len(plaintext) + 16`` bytes."""
        self._aead.encrypt_into(nonce, plaintext, None, buffer)

    def open(self, nonce: bytes, sealed: Octets) -> bytes:
        """Open ``ciphertext ‖ tag``. Raises IntegrityError ``seal_broken``: wrong key or nonce, or altered bytes."""
        try:
            return self._aead.decrypt(nonce, sealed, None)
        except InvalidTag:
            raise IntegrityError("seal_broken", "a seal does not hold: wrong key or altered bytes") from None

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a key is not pickled")


def _invalid() -> InputError:
    return InputError("public_key_invalid", "this is not a usable X25519 public key", hint="make a new pair of keys")
