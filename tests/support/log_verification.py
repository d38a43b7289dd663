"""Edited logs and the offline verifier's findings about them."""

from __future__ import annotations

from pysqlite3 import dbapi2

from tests.support.audit_log import VKEY, open_log
from vault.audit.live_source import LogSource
from vault.audit.merkle import CompactRange, perfect_root
from vault.audit.verify import verify
from vault.storage.database import Database

KEY = VKEY.to_text()


def check(path, key=KEY):
    database = Database(f"sqlite:///{path}")
    try:
        return verify(LogSource(open_log(database), KEY), key)
    finally:
        database.close()


def codes(report):
    return {finding.code for finding in report.findings}


def leaf_at(path, index):
    connection = dbapi2.connect(str(path))
    (leaf,) = connection.execute("SELECT leaf FROM audit_leaf WHERE idx = ?", (index,)).fetchone()
    connection.close()
    return leaf


def rebuild(path):
    """Recompute tiles and head from the stored leaf hashes, as an editor with the code and write access to the database would."""
    connection = dbapi2.connect(str(path))
    hashes = [row[0] for row in connection.execute("SELECT leaf_hash FROM audit_leaf ORDER BY idx")]
    connection.execute("DELETE FROM audit_tile")
    for n in range(len(hashes) // 256):
        tile = hashes[n * 256 : (n + 1) * 256]
        connection.execute("INSERT INTO audit_tile VALUES (0, 0, ?, ?, ?)", (n, perfect_root(tile), b"".join(tile)))
    tree = CompactRange().extend(hashes)
    connection.execute("UPDATE audit_head SET size = ?, stack = ?", (tree.size, tree.to_bytes()))
    connection.commit()
    connection.close()
