"""Paths and sizes of tiles (docs/design/audit-log.md §5), and the stored tree against the plain one."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from tests.support.audit_log import event, tamper
from vault.audit.merkle import CompactRange, leaf_hash, perfect_root
from vault.audit.tiles import StoredTree, tile_path, tile_widths
from vault.errors import IntegrityError
from vault.storage.audit_tables import AuditTileRow


@pytest.mark.parametrize(
    ("level", "n", "width", "path"),
    [
        (0, 1_234_067, 256, "tile/0/x001/x234/067"),
        (0, 5, 256, "tile/0/005"),
        (1, 999, 256, "tile/1/999"),
        (0, 1000, 256, "tile/0/x001/000"),
        (0, 273, 112, "tile/0/273.p/112"),
        (None, 0, 1, "tile/entries/000.p/1"),
        (None, 1_000_000, 256, "tile/entries/x001/x000/000"),
    ],
)
def test_paths(level, n, width, path):
    assert tile_path(level, n, width) == path


def test_worked_sizes():
    tiles = tile_widths(70_000)
    assert [(level, n, width) for level, n, width in tiles if width < 256] == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    assert sum(level == 0 and width == 256 for level, _, width in tiles) == 273
    assert sum(level == 1 and width == 256 for level, _, width in tiles) == 1
    assert tile_widths(256) == [(0, 0, 256), (1, 0, 1)]
    assert tile_widths(0) == []


def test_full_tiles_appear_as_the_log_grows_in_any_batches(books):
    size = 0
    for batch in (1, 254, 1, 1, 300, 600, 3):
        books.log.record_many([event()] * batch)
        size += batch
        with books.database.read() as tx:
            assert tx.scalar(select(func.count()).select_from(AuditTileRow)) == size // 256


def test_stored_nodes_are_those_of_the_plain_tree(books):
    leaves = [leaf_hash(a.leaf) for a in books.log.record_many([event()] * 700)]
    with books.database.read() as tx:
        tree = StoredTree(tx)
        for level in range(10):
            for index in range(700 >> level):
                assert tree.node(level, index) == perfect_root(leaves[index << level : (index + 1) << level])
        assert tree.tile(0, 0, 256) == b"".join(leaves[:256])
        assert tree.tile(0, 2, 188) == b"".join(leaves[512:700])
        assert tree.tile(1, 0, 2) == CompactRange().extend(leaves[:256]).root() + CompactRange().extend(leaves[256:512]).root()


def test_a_missing_leaf_is_noticed(books):
    books.log.record(event())
    with books.database.read() as tx, pytest.raises(IntegrityError) as caught:
        StoredTree(tx).tile(0, 0, 2)
    assert caught.value.code == "log_incomplete"


def test_a_gap_is_noticed_and_never_closed_up(books):
    books.log.record_many([event()] * 3)
    tamper(books.path, "DELETE FROM audit_leaf WHERE idx = 0")
    with books.database.read() as tx, pytest.raises(IntegrityError) as caught:
        StoredTree(tx).tile(0, 0, 2)
    assert caught.value.code == "log_incomplete"
