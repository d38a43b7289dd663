"""BGZF: gzip members of at most 64 KiB that can be found again by virtual offset (SAM specification §4.1).

A virtual offset is ``file offset of the member << 16 | offset inside it``. Text is compressed in *runs*, each a whole number of
members, so that runs are compressed on several cores and written one after another.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import deflate
import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 0xFF00  # uncompressed bytes in a member: with 5 stored-block bytes and 26 of frame still under 64 KiB
LEVEL = 1  # libdeflate: 1.2 times the size of zlib's level 6 on genotype text, five times as fast
EOF_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

_HEAD = bytes.fromhex(
    "1f8b08040000000000ff060042430200"
)  # RFC 1952 header up to the BC field, whose value is the member's size - 1
_FRAME_BYTES = 26  # header, BC value, CRC-32, length


@dataclass(frozen=True)
class BgzfMembers:
    """k members. ``starts`` int64[k+1]: byte offset of each within ``data``, and the end."""

    data: bytes
    starts: NDArray[np.int64]

    def virtual(self, positions: NDArray[np.int64], base: int) -> NDArray[np.uint64]:
        """uint64[k]: virtual offsets of the uncompressed ``positions`` int64[k]; the members lie at ``base`` of the file."""
        member = positions // BLOCK_BYTES
        return (((self.starts[member] + base) << 16) | (positions % BLOCK_BYTES)).astype(np.uint64)


def compress(data: memoryview) -> BgzfMembers:
    """Members that hold ``data`` and nothing else; every one full but the last. Releases the GIL for most of its time."""
    members = [_member(data[at : at + BLOCK_BYTES]) for at in range(0, len(data), BLOCK_BYTES)]
    starts = np.zeros(len(members) + 1, np.int64)
    np.cumsum([len(m) for m in members], out=starts[1:])
    return BgzfMembers(b"".join(members), starts)


def write_whole(file: BinaryIO, data: bytes) -> None:
    """A complete BGZF file of ``data``."""
    file.write(compress(memoryview(data)).data)
    file.write(EOF_BLOCK)


def _member(data: memoryview) -> bytes:
    packed: bytes | bytearray = deflate.deflate_compress(data, LEVEL)
    if len(packed) > len(data) + 5:
        packed = struct.pack("<BHH", 1, len(data), len(data) ^ 0xFFFF) + bytes(data)  # one stored block
    size = struct.pack("<H", len(packed) + _FRAME_BYTES - 1)
    return b"".join((_HEAD, size, packed, struct.pack("<II", deflate.crc32(data), len(data))))
