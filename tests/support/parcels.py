"""Sealed files as tests make and read them: key files, and a second reading that shares no code with ours."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tests.support.outside import extra
from vault.crypto.crypt4gh_keys import public_key_armour
from vault.crypto.key_agreement import ExchangeKey
from vault.crypto.secret import Secret
from vault.extracts.crypt4gh import Envelope, SealedFile


def pair(number: int) -> ExchangeKey:
    """A key pair that depends on the number alone."""
    return ExchangeKey(Secret(secret_of(number)))


def secret_of(number: int) -> bytes:
    """The 32 secret bytes of ``pair``."""
    return hashlib.sha256(b"pair %d" % number).digest()


def text(value: bytes) -> bytes:
    """A length-prefixed field of a private key file."""
    return len(value).to_bytes(2, "big") + value


def armour(label: str, content: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n{base64.b64encode(content).decode()}\n-----END {label}-----\n".encode()


def private_file(secret: bytes, *, comment: bytes | None = None) -> bytes:
    """A private key file without a passphrase."""
    fields = [text(b"none"), text(b"none"), text(secret), *([] if comment is None else [text(comment)])]
    return armour("CRYPT4GH PRIVATE KEY", b"c4gh-v1" + b"".join(fields))


def key_files(folder: Path, number: int) -> tuple[Path, Path]:
    """Public and private key file of ``pair``."""
    public, private = folder / f"{number}.pub", folder / f"{number}.sec"
    public.write_text(public_key_armour(pair(number).public))
    private.write_bytes(private_file(secret_of(number)))
    private.chmod(0o600)
    return public, private


def sealed(data: bytes, readers: list[ExchangeKey], *, writer: ExchangeKey, random, pieces: int = 1 << 30) -> bytes:
    """A sealed file of ``data``, written in pieces of so many bytes."""
    out = io.BytesIO()
    sink = SealedFile(out, Envelope(writer, tuple(reader.public for reader in readers), random))
    for at in range(0, len(data), pieces):
        sink.write(data[at : at + pieces])
    sink.finish()
    return out.getvalue()


def data_key_of(data: bytes, secret: bytes) -> bytes:
    """The data key that a sealed file's header gives to the holder of a secret key, straight from the specification."""
    private = X25519PrivateKey.from_private_bytes(secret)
    own = private.public_key().public_bytes_raw()
    at = 16
    for _ in range(int.from_bytes(data[12:16], "little")):
        size = int.from_bytes(data[at : at + 4], "little")
        writer = data[at + 8 : at + 40]
        shared = private.exchange(X25519PublicKey.from_public_bytes(writer))
        session = hashlib.blake2b(shared + own + writer).digest()[:32]
        with suppress(InvalidTag):  # a packet of another reader
            return ChaCha20Poly1305(session).decrypt(data[at + 40 : at + 52], data[at + 52 : at + size], None)[8:]
        at += size
    pytest.fail("no packet of the header is for this key")


def second_reading(data: bytes, secret: bytes) -> bytes:
    """Plaintext of a file with one data key and no edit list, straight from the specification."""
    cipher, at = ChaCha20Poly1305(data_key_of(data, secret)), 16
    for _ in range(int.from_bytes(data[12:16], "little")):
        at += int.from_bytes(data[at : at + 4], "little")
    segments = (data[start : start + 65564] for start in range(at, len(data), 65564))
    return b"".join(cipher.decrypt(segment[:12], segment[12:], None) for segment in segments)


def client(*arguments: str | Path, data: bytes, passphrase: str | None = None) -> subprocess.CompletedProcess[bytes]:
    """The reference client, fed with ``data``."""
    extra("crypt4gh")
    environment = {"PATH": "/usr/bin:/bin", **({} if passphrase is None else {"C4GH_PASSPHRASE": passphrase})}
    command = [sys.executable, "-m", "crypt4gh", *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, check=False, env=environment)
