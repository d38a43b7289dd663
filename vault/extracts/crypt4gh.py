"""Crypt4GH 1: a writer that is pushed into, so that plaintext is never on a disk and memory is a few segments (GA4GH; docs/formats/extract.md).

::

    file    = "crypt4gh" ‖ u32 version 1 ‖ u32 packets ‖ packets ‖ segments                               integers little-endian
    packet  = u32 length, itself included ‖ u32 method 0 ‖ writer's public key 32 ‖ nonce 12 ‖ ciphertext ‖ MAC 16
    payload = u32 type 0 (data key) ‖ u32 method 0 ‖ data key 32
    segment = nonce 12 ‖ ciphertext of 65,536 bytes, the last of fewer ‖ MAC 16

One data key of its own for each file, one packet for each recipient, no edit list. The format notices neither a missing tail nor segments that
changed places: the manifest does.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from vault.crypto.key_agreement import ChaChaPoly, ExchangeKey
from vault.crypto.primitives import KEY_BYTES, NONCE_BYTES, TAG_BYTES
from vault.crypto.secret import Secret
from vault.errors import UsageError
from vault.ids import RandomBytes, draw

MAGIC = b"crypt4gh"
VERSION = 1
SEGMENT_BYTES = 65536  # of plaintext
OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES  # of a segment
DATA_KEY, EDIT_LIST = 0, 1  # types of a packet's payload
BATCH = 32  # segments that are sealed and written at once: 2 MiB


@dataclass(frozen=True)
class Envelope:
    """Readers of the sealed files of one release: the vault's key as their writer, and the readers' public keys, 32 bytes each.

    Raises:
        UsageError: ``no_reader``.
    """

    writer: ExchangeKey
    readers: tuple[bytes, ...]
    random: RandomBytes

    def __post_init__(self) -> None:
        if not self.readers:
            raise UsageError("no_reader", "a sealed file is for somebody")


def header(data_key: Secret, envelope: Envelope) -> bytes:
    """The header that gives each reader the data key. Raises InputError ``public_key_invalid``."""
    payload = struct.pack("<II", DATA_KEY, 0) + data_key.reveal()
    packets = [packet(payload, envelope.writer, reader, nonce=envelope.random(NONCE_BYTES)) for reader in envelope.readers]
    return MAGIC + struct.pack("<II", VERSION, len(packets)) + b"".join(packets)


def packet(payload: bytes, writer: ExchangeKey, reader: bytes, *, nonce: bytes) -> bytes:
    """One header packet, which ``reader`` alone opens. Raises InputError ``public_key_invalid``."""
    sealed = ChaChaPoly(writer.key_to(reader)).seal(nonce, payload)
    return struct.pack("<II", 8 + KEY_BYTES + NONCE_BYTES + len(sealed), 0) + writer.public + nonce + sealed


class SealedFile(io.RawIOBase):
    """A sink that seals what is written into it and hands it on to ``file``; ``finish`` writes the last segment."""

    def __init__(self, file: BinaryIO, envelope: Envelope) -> None:
        data_key = Secret(envelope.random(KEY_BYTES))
        self._file, self._random, self._cipher = file, envelope.random, ChaChaPoly(data_key)
        self._rest = bytearray()  # of a segment that is not full yet
        file.write(header(data_key, envelope))

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: Any) -> int:
        """Take in all of ``data``, any contiguous buffer; its number of bytes."""
        with memoryview(data).cast("B") as given:
            at = 0
            if self._rest:
                at = min(SEGMENT_BYTES - len(self._rest), len(given))
                self._rest += given[:at]
                if len(self._rest) == SEGMENT_BYTES:
                    self._seal([self._rest])
                    self._rest = bytearray()
            whole = at + (len(given) - at) // SEGMENT_BYTES * SEGMENT_BYTES
            for first in range(at, whole, BATCH * SEGMENT_BYTES):
                last = min(first + BATCH * SEGMENT_BYTES, whole)
                self._seal([given[start : start + SEGMENT_BYTES] for start in range(first, last, SEGMENT_BYTES)])
            self._rest += given[whole:]
            return len(given)

    def finish(self) -> None:
        """Seal what is left; nothing is written afterwards."""
        if self._rest:
            self._seal([self._rest])
        self._rest = bytearray()

    def _seal(self, segments: Sequence[memoryview | bytearray]) -> None:
        sealed = memoryview(bytearray(sum(map(len, segments)) + OVERHEAD_BYTES * len(segments)))
        at = 0
        for segment, nonce in zip(segments, draw(self._random, len(segments), NONCE_BYTES), strict=True):
            sealed[at : at + NONCE_BYTES] = nonce
            end = at + len(segment) + OVERHEAD_BYTES
            self._cipher.seal_into(nonce, segment, sealed[at + NONCE_BYTES : end])
            at = end
        self._file.write(sealed)
