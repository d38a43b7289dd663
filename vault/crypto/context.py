"""Canonical encoding of the context that a key, seal or wrap is bound to (``docs/formats/keys.md`` §1).

Each field is a u16 big-endian length and then its bytes: text as UTF-8, bytes as they are, a number as u64 big-endian (8 bytes).
The first field is the label of the use, which fixes the number and type of the others, so two different contexts never have the
same encoding.
"""

from __future__ import annotations

from vault.crypto.primitives import sha256
from vault.errors import IntegrityError, UsageError

MAX_FIELD_BYTES = 0xFFFF  # the length prefix is u16
SHORT_LENGTH = tuple(n.to_bytes(2, "big") for n in range(256))
"""The two bytes before a field of n bytes, for loops over a cohort that spell the rest of their context out once."""


def encode_context(*fields: str | bytes | int) -> bytes:
    """Encode the fields in order, each with its length in front.

    Raises:
        UsageError: ``context_invalid``: a field over 65,535 bytes, or a number outside u64.
    """
    parts: list[bytes] = []
    for field in fields:  # one loop without calls: this runs several times for each person of a cohort
        if isinstance(field, int):
            if not 0 <= field < 1 << 64:
                raise UsageError("context_invalid", "a number of a context must fit in 64 unsigned bits")
            parts += (b"\x00\x08", field.to_bytes(8, "big"))
            continue
        raw = field if isinstance(field, bytes) else field.encode()
        if len(raw) > MAX_FIELD_BYTES:
            raise UsageError("context_invalid", "a field of a context is longer than 65,535 bytes")
        parts += (len(raw).to_bytes(2, "big"), raw)
    return b"".join(parts)


def fitting(raw: bytes) -> bytes:
    """Bytes as a field of a context: themselves if they fit, else their SHA-256. Where both can be, another field says how long they are."""
    return raw if len(raw) <= MAX_FIELD_BYTES else sha256(raw)


def decode_context(raw: bytes) -> list[bytes]:
    """Decode the fields as bytes; the reader knows from the label which of them are text or numbers.

    Raises:
        IntegrityError: ``context_malformed``: the lengths do not add up.
    """
    fields: list[bytes] = []
    at = 0
    while at < len(raw):
        start = at + 2
        at = start + int.from_bytes(raw[at:start], "big")
        if start > len(raw) or at > len(raw):
            raise IntegrityError("context_malformed", "a list of length-prefixed fields is cut short")
        fields.append(raw[start:at])
    return fields
