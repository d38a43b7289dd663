"""Cryptographic primitives, one suite each, wrapped so that failures raise the vault's errors.

SHA-256, HMAC-SHA256, HKDF-Expand (RFC 5869 §2.3), AES-256-GCM, Ed25519 (RFC 8032), Argon2id (RFC 9106) and HPKE (RFC 9180: base
mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM). Callers give nonces and salts: nothing here draws randomness, except
HPKE sealing, whose ephemeral key the library insists on making itself.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import call
from typing import ClassVar, NoReturn, SupportsIndex, final

import argon2.exceptions
import argon2.low_level
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from vault.crypto.secret import Secret
from vault.errors import InputError, IntegrityError, UnavailableError, UsageError
from vault.limits import MAX_ARGON2_KIB, MAX_ARGON2_LANES, MAX_ARGON2_TIME, MAX_ARGON2_WORK_KIB, MIN_ARGON2_WORK_KIB

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
SIGNATURE_BYTES = 64

Octets = bytes | bytearray | memoryview

Opener = Callable[[bytes, Octets, bytes], bytes]
"""One AES-256-GCM key, ready to open with: (nonce, sealed, aad) to plaintext. For ``open_each``, which says what its errors mean."""


def sha256(data: Octets) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(data).digest()


def hmac_sha256(key: bytes, message: Octets) -> bytes:
    """HMAC-SHA256, 32 bytes."""
    # RFC 2104 spelled out over two hashes: half the cost of hmac.digest, which looks its algorithm up each time.
    block = (key if len(key) <= 64 else sha256(key)).ljust(64, b"\x00")
    return sha256(block.translate(_OUTER_PAD) + sha256(block.translate(_INNER_PAD) + message))


@final
class HmacSha256:
    """HMAC-SHA256 of many messages under one key; the key is hashed once."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: Secret) -> None:
        block = key.reveal().ljust(64, b"\x00")
        if len(block) > 64:
            raise UsageError("key_length", "a key of HMAC-SHA256 has at most 64 bytes")
        self._inner = hashlib.sha256(block.translate(_INNER_PAD))
        self._outer = hashlib.sha256(block.translate(_OUTER_PAD))

    def digest(self, message: Octets) -> bytes:
        """HMAC-SHA256 of a message, 32 bytes."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a key is not pickled")


def hkdf_expand_sha256(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand with SHA-256. ``key`` must be uniformly random, at least 32 bytes; ``length`` is at most 8,160 bytes."""
    if 0 < length <= 32:
        return hmac_sha256(key, info + b"\x01")[:length]
    return _hkdf_expand(_SHA256, key, info, length)


def hkdf_expand_sha512(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand with SHA-512. ``key`` must be uniformly random, at least 32 bytes; ``length`` is at most 16,320 bytes."""
    return _hkdf_expand(_SHA512, key, info, length)


def constant_time_equal(a: bytes, b: bytes) -> bool:
    """True if the bytes are equal, in time that does not depend on where they differ (it does on their lengths)."""
    return hmac.compare_digest(a, b)


@final
class AesGcm:
    """AES-256-GCM under one 32-byte key. The caller must never use a nonce twice under one key.

    Reuse the object where many seals share the key: making one costs as much as sealing a kilobyte.
    """

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise UsageError("key_length", "an AES-256 key has 32 bytes")
        self._aead = AESGCM(key)

    def seal(self, nonce: bytes, plaintext: Octets, aad: bytes) -> bytes:
        """Seal as ``ciphertext ‖ tag``: 16 bytes longer than the plaintext."""
        return self._aead.encrypt(nonce, plaintext, aad)

    def seal_many(self, items: Iterable[tuple[bytes, bytes, bytes]]) -> list[bytes]:
        """Seal as ``nonce ‖ ciphertext ‖ tag`` each (nonce, plaintext, aad), in order."""
        encrypt = self._aead.encrypt
        return [nonce + encrypt(nonce, plaintext, aad) for nonce, plaintext, aad in items]

    def open(self, nonce: bytes, sealed: Octets, aad: bytes) -> bytes:
        """Open ``ciphertext ‖ tag``.

        Raises:
            IntegrityError: ``seal_broken``: wrong key, nonce or context, or altered bytes.
        """
        try:
            return self._aead.decrypt(nonce, sealed, aad)
        except InvalidTag:
            raise _seal_broken() from None

    def open_into(self, nonce: bytes, sealed: Octets, aad: bytes, buffer: bytearray | memoryview) -> int:
        """Open into a buffer of exactly ``len(sealed) - 16`` bytes; returns that number.

        On failure the buffer's content is undefined and must not be read.
        """
        try:
            return self._aead.decrypt_into(nonce, sealed, aad, buffer)
        except InvalidTag:
            raise _seal_broken() from None

    def open_many(self, items: Iterable[tuple[bytes, bytes, bytes]]) -> list[bytes]:
        """Open each (nonce, sealed, aad), in order; one broken seal fails the whole call. Raises as ``open``."""
        decrypt = self._aead.decrypt
        try:
            return [decrypt(nonce, sealed, aad) for nonce, sealed, aad in items]
        except InvalidTag:
            raise _seal_broken() from None

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a key is not pickled")


def seal_each(keys: Sequence[bytes], nonces: Iterable[bytes], plaintexts: Iterable[Octets], aad: bytes) -> list[bytes]:
    """``AesGcm(keys[i]).seal(nonces[i], plaintexts[i], aad)`` for each i, without the cost of calls or of holding the ciphers.

    Raises:
        UsageError: ``key_length``.
    """
    if set(map(len, keys)) - {KEY_BYTES}:
        raise UsageError("key_length", "an AES-256 key has 32 bytes")
    return [AESGCM(key).encrypt(nonce, data, aad) for key, nonce, data in zip(keys, nonces, plaintexts, strict=True)]


def openers(keys: Iterable[bytes]) -> list[Opener]:
    """Prepare each 32-byte key for ``open_each``: the costly half of opening.

    Raises:
        UsageError: ``key_length``.
    """
    kept = list(keys)
    if any(len(key) != KEY_BYTES for key in kept):
        raise UsageError("key_length", "an AES-256 key has 32 bytes")
    return [AESGCM(key).decrypt for key in kept]


def open_each(ready: Sequence[Opener], nonces: Sequence[bytes], sealed: Sequence[Octets], aad: bytes) -> list[bytes]:
    """Open ``sealed[i]`` under the i-th key and nonce, for each i, without the cost of a call for each; one broken seal fails all.

    Raises:
        IntegrityError: ``seal_broken``. UsageError: ``seal_count``: not one nonce and one seal for each key.
    """
    if not len(ready) == len(nonces) == len(sealed):
        raise UsageError("seal_count", "each seal needs one key and one nonce")
    try:
        return list(map(call, ready, nonces, sealed, repeat(aad)))
    except InvalidTag:
        raise _seal_broken() from None


@final
class SigningKey:
    """Ed25519 from a 32-byte seed."""

    __slots__ = ("_private", "public")

    public: bytes  # 32 bytes

    def __init__(self, seed: Secret) -> None:
        if len(seed) != KEY_BYTES:
            raise UsageError("key_length", "an Ed25519 seed has 32 bytes")
        self._private = Ed25519PrivateKey.from_private_bytes(seed.reveal())
        self.public = self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Sign: 64 bytes, the same each time for the same message."""
        return self._private.sign(message)

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a key is not pickled")


def verify_signature(public: bytes, signature: bytes, message: bytes) -> None:
    """Verify an Ed25519 signature.

    Raises:
        IntegrityError: ``signature_invalid``, also for a public key or signature of the wrong size.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise IntegrityError("signature_invalid", "the signature does not hold") from None


@dataclass(frozen=True)
class Argon2Profile:
    """Cost of one passphrase guess: memory in KiB, passes over it, lanes.

    Raises:
        InputError: ``argon2_out_of_range``: outside RFC 9106 §3.1 or the caps of ``vault.limits``.
    """

    m_kib: int
    t: int
    lanes: int

    DEFAULT: ClassVar[Argon2Profile]  # RFC 9106 §4, second choice: 64 MiB, about 0.1 s
    HIGH_MEMORY: ClassVar[Argon2Profile]  # RFC 9106 §4, first choice: 2 GiB, about 3 s
    TEST_ONLY: ClassVar[Argon2Profile]  # no protection at all

    def __post_init__(self) -> None:
        in_range = 1 <= self.lanes <= MAX_ARGON2_LANES and 1 <= self.t <= MAX_ARGON2_TIME
        if not in_range or not 8 * self.lanes <= self.m_kib <= MAX_ARGON2_KIB or self.work_kib > MAX_ARGON2_WORK_KIB:
            raise InputError(
                "argon2_out_of_range",
                "Argon2 parameters are out of range",
                hint=f"lanes 1-{MAX_ARGON2_LANES}, t 1-{MAX_ARGON2_TIME}, memory from 8 KiB a lane to {MAX_ARGON2_KIB} KiB, "
                f"memory x t at most {MAX_ARGON2_WORK_KIB} KiB",
            )

    @property
    def work_kib(self) -> int:
        """Memory x passes, in KiB: what a guess costs, and an unlock."""
        return self.m_kib * self.t

    def require_protective(self) -> None:
        """Raises InputError ``argon2_out_of_range`` for a new slot that is too cheap to guess; TEST_ONLY is what its name says."""
        if self != Argon2Profile.TEST_ONLY and self.work_kib < MIN_ARGON2_WORK_KIB:
            hint = f"memory x passes is at least {MIN_ARGON2_WORK_KIB // 1024} MiB; the default is 64 MiB x 3"
            raise InputError("argon2_out_of_range", "the Argon2 parameters protect too little", hint=hint)


Argon2Profile.DEFAULT = Argon2Profile(m_kib=64 * 1024, t=3, lanes=4)
Argon2Profile.HIGH_MEMORY = Argon2Profile(m_kib=2 * 1024 * 1024, t=1, lanes=4)
Argon2Profile.TEST_ONLY = Argon2Profile(m_kib=8, t=1, lanes=1)


def argon2id(passphrase: Secret, salt: bytes, profile: Argon2Profile) -> Secret:
    """Derive a 32-byte key from a passphrase (version 0x13, no secret, no associated data). The salt has 16 random bytes.

    Raises:
        UnavailableError: ``memory_short``: the machine cannot give the memory that the profile asks for, or it is more than half of all.
    """
    if profile.m_kib * 1024 > _machine_bytes() // 2:  # the parameters come from a file that nothing vouches for yet
        raise _memory_short(profile)
    try:
        raw = argon2.low_level.hash_secret_raw(
            passphrase.reveal(),
            salt,
            time_cost=profile.t,
            memory_cost=profile.m_kib,
            parallelism=profile.lanes,
            hash_len=KEY_BYTES,
            type=argon2.low_level.Type.ID,
        )
    except argon2.exceptions.HashingError:
        raise _memory_short(profile) from None
    return Secret(raw)


def _memory_short(profile: Argon2Profile) -> UnavailableError:
    return UnavailableError("memory_short", f"unlocking needs {profile.m_kib // 1024} MiB of free memory")


def _machine_bytes() -> int:
    """Physical memory; practically no limit where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 62


def hpke_public(private: Secret) -> bytes:
    """Compute the 32-byte X25519 public key of a 32-byte private key."""
    return _x25519(private).public_key().public_bytes_raw()


def hpke_seal(public: bytes, info: bytes, plaintext: bytes) -> bytes:
    """Seal as ``ephemeral public key (32) ‖ ciphertext ‖ tag``: 48 bytes longer than the plaintext; a fresh ephemeral key each time.

    Raises:
        IntegrityError: ``public_key_invalid``: not a usable X25519 key.
    """
    try:
        return _HPKE_SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public), info=info)
    except ValueError:
        raise IntegrityError("public_key_invalid", "a public key is not a usable X25519 key") from None


def hpke_open(private: Secret, info: bytes, sealed: bytes) -> bytes:
    """Open a message sealed to this key.

    Raises:
        IntegrityError: ``seal_broken``: wrong key or context, or altered bytes.
    """
    try:
        return _HPKE_SUITE.decrypt(sealed, _x25519(private), info=info)
    except (InvalidTag, ValueError):
        raise _seal_broken() from None


_SHA256, _SHA512 = hashes.SHA256(), hashes.SHA512()
_INNER_PAD, _OUTER_PAD = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))  # RFC 2104 §2

_HPKE_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def _x25519(private: Secret) -> X25519PrivateKey:
    if len(private) != KEY_BYTES:
        raise UsageError("key_length", "an X25519 key has 32 bytes")
    return X25519PrivateKey.from_private_bytes(private.reveal())


def _hkdf_expand(algorithm: hashes.HashAlgorithm, key: bytes, info: bytes, length: int) -> bytes:
    if not 0 <= length <= 255 * algorithm.digest_size:
        raise UsageError("hkdf_length", "HKDF-Expand yields at most 255 digests")
    return HKDFExpand(algorithm, length, info).derive(key) if length else b""


def _seal_broken() -> IntegrityError:
    return IntegrityError("seal_broken", "a seal does not hold: wrong key, wrong place or altered bytes")
