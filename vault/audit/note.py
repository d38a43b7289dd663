r"""Signed notes, verifier keys, checkpoints and cosignatures (c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature).

::

    note     = text "\n" sigline+          text ends with "\n"; the LAST blank line separates
    sigline  = "— " name " " base64( key id 4 ‖ signature ) "\n"
    vkey     = name "+" hex8(key id) "+" base64( type ‖ public key )
    key id   = first 4 bytes of SHA-256( name ‖ "\n" ‖ type ‖ public key )

Parsing is strict and canonical: one spelling per value, whatever parses serialises to the same bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from vault.crypto.primitives import verify_signature
from vault.errors import IntegrityError
from vault.limits import MAX_NOTE_BYTES

ED25519 = 0x01
COSIGNATURE = 0x04
PUBLIC_KEY_BYTES = 32
MAX_SIZE = 2**63 - 1  # entries in a log, and seconds in a cosignature
MAX_SIGNATURES = 64  # the specification asks for at least 16; more only cost time

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIGNATURE_LINE = re.compile(r"— ([^ ]+) ([A-Za-z0-9+/]+=*)")


class Signer(Protocol):
    """What signing needs of a key; ``vault.crypto.primitives.SigningKey`` is one, an HSM key may be another."""

    @property
    def public(self) -> bytes:
        """The 32-byte Ed25519 public key."""

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature."""


@dataclass(frozen=True)
class VerifierKey:
    """A public key under its name, as written in a vkey line. ``kind`` is ED25519 (a log) or COSIGNATURE (a witness)."""

    name: str
    kind: int
    public: bytes  # 32 bytes

    def __post_init__(self) -> None:
        if not _name_is_valid(self.name) or self.kind not in (ED25519, COSIGNATURE) or len(self.public) != PUBLIC_KEY_BYTES:
            raise _malformed("vkey_malformed", "a verifier key is not one of a kind known here")

    @property
    def key_id(self) -> bytes:
        """4 bytes that stand for (name, kind, public key) in signature lines."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read ``name+hex8+base64``. Raises IntegrityError (``vkey_malformed``) unless the key id is the key's own."""
        parts = text.split("+", 2)  # base64 contains "+"
        if len(parts) != 3:
            raise _malformed("vkey_malformed", "a verifier key has three parts joined by +")
        raw = decode_base64(parts[2], "vkey_malformed")
        if not raw:
            raise _malformed("vkey_malformed", "a verifier key is empty")
        key = cls(parts[0], raw[0], raw[1:])
        if parts[1] != key.key_id.hex():
            raise _malformed("vkey_malformed", "a verifier key's id does not belong to its key")
        return key

    def to_text(self) -> str:
        """The vkey line, without a newline."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.public)}"


@dataclass(frozen=True)
class NoteSignature:
    """One signature line. ``blob`` is what follows the key id."""

    name: str
    key_id: bytes
    blob: bytes


@dataclass(frozen=True)
class Note:
    """A parsed signed note; nothing in it is verified."""

    text: str  # with its final newline
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def from_text(cls, note: str) -> Self:
        """Raises IntegrityError (``note_malformed``)."""
        if len(note) > MAX_NOTE_BYTES or len(note.encode("utf-8", "surrogatepass")) > MAX_NOTE_BYTES:
            raise _malformed("note_malformed", "a signed note is too long")
        if _CONTROL.search(note) or any("\ud800" <= c <= "\udfff" for c in note):
            raise _malformed("note_malformed", "a signed note holds control characters")
        text, separator, block = note.rpartition("\n\n")
        if not separator or not text or not block.endswith("\n"):
            raise _malformed("note_malformed", "a signed note has no blank line before its signatures")
        lines = block[:-1].split("\n")
        if len(lines) > MAX_SIGNATURES:
            raise _malformed("note_malformed", f"a signed note has more than {MAX_SIGNATURES} signatures")
        return cls(text + "\n", tuple(_parse_signature(line) for line in lines))

    def to_text(self) -> str:
        """The note as one string."""
        return self.text + "\n" + "".join(_signature_line(s) for s in self.signatures)


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: the text that a log signs. genovault writes no extension lines and accepts none."""

    origin: str
    size: int
    root: bytes  # 32 bytes

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Raises IntegrityError (``checkpoint_malformed``)."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0]:
            raise _malformed("checkpoint_malformed", "a checkpoint has three lines: origin, size, root")
        root = decode_base64(lines[2], "checkpoint_malformed")
        if len(root) != 32:
            raise _malformed("checkpoint_malformed", "a checkpoint's root has 32 bytes")
        return cls(lines[0], parse_size(lines[1], "checkpoint_malformed"), root)

    def to_text(self) -> str:
        """The signed bytes, as text."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


def checkpoint_in(note: str) -> Checkpoint:
    """What a note says, unverified: to learn which log it speaks of. Raises as ``Note`` and ``Checkpoint``."""
    return Checkpoint.from_text(Note.from_text(note).text)


def sign_note(text: str, name: str, *signers: Signer) -> str:
    """A note with an Ed25519 signature by each signer under ``name``: two where one key hands over to another."""
    keys = [VerifierKey(name, ED25519, signer.public) for signer in signers]
    signed = (signer.sign(text.encode()) for signer in signers)
    return Note(text, tuple(NoteSignature(name, k.key_id, s) for k, s in zip(keys, signed, strict=True))).to_text()


def cosign(note: str, name: str, signer: Signer, *, time: int) -> str:
    """The signature line (with newline) by which a witness confirms a checkpoint at POSIX second ``time`` (0 to 2^63 - 1)."""
    parsed = Note.from_text(note)
    key = VerifierKey(name, COSIGNATURE, signer.public)
    signature = signer.sign(_cosigned_message(parsed.text, time))
    return _signature_line(NoteSignature(name, key.key_id, time.to_bytes(8, "big") + signature))


@dataclass(frozen=True)
class VerifiedSignature:
    """One signature that holds. ``time`` is the POSIX second of a cosignature, None for a plain signature."""

    key: VerifierKey
    time: int | None


def verify_note(note: Note, keys: Sequence[VerifierKey]) -> tuple[VerifiedSignature, ...]:
    """The signatures by ``keys`` that the note carries: at least one, and none that fails.

    Unknown (name, id) pairs are ignored; a known one that does not verify condemns the note.

    Raises:
        IntegrityError: ``note_signature_bad``, ``note_signature_missing``.
    """
    known = {(key.name, key.key_id): key for key in keys}
    verified = []
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is not None:
            verified.append(_verify_one(note.text, signature, key))
    if not verified:
        raise _malformed("note_signature_missing", "no signature on the note is by a trusted key")
    return tuple(verified)


def open_checkpoint(note: str, origin: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    """The checkpoint of a note for ``origin`` with a log's signature by one of ``keys`` that holds.

    Raises:
        IntegrityError: ``note_malformed``, ``checkpoint_malformed``, ``checkpoint_origin``, ``note_signature_bad``,
            ``note_signature_missing``.
    """
    parsed = Note.from_text(note)
    checkpoint = Checkpoint.from_text(parsed.text)
    if checkpoint.origin != origin:
        raise _malformed("checkpoint_origin", "the checkpoint is of another log")
    if not any(v.key.kind == ED25519 for v in verify_note(parsed, keys)):
        raise _malformed("note_signature_missing", "witnesses signed the checkpoint, but no log did")
    return checkpoint


def parse_size(text: str, code: str) -> int:
    """A decimal number without sign or leading zeros, at most 2^63 - 1. Raises IntegrityError with ``code``."""
    if not _SIZE.fullmatch(text) or int(text) > MAX_SIZE:
        raise _malformed(code, "a size is not a plain decimal number")
    return int(text)


def decode_base64(text: str, code: str) -> bytes:
    """Canonical standard base64 with padding. Raises IntegrityError with ``code``."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise _malformed(code, "a value is not base64") from None
    if encode_base64(raw) != text:
        raise _malformed(code, "a value is not canonical base64")
    return raw


def encode_base64(raw: bytes) -> str:
    """RFC 4648 section 4, padded."""
    return base64.b64encode(raw).decode("ascii")


def _verify_one(text: str, signature: NoteSignature, key: VerifierKey) -> VerifiedSignature:
    blob, time, message = signature.blob, None, text.encode()
    if key.kind == COSIGNATURE:
        time, blob = int.from_bytes(blob[:8], "big"), blob[8:]
        if time > MAX_SIZE:
            raise _malformed("note_signature_bad", "a cosignature's time is out of range")
        message = _cosigned_message(text, time)
    try:
        verify_signature(key.public, blob, message)
    except IntegrityError:
        raise _malformed("note_signature_bad", "a signature by a trusted key does not hold") from None
    return VerifiedSignature(key, time)


def _cosigned_message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _parse_signature(line: str) -> NoteSignature:
    match = _SIGNATURE_LINE.fullmatch(line)
    if not match or not _name_is_valid(match[1]):
        raise _malformed("note_malformed", "a signature line is malformed")
    raw = decode_base64(match[2], "note_malformed")
    if len(raw) < 5:
        raise _malformed("note_malformed", "a signature line is too short")
    return NoteSignature(match[1], raw[:4], raw[4:])


def _signature_line(signature: NoteSignature) -> str:
    return f"— {signature.name} {encode_base64(signature.key_id + signature.blob)}\n"


def _name_is_valid(name: str) -> bool:
    return bool(name) and "+" not in name and not any(c.isspace() or "\ud800" <= c <= "\udfff" for c in name)


def _malformed(code: str, message: str) -> IntegrityError:
    return IntegrityError(code, message)
