"""Stored tree: full tiles in SQL, partial ones computed from the rows below (C2SP tlog-tiles).

Hash i of tile (level, n) is the root over the ``256**level`` leaves from ``(n * 256 + i) * 256**level`` on. A tile is written once, in
the transaction that completes it. The hashes of level L + 1 are the roots of level L's tiles, so partial tiles are not stored.
"""

from __future__ import annotations

from sqlalchemy import bindparam, select

from vault.audit.merkle import HASH_BYTES, perfect_root
from vault.errors import IntegrityError
from vault.storage.audit_tables import AuditLeafRow, AuditTileRow
from vault.storage.base import bulk_insert
from vault.storage.compiled_statements import Statement
from vault.storage.database import Transaction

TILE_WIDTH = 256  # hashes in a full tile, entries in a full bundle
TILE_LEVELS = 8  # tree levels that a tile spans


def tile_path(level: int | None, n: int, width: int = TILE_WIDTH) -> str:
    """Path of a tile in C2SP tlog-tiles, from ``tile/`` on. ``level`` None: an entry bundle; ``width`` below 256: partial."""
    groups = [f"{n % 1000:03}"]
    while n := n // 1000:
        groups.insert(0, f"x{n % 1000:03}")
    suffix = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{'entries' if level is None else level}/{'/'.join(groups)}{suffix}"


def tile_widths(size: int) -> list[tuple[int, int, int]]:
    """(level, n, width) of each tile of a log of ``size`` entries, lowest level first."""
    found, level = [], 0
    while size:
        full, partial = divmod(size, TILE_WIDTH)
        found += [(level, n, TILE_WIDTH) for n in range(full)]
        if partial:
            found.append((level, full, partial))
        size, level = full, level + 1
    return found


_TILE = Statement(
    select(AuditTileRow.data).where(
        AuditTileRow.base == bindparam("base"), AuditTileRow.level == bindparam("level"), AuditTileRow.n == bindparam("n")
    )
)
_LEAF_HASHES = Statement(
    select(AuditLeafRow.idx, AuditLeafRow.leaf_hash)
    .where(AuditLeafRow.idx >= bindparam("start"), AuditLeafRow.idx < bindparam("stop"))
    .order_by(AuditLeafRow.idx)
)
_TILE_ROOTS = Statement(
    select(AuditTileRow.n, AuditTileRow.root)
    .where(AuditTileRow.base == bindparam("base"), AuditTileRow.level == bindparam("level"))
    .where(AuditTileRow.n >= bindparam("start"), AuditTileRow.n < bindparam("stop"))
    .order_by(AuditTileRow.n)
)


class StoredTree:
    """Hashes of the tree of the log at ``base``, in one transaction. Reads each tile once."""

    def __init__(self, tx: Transaction, base: int = 0) -> None:
        self._tx = tx
        self._base = base
        self._tiles: dict[tuple[int, int], bytes] = {}

    def node(self, level: int, index: int) -> bytes:
        """32-byte root of the complete subtree (level, index): a ``merkle.ReadNode``. Raises as ``tile``."""
        tile_level, height = divmod(level, TILE_LEVELS)
        count = 1 << height
        n, offset = divmod(index << height, TILE_WIDTH)
        hashes = self.tile(tile_level, n, offset + count)[offset * HASH_BYTES :]
        return perfect_root([hashes[i : i + HASH_BYTES] for i in range(0, len(hashes), HASH_BYTES)])

    def tile(self, level: int, n: int, width: int) -> bytes:
        """First ``width`` hashes of a tile: ``width * 32`` bytes.

        Raises:
            IntegrityError: ``log_incomplete``: a row is missing.
        """
        if (level, n) not in self._tiles:
            stored = next(iter(_TILE.rows(self._tx, base=self._base, level=level, n=n)), None)
            self._tiles[level, n] = self._from_rows_below(level, n) if stored is None else stored[0]
        hashes = self._tiles[level, n][: width * HASH_BYTES]
        if len(hashes) != width * HASH_BYTES:
            raise _incomplete(level, n)
        return hashes

    def _from_rows_below(self, level: int, n: int) -> bytes:
        """All hashes of a tile so far: leaf hashes, or roots of the tiles one level below. Raises as ``tile``."""
        start = n * TILE_WIDTH + (self._base if level == 0 else 0)
        place = {"start": start, "stop": start + TILE_WIDTH}
        if level == 0:
            rows = _LEAF_HASHES.rows(self._tx, **place)
        else:
            rows = _TILE_ROOTS.rows(self._tx, base=self._base, level=level - 1, **place)
        if any(position != start + i for i, (position, _) in enumerate(rows)):
            raise _incomplete(level, n)
        return b"".join([row[1] for row in rows])


def store_full_tiles(tx: Transaction, base: int, old: int, new: int) -> None:
    """Write the tiles that become full as the log at ``base`` grows from ``old`` to ``new`` entries, lowest level first.

    Raises IntegrityError (``log_incomplete``).
    """
    level = 0
    while old // TILE_WIDTH != new // TILE_WIDTH:
        old, new = old // TILE_WIDTH, new // TILE_WIDTH
        tree = StoredTree(tx, base)
        rows = []
        for n in range(old, new):
            data = tree.tile(level, n, TILE_WIDTH)
            root = perfect_root([data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)])
            rows.append({"base": base, "level": level, "n": n, "root": root, "data": data})
        bulk_insert(tx, AuditTileRow, rows)
        level += 1


def _incomplete(level: int, n: int) -> IntegrityError:
    return IntegrityError("log_incomplete", f"the audit log lacks hashes of tile {level}/{n}")
