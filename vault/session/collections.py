"""Collections: the small tables of the books whose rows decide, each digested whole.

    digest(collection) = SHA-256(context("genovault/collection/v1", table, column names …) ‖ rows)
    row                = its values in column order, each tagged and with its length; rows in ascending order of their bytes
    value              = "n;" | "i" decimal ";" | "b" length ":" bytes | "s" length ":" UTF-8

Of the consent ledger, whose batches are chained, only the newest is digested. Tables that grow with people or sites are not here:
their rows are bound by their own keys, by the digests in a part's records, or by the log.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import Connection, Table

from vault.crypto.context import encode_context
from vault.storage.base import Base
from vault.storage.book_tables import (
    ConsentBatchRow,
    DatasetRow,
    ErasingChunkRow,
    ErasureRow,
    FormRow,
    JobRow,
    KeyBackupRow,
    LeaseRow,
    PanelRow,
    PartRow,
    PrincipalRow,
    ProjectRow,
    ReferenceDocumentRow,
    RequestRow,
    RulingRow,
    VaultRow,
)


@dataclass(frozen=True)
class Collection:
    """One table, or its newest row. ``columns`` in the order of the table's definition, which never changes but by a migration."""

    name: str
    columns: tuple[str, ...]
    newest_by: str | None = None  # only the row with the largest value of this column counts

    def digest(self, connection: Connection) -> bytes:
        """SHA-256 of what the connection's transaction sees, 32 bytes."""
        wanted = ", ".join(self.columns)
        query = f"SELECT {wanted} FROM {self.name}"  # noqa: S608 - names of our own tables
        if self.newest_by is not None:
            query += f" ORDER BY {self.newest_by} DESC LIMIT 1"
        rows = sorted([b"".join(map(_tagged, row)) for row in connection.exec_driver_sql(query)])
        hashed = hashlib.sha256(encode_context("genovault/collection/v1", self.name, *self.columns))
        hashed.update(b"".join(rows))
        return hashed.digest()


def _of(table: type[Base], newest_by: str | None = None, *, without: tuple[str, ...] = ()) -> Collection:
    own = cast("Table", table.__table__)
    return Collection(own.name, tuple(column.name for column in own.columns if column.name not in without), newest_by)


COLLECTIONS: Mapping[str, Collection] = MappingProxyType(
    {
        collection.name: collection
        for collection in (
            _of(VaultRow),
            _of(PrincipalRow),
            _of(DatasetRow),
            _of(PartRow),
            _of(PanelRow),
            _of(FormRow),
            _of(ReferenceDocumentRow),
            _of(RulingRow),
            _of(ProjectRow),
            _of(RequestRow),
            _of(ErasureRow),
            _of(ErasingChunkRow),
            _of(KeyBackupRow),
            _of(JobRow),
            _of(LeaseRow),
            _of(ConsentBatchRow, "last_seq", without=("events", "times")),
        )
    }
)
"""Every collection, by its table's name."""

_NAMED = re.compile(r"\b(" + "|".join(sorted(COLLECTIONS, key=len, reverse=True)) + r")\b")


@lru_cache(maxsize=4096)
def named_in(statement: str) -> frozenset[str]:
    """The collections that the text of a statement names; perhaps more than it reads, never fewer."""
    return frozenset(_NAMED.findall(statement))


def state_digest(heads: Mapping[str, tuple[int, bytes]]) -> bytes:
    """SHA-256(context("genovault/state/v1", name, counter, digest, … in order of names)) of all heads, 32 bytes."""
    fields: list[str | bytes | int] = ["genovault/state/v1"]
    for name in sorted(heads):
        counter, digest = heads[name]
        fields += [name, counter, digest]
    return hashlib.sha256(encode_context(*fields)).digest()


def _tagged(value: Any) -> bytes:
    if value is None:
        return b"n;"
    if isinstance(value, int):  # booleans too: SQLite has none of its own
        return b"i%d;" % value
    if isinstance(value, str):
        raw = value.encode()
        return b"s%d:%b" % (len(raw), raw)
    octets = bytes(value)
    return b"b%d:%b" % (len(octets), octets)
