"""The tree as stored: full tiles in SQL, everything else from the leaves' hashes (c2sp.org/tlog-tiles).

Hash i of tile (level, n) is the root over leaves ``(n * 256 + i) * 256**level`` and on. A tile is written in the transaction that
completes it and never again; the hashes of level L + 1 are the roots of level L's tiles, so partial tiles need no storage.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from vault.audit.merkle import HASH_BYTES, perfect_root
from vault.errors import IntegrityError
from vault.storage.audit_tables import AuditLeafRow, AuditTileRow

TILE_WIDTH = 256  # hashes in a full tile, entries in a full bundle
TILE_LEVELS = 8  # tree levels that a tile spans


def tile_path(level: int | None, n: int, width: int = TILE_WIDTH) -> str:
    """Path of a tile below the log's prefix; ``level`` None means an entry bundle, ``width`` under 256 a partial one."""
    groups = [f"{n % 1000:03}"]
    while n := n // 1000:
        groups.insert(0, f"x{n % 1000:03}")
    suffix = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{'entries' if level is None else level}/{'/'.join(groups)}{suffix}"


def tile_widths(size: int) -> list[tuple[int, int, int]]:
    """(level, n, width) of every tile of a log of ``size`` entries."""
    found, level = [], 0
    while size:
        full, partial = divmod(size, TILE_WIDTH)
        found += [(level, n, TILE_WIDTH) for n in range(full)]
        if partial:
            found.append((level, full, partial))
        size, level = full, level + 1
    return found


class StoredTree:
    """Hashes of a log's tree, read inside one transaction. Remembers the tiles it read."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._full: dict[tuple[int, int], bytes | None] = {}

    def node(self, level: int, index: int) -> bytes:
        """Root of the complete subtree (level, index): a ``merkle.ReadNode``."""
        tile_level, height = divmod(level, TILE_LEVELS)
        first, count = index << height, 1 << height
        n, offset = divmod(first, TILE_WIDTH)
        full = self._full_tile(tile_level, n) if height else None
        if full is None:
            hashes = self.hashes(tile_level, first, first + count)
        else:
            hashes = full[offset * HASH_BYTES : (offset + count) * HASH_BYTES]
        return perfect_root([hashes[i : i + HASH_BYTES] for i in range(0, len(hashes), HASH_BYTES)])

    def tile(self, level: int, n: int, width: int) -> bytes:
        """``width`` concatenated hashes."""
        full = self._full_tile(level, n)
        if full is not None:
            return full[: width * HASH_BYTES]
        return self.hashes(level, n * TILE_WIDTH, n * TILE_WIDTH + width)

    def hashes(self, level: int, start: int, stop: int) -> bytes:
        """Hashes ``start`` to ``stop`` of a tile level, read from the rows below it.

        Raises:
            IntegrityError: ``log_incomplete``: a row is missing.
        """
        if level == 0:
            row, key = AuditLeafRow.leaf_hash, AuditLeafRow.idx
            query: Any = select(row)
        else:
            row, key = AuditTileRow.root, AuditTileRow.n
            query = select(row).where(AuditTileRow.level == level - 1)
        found = self._session.scalars(query.where(key >= start, key < stop).order_by(key)).all()
        if len(found) != stop - start:
            raise IntegrityError("log_incomplete", f"the audit log lacks hashes of level {level} between {start} and {stop}")
        return b"".join(found)

    def _full_tile(self, level: int, n: int) -> bytes | None:
        if (level, n) not in self._full:
            query = select(AuditTileRow.data).where(AuditTileRow.level == level, AuditTileRow.n == n)
            self._full[level, n] = self._session.scalar(query)
        return self._full[level, n]


def store_full_tiles(session: Session, old: int, new: int) -> None:
    """Write the tiles that growing from ``old`` to ``new`` entries completes, lowest level first."""
    level = 0
    while old // TILE_WIDTH != new // TILE_WIDTH:
        old, new = old // TILE_WIDTH, new // TILE_WIDTH
        tree = StoredTree(session)
        rows = []
        for n in range(old, new):
            data = tree.hashes(level, n * TILE_WIDTH, (n + 1) * TILE_WIDTH)
            root = perfect_root([data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)])
            rows.append({"level": level, "n": n, "root": root, "data": data})
        session.execute(insert(AuditTileRow), rows)
        level += 1
