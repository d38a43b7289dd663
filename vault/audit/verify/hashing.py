"""Tree hashes (RFC 6962 section 2.1) and base64, the verifier's own."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence

TILE_WIDTH = 256  # hashes of a full tile, entries of a full bundle
LEAF_HASHER = hashlib.sha256(b"\x00")  # to go on from, for each entry


def tile_root(hashes: Sequence[bytes]) -> bytes:
    """Root over a tile's worth of equally high subtrees, level by level."""
    level, sha256 = list(hashes), hashlib.sha256
    while len(level) > 1:
        level = [sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level), 2)]
    return level[0]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def decode_base64(text: str) -> bytes | None:
    """Bytes of canonical padded base64 (RFC 4648 section 4); None for any other text."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None
