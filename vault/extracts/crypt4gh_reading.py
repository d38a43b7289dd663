"""Crypt4GH 1, read as a stream with one private key: header packets for others are passed over, edit lists applied.

A reader needs no trust in the file: lengths are bounded before anything is read. What the format itself does not notice (a missing tail,
segments that changed places) is not noticed here: ``vault.extracts.verification`` compares with the manifest.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from vault.crypto.key_agreement import ChaChaPoly, ExchangeKey
from vault.crypto.primitives import KEY_BYTES, NONCE_BYTES, TAG_BYTES
from vault.crypto.secret import Secret
from vault.errors import InputError, IntegrityError
from vault.extracts.crypt4gh import DATA_KEY, EDIT_LIST, MAGIC, OVERHEAD_BYTES, SEGMENT_BYTES, VERSION

MAX_PACKETS = 10_000
MAX_PACKET_BYTES = 1 << 20  # an edit list of 130,000 lengths
_FIXED = 8 + KEY_BYTES + NONCE_BYTES + TAG_BYTES  # of a packet with an empty payload


def read_sealed(file: BinaryIO, key: ExchangeKey) -> Iterator[bytes]:
    """The plaintext in pieces of at most one segment.

    Raises:
        IntegrityError: ``sealed_malformed``; ``sealed_for_others``: no packet opens with this key; ``segment_broken``.
    """
    payloads = [opened for packet in read_packets(file) if (opened := _opened(packet, key)) is not None]
    ciphers = [ChaChaPoly(Secret(body)) for kind, body in payloads if kind == DATA_KEY]
    edits = [body for kind, body in payloads if kind == EDIT_LIST]
    if not ciphers:
        raise IntegrityError("sealed_for_others", "no packet of the header opens with this key")
    if len(edits) > 1:
        raise _malformed("it has several edit lists")
    pieces = _segments(file, ciphers)
    return _edited(pieces, struct.unpack(f"<{len(edits[0]) // 8}Q", edits[0])) if edits and edits[0] else pieces


def read_packets(file: BinaryIO) -> list[bytes]:
    """The header's packets, each with its length in front; the file is left where its segments begin.

    Raises:
        IntegrityError: ``sealed_malformed``.
    """
    head = file.read(16)
    if len(head) != 16 or head[:8] != MAGIC:
        raise _malformed("it does not begin as such a file does")
    version, count = struct.unpack("<II", head[8:])
    if version != VERSION or not 1 <= count <= MAX_PACKETS:
        raise _malformed("its version or number of packets")
    packets = []
    for _ in range(count):
        length = file.read(4)
        size = int.from_bytes(length, "little")
        if len(length) != 4 or not 8 <= size <= MAX_PACKET_BYTES:
            raise _malformed("the length of a packet")
        packets.append(length + file.read(size - 4))
        if len(packets[-1]) != size:
            raise _malformed("its header is cut short")
    return packets


def writers_of(packets: Sequence[bytes]) -> set[bytes]:
    """Public keys, 32 bytes each, of the writers that packets name; what a packet says of its writer is proven to its reader alone."""
    return {packet[8 : 8 + KEY_BYTES] for packet in packets if len(packet) >= _FIXED}


def _opened(packet: bytes, key: ExchangeKey) -> tuple[int, bytes] | None:
    """Type and body of a packet's payload; None for one of another method or reader. Raises IntegrityError ``sealed_malformed``."""
    if len(packet) < _FIXED + 4 or packet[4:8] != bytes(4):
        return None
    at = 8 + KEY_BYTES
    try:
        cipher = ChaChaPoly(key.key_from(packet[8:at]))
        payload = cipher.open(packet[at : at + NONCE_BYTES], packet[at + NONCE_BYTES :])
    except (InputError, IntegrityError):
        return None
    kind, body = int.from_bytes(payload[:4], "little"), payload[4:]
    if kind == DATA_KEY and len(body) >= 4 + KEY_BYTES and body[:4] == bytes(4):
        return kind, body[4 : 4 + KEY_BYTES]  # the rest is padding
    if kind == EDIT_LIST and len(body) >= 4:
        n = int.from_bytes(body[:4], "little")
        if len(body) >= 4 + 8 * n:
            return kind, body[4 : 4 + 8 * n]
    raise _malformed("a packet of an unknown form")


def _segments(file: BinaryIO, ciphers: Sequence[ChaChaPoly]) -> Iterator[bytes]:
    number = 0
    while segment := file.read(SEGMENT_BYTES + OVERHEAD_BYTES):
        yield _unsealed(segment, ciphers, number)
        number += 1


def _unsealed(segment: bytes, ciphers: Sequence[ChaChaPoly], number: int) -> bytes:
    if len(segment) >= OVERHEAD_BYTES:
        for cipher in ciphers:
            try:
                return cipher.open(segment[:NONCE_BYTES], memoryview(segment)[NONCE_BYTES:])
            except IntegrityError:
                continue
    raise IntegrityError("segment_broken", f"segment {number + 1} of the sealed file was altered or cut short")


def _edited(pieces: Iterator[bytes], lengths: Sequence[int]) -> Iterator[bytes]:
    """Discard and keep in turns. An odd number of lengths ends with a discard, and what follows is kept; an even one ends the file."""
    turns = [(number % 2 == 1, length) for number, length in enumerate(lengths)]
    runs = iter(turns if len(turns) % 2 == 0 else [*turns, (True, _NO_END)])
    kept, left = next(runs)
    for piece in pieces:
        at = 0
        while at < len(piece):
            while left == 0:
                following = next(runs, None)
                if following is None:
                    return
                kept, left = following
            taken = min(left, len(piece) - at)
            if kept:
                yield piece[at : at + taken]
            at, left = at + taken, left - taken


_NO_END = 1 << 64


def _malformed(what: str) -> IntegrityError:
    return IntegrityError("sealed_malformed", f"not a Crypt4GH file that is read here: {what}")
