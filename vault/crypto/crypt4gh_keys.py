"""Key files of Crypt4GH clients: public and private X25519 keys in PEM-like armour, as the reference client writes them.

::

    public  = base64( 32 bytes )
    private = base64( "c4gh-v1" ‖ str(kdf) ‖ [str(u32 rounds ‖ salt)] ‖ str(cipher) ‖ str(key) ‖ [str(comment)] )
    str(x)  = u16 length ‖ bytes                                                     integers big-endian
    key     = 32 bytes, or sealed by the passphrase: nonce 12 ‖ ChaCha20-Poly1305 ciphertext and tag

Key derivations scrypt (N 2^14, r 8, p 1), pbkdf2_hmac_sha256, none; bcrypt is refused by name. What is something else (a private key, an SSH, RSA
or signing key) is refused with a line that says what it is. Nothing of a file's content is told.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable

from vault.crypto.key_agreement import ChaChaPoly, ExchangeKey, require_usable
from vault.crypto.primitives import KEY_BYTES, NONCE_BYTES, sha256
from vault.crypto.secret import Secret
from vault.errors import InputError, IntegrityError
from vault.files.plain_text import printable

MAX_KEY_FILE_BYTES = 64 * 1024
MAX_ROUNDS = 10_000_000  # of PBKDF2: seconds of work
_MAGIC = b"c4gh-v1"
_ARMOUR = re.compile(rb"\s*-----BEGIN ([A-Z0-9 ]{1,60})-----\s(.*?)-----END \1-----\s*", re.DOTALL)
_PUBLIC = b"CRYPT4GH PUBLIC KEY"
_MAKE = "make a pair of keys with crypt4gh-keygen"


def fingerprint(public: bytes) -> str:
    """Fingerprint of a public key: SHA-256 in hex of its 32 bytes."""
    return sha256(public).hex()


def public_key_armour(public: bytes) -> str:
    """A public key as a key file."""
    return f"-----BEGIN {_PUBLIC.decode()}-----\n{base64.b64encode(public).decode()}\n-----END {_PUBLIC.decode()}-----\n"


def parse_public_key(data: bytes) -> bytes:
    """The 32 bytes of a public key file.

    Raises:
        InputError: ``key_kind``: another kind of key; ``key_malformed``; ``public_key_invalid``.
    """
    label, content = _unarmoured(data, wanted="public")
    if content.startswith(_MAGIC) or (b"CRYPT4GH" in label and b"PRIVATE" in label):
        hint = "give the public key (.pub); whoever holds the private key reads the data"
        raise InputError("key_kind", "this is a private key, which nobody else should see", hint=hint)
    if label != _PUBLIC:
        raise _of_another_kind(label)
    if len(content) != KEY_BYTES:
        raise _malformed("a public key has 32 bytes")
    require_usable(content)
    return content


def parse_private_key(data: bytes, *, passphrase: Callable[[], str]) -> ExchangeKey:
    """The key of a private key file. ``passphrase`` is asked if the file is locked.

    Raises:
        InputError: ``key_kind``, ``key_malformed``; ``key_kdf``: locked in a way that is not opened here; ``key_passphrase``: not
            with this passphrase; what ``passphrase`` raises.
    """
    label, content = _unarmoured(data, wanted="private")
    if label == _PUBLIC:
        raise InputError("key_kind", "this is a public key; it opens nothing", hint="give the private key (.sec)")
    if not content.startswith(_MAGIC) and b"CRYPT4GH" not in label:  # clients of before left "CRYPT4GH" out of the label
        raise _of_another_kind(label)
    fields = _Fields(content)
    kdf = fields.text()
    options = b"" if kdf == b"none" else fields.text()
    cipher, sealed = fields.text(), fields.text()
    fields.end()
    if kdf == b"none":
        if cipher != b"none" or len(sealed) != KEY_BYTES:
            raise _malformed("a key that is not locked has 32 bytes")
        return ExchangeKey(Secret(sealed))
    if kdf not in _DERIVED:
        hint = "decrypt with the crypt4gh program, and compare the SHA-256 of what it gives with the manifest's"
        message = f"this key is locked with {printable(kdf.decode('ascii', 'replace')):.20}, which is not opened here"
        raise InputError("key_kdf", message, hint=hint)
    if cipher != b"chacha20_poly1305" or len(options) < 4:
        raise _malformed("its lock is of an unknown form")
    key = _DERIVED[kdf](passphrase().encode(errors="surrogateescape"), options[4:], int.from_bytes(options[:4], "big"))
    try:
        opened = ChaChaPoly(Secret(key)).open(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:])
    except (IntegrityError, ValueError):
        raise InputError("key_passphrase", "the key is not opened with this passphrase") from None
    if len(opened) != KEY_BYTES:
        raise _malformed("a private key has 32 bytes")
    return ExchangeKey(Secret(opened))


def _scrypt(passphrase: bytes, salt: bytes, _rounds: int) -> bytes:
    return hashlib.scrypt(passphrase, salt=salt, n=1 << 14, r=8, p=1, dklen=KEY_BYTES)


def _pbkdf2(passphrase: bytes, salt: bytes, rounds: int) -> bytes:
    if not 1 <= rounds <= MAX_ROUNDS:
        raise _malformed("its number of rounds")
    return hashlib.pbkdf2_hmac("sha256", passphrase, salt, rounds, KEY_BYTES)


_DERIVED: dict[bytes, Callable[[bytes, bytes, int], bytes]] = {b"scrypt": _scrypt, b"pbkdf2_hmac_sha256": _pbkdf2}


class _Fields:
    """Length-prefixed fields of a private key, one after another."""

    def __init__(self, content: bytes) -> None:
        if not content.startswith(_MAGIC):
            raise _malformed("it does not begin as a private key does")
        self._content, self._at = content, len(_MAGIC)

    def text(self) -> bytes:
        """The next field."""
        start = self._at + 2
        self._at = start + int.from_bytes(self._content[self._at : start], "big")
        if start > len(self._content) or self._at > len(self._content):
            raise _malformed("it is cut short")
        return self._content[start : self._at]

    def end(self) -> None:
        """Refuse anything but a comment after the fields that were read."""
        if self._at < len(self._content):
            self.text()
        if self._at != len(self._content):
            raise _malformed("there is something behind its end")


def _unarmoured(data: bytes, *, wanted: str) -> tuple[bytes, bytes]:
    """Label and content of an armoured key. Raises InputError ``key_malformed``, ``key_kind``."""
    found = _ARMOUR.fullmatch(data) if len(data) <= MAX_KEY_FILE_BYTES else None
    if found is None:
        kind = next((kind for start, kind in _WITHOUT_ARMOUR if re.match(start, data.lstrip())), None)
        if kind is not None:
            raise InputError("key_kind", f"this is {kind}, not a Crypt4GH key", hint=_MAKE)
        raise _malformed(f"it has no armour of a Crypt4GH {wanted} key")
    label, body = found.groups()
    try:
        return label, base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        if b"CRYPT4GH" not in label:  # headers of PGP and of locked RSA keys
            raise _of_another_kind(label) from None
        raise _malformed("its armour holds no base64") from None


def _of_another_kind(label: bytes) -> InputError:
    kind = next((kind for part, kind in _ARMOURED if part in label), "a key of another kind")
    return InputError("key_kind", f"this is {kind}, not a Crypt4GH key", hint=_MAKE)


_ARMOURED = (
    (b"OPENSSH PRIVATE", "an OpenSSH private key, which nobody else should see"),
    (b"SSH2", "an SSH key"),
    (b"RSA", "an RSA key"),
    (b"CERTIFICATE", "a certificate"),
    (b"PGP", "a PGP key"),
    (b"EC ", "an elliptic-curve key of another curve"),
    (b"PRIVATE", "a private key in PKCS #8 armour, which nobody else should see"),
    (b"PUBLIC", "a public key in X.509 armour"),
)
_WITHOUT_ARMOUR = (
    (rb"ssh-|ecdsa-|sk-ssh", "an OpenSSH public key"),
    (rb"age1", "an age recipient"),
    (rb"AGE-SECRET", "an age identity, which nobody else should see"),
    (rb"[^\s+]+\+[0-9a-f]{8}\+", "a key that checks signatures"),
)


def _malformed(what: str) -> InputError:
    return InputError("key_malformed", f"not a Crypt4GH key file: {what}", hint=_MAKE)
