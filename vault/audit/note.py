r"""Signed notes, verifier keys, checkpoints and cosignatures (C2SP signed-note, tlog-checkpoint, tlog-cosignature).

::

    note     = text "\n" sigline+          text ends with "\n"; the LAST blank line separates
    sigline  = "— " name " " base64( key id 4 ‖ signature ) "\n"
    vkey     = name "+" hex8(key id) "+" base64( type ‖ public key )
    key id   = first 4 bytes of SHA-256( name ‖ "\n" ‖ type ‖ public key )

Parsing is strict and canonical: a text that parses serialises to the same bytes (``docs/design/audit-log.md`` §3).
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
MAX_SIGNATURES = 64  # signed-note asks for at least 16; a bound on the work that a note can cause

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIGNATURE_LINE = re.compile(r"— ([^ ]+) ([A-Za-z0-9+/]+=*)")


class Signer(Protocol):
    """Ed25519 signing key, such as ``vault.crypto.primitives.SigningKey`` or a key in a hardware module."""

    @property
    def public(self) -> bytes:
        """The 32-byte Ed25519 public key."""

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature."""


@dataclass(frozen=True)
class VerifierKey:
    """Public key and its name, as in a vkey line. ``kind``: ED25519 (a log) or COSIGNATURE (a witness).

    Raises IntegrityError (``vkey_malformed``) for an invalid name, kind or length.
    """

    name: str
    kind: int
    public: bytes  # 32 bytes

    def __post_init__(self) -> None:
        if not _name_is_valid(self.name) or self.kind not in (ED25519, COSIGNATURE) or len(self.public) != PUBLIC_KEY_BYTES:
            raise _malformed("vkey_malformed", "a verifier key is not one of a kind known here")

    @property
    def key_id(self) -> bytes:
        """Key id in signature lines: the first 4 bytes of SHA-256(name ‖ newline ‖ kind ‖ public key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read ``name+hex8+base64``. Raises IntegrityError (``vkey_malformed``), also if the key id is another key's."""
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
    """One signature line. ``blob``: the bytes after the key id."""

    name: str
    key_id: bytes
    blob: bytes


@dataclass(frozen=True)
class Note:
    """Parsed signed note; nothing in it is verified."""

    text: str  # with its final newline
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def from_text(cls, note: str) -> Self:
        """Parse a note. Raises IntegrityError (``note_malformed``)."""
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
        """The note as text."""
        return self.text + "\n" + "".join(_signature_line(s) for s in self.signatures)


@dataclass(frozen=True)
class Checkpoint:
    """Tree head, the text that a log signs (C2SP tlog-checkpoint). Extension lines are neither written nor accepted."""

    origin: str
    size: int
    root: bytes  # 32 bytes

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Parse a checkpoint. Raises IntegrityError (``checkpoint_malformed``)."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0]:
            raise _malformed("checkpoint_malformed", "a checkpoint has three lines: origin, size, root")
        root = decode_base64(lines[2], "checkpoint_malformed")
        if len(root) != 32:
            raise _malformed("checkpoint_malformed", "a checkpoint's root has 32 bytes")
        return cls(lines[0], parse_size(lines[1], "checkpoint_malformed"), root)

    def to_text(self) -> str:
        """The signed text."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


def checkpoint_in(note: str) -> Checkpoint:
    """Checkpoint of a note, unverified. Raises IntegrityError (``note_malformed``, ``checkpoint_malformed``)."""
    return Checkpoint.from_text(Note.from_text(note).text)


def sign_note(text: str, name: str, *signers: Signer) -> str:
    """A note signed under ``name`` by each signer: by two where one key hands over to the next."""
    keys = [VerifierKey(name, ED25519, signer.public) for signer in signers]
    signed = (signer.sign(text.encode()) for signer in signers)
    return Note(text, tuple(NoteSignature(name, k.key_id, s) for k, s in zip(keys, signed, strict=True))).to_text()


def cosign(note: str, name: str, signer: Signer, *, time: int) -> str:
    """A witness's signature line, with newline, for a checkpoint seen at ``time``: POSIX seconds, 0 to 2^63 - 1."""
    parsed = Note.from_text(note)
    key = VerifierKey(name, COSIGNATURE, signer.public)
    signature = signer.sign(_cosigned_message(parsed.text, time))
    return _signature_line(NoteSignature(name, key.key_id, time.to_bytes(8, "big") + signature))


@dataclass(frozen=True)
class VerifiedSignature:
    """A valid signature. ``time``: POSIX seconds of a cosignature, None for a log's signature."""

    key: VerifierKey
    time: int | None


def verify_note(note: Note, keys: Sequence[VerifierKey]) -> tuple[VerifiedSignature, ...]:
    """Verify a note's signatures by ``keys``: at least one, and none that fails.

    Signatures by unknown keys are ignored; one by a known key that fails refuses the note (C2SP signed-note).

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
    """Checkpoint of a note, verified: for ``origin``, with a valid log signature by one of ``keys``.

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
    """A decimal number without sign or leading zeros, at most 2^63 - 1. Raises IntegrityError (``code``)."""
    if not _SIZE.fullmatch(text) or int(text) > MAX_SIZE:
        raise _malformed(code, "a size is not a plain decimal number")
    return int(text)


def decode_base64(text: str, code: str) -> bytes:
    """Bytes of canonical padded base64 (RFC 4648 section 4). Raises IntegrityError (``code``)."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise _malformed(code, "a value is not base64") from None
    if encode_base64(raw) != text:
        raise _malformed(code, "a value is not canonical base64")
    return raw


def encode_base64(raw: bytes) -> str:
    """Padded base64 (RFC 4648 section 4)."""
    return base64.b64encode(raw).decode("ascii")


def _verify_one(text: str, signature: NoteSignature, key: VerifierKey) -> VerifiedSignature:
    """Verify one signature. Raises IntegrityError (``note_signature_bad``)."""
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
    """Bytes that a witness signs (C2SP tlog-cosignature)."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _parse_signature(line: str) -> NoteSignature:
    """Parse a signature line. Raises IntegrityError (``note_malformed``)."""
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
    """True for a key name of C2SP signed-note: not empty, no whitespace, no plus sign."""
    return bool(name) and "+" not in name and not any(c.isspace() or "\ud800" <= c <= "\udfff" for c in name)


def _malformed(code: str, message: str) -> IntegrityError:
    return IntegrityError(code, message)
