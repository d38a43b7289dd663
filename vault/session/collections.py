"""Collections: the small tables of the books whose rows decide, each digested whole.

    column  = kind[1] of each value ‖ length of each value, u64 ‖ their bytes          kind: "n" NULL, "i" decimal, "b" bytes, "s" UTF-8
    digest  = SHA-256(context("genovault/collection/v1", table, column names …) ‖ u64 rows ‖ columns), rows in order of their keys
    listing = label ‖ NUL ‖ SHA-256(row)[32] of each row, in ascending order; a label is the record's name as people know it

Of the consent ledger, whose batches are chained, only the newest is digested. Tables that grow with people or sites are not here:
their rows are bound by their own keys, by the digests in a part's records, or by the log. A thousand rows take a few milliseconds:
columns are encoded at once.
"""

from __future__ import annotations

import marshal
import re
from array import array
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import Connection, Table

from vault.crypto.context import encode_context
from vault.storage.base import Base
from vault.storage.book_tables import (
    ApprovalRow,
    ConsentBatchRow,
    DatasetRow,
    ErasingChunkRow,
    ErasureRow,
    FormRow,
    JobRow,
    KeyBackupRow,
    LeaseRow,
    NoticeRow,
    PanelRow,
    PartRow,
    PeopleDigestRow,
    PersonalPartRow,
    PrincipalRow,
    ProjectRow,
    ProjectVersionRow,
    RecipientRow,
    ReferenceDocumentRow,
    RequestRow,
    ResolutionRow,
    RulingRow,
    VaultRow,
)
from vault.storage.compiled_statements import fetched
from vault.storage.disclosure_tables import (
    BudgetFamilyRow,
    BudgetRaiseRow,
    BudgetRow,
    CriteriaPackRow,
    FrequencyTableRow,
    LinkageDecisionRow,
    ReleasedSitesRow,
    TableApprovalRow,
)
from vault.storage.service_tables import AccessTokenRow, OutsideIdentityRow


@dataclass(frozen=True)
class Collection:
    """One table, or its newest row. ``columns`` in the order of the table's definition, which never changes but by a migration."""

    name: str
    columns: tuple[str, ...]
    key: tuple[int, ...]  # places in ``columns`` of the primary key
    label: tuple[int, ...]  # and of what a record is called by
    newest_by: str | None = None  # only the row with the largest value of this column counts

    def with_columns(self, present: AbstractSet[str]) -> Collection:
        """The collection as a program knew it whose table had only these columns; later ones come last."""
        return replace(self, columns=tuple(column for column in self.columns if column in present))

    def rows(self, connection: Connection) -> list[tuple[Any, ...]]:
        """Rows that the connection's transaction sees, in order of their keys."""
        wanted = ", ".join(self.columns)
        query = f"SELECT {wanted} FROM {self.name}"  # noqa: S608 - names of our own tables
        if self.newest_by is not None:
            query += f" ORDER BY {self.newest_by} DESC LIMIT 1"
        # not sorted by the database, whose collation may be the machine's
        found, place = fetched(connection, query), itemgetter(*self.key)
        try:
            return sorted(found, key=place)
        except TypeError:  # keys of several types, which SQLite takes: never what was signed, in whatever order
            return sorted(found, key=lambda row: repr(place(row)))

    def digest(self, rows: Sequence[tuple[Any, ...]]) -> bytes:
        """Digest of the collection whose rows are given, 32 bytes.

        The one found last is kept with what it was found from, every value and its type: rows that did not change are read whole
        by each transaction, and encoded once.
        """
        content = sha256(marshal.dumps(list(rows), _PLAIN)).digest()
        known = _DIGESTS.get(self)
        if known is None or known[0] != content:
            known = _DIGESTS[self] = content, self._digest(rows)
        return known[1]

    def _digest(self, rows: Sequence[tuple[Any, ...]]) -> bytes:
        hashed = sha256(encode_context("genovault/collection/v1", self.name, *self.columns) + len(rows).to_bytes(8, "big"))
        for column in zip(*rows, strict=True):
            hashed.update(_encoded(column))
        return hashed.digest()

    def listing(self, rows: Sequence[tuple[Any, ...]]) -> bytes:
        """Label and digest of each row."""
        return b"".join(sorted([self._label(row) + b"\0" + sha256(_encoded(row)).digest() for row in rows]))

    def _label(self, row: tuple[Any, ...]) -> bytes:
        return b" ".join([_shown(row[at]) for at in self.label])


_DIGESTS: dict[Collection, tuple[bytes, bytes]] = {}  # SHA-256 of the content last seen, and its digest
_PLAIN = 2  # the form of marshal that says the same of equal values, whatever else refers to them


def differing(signed: bytes, found: bytes) -> tuple[str, str] | None:
    """First record in which two listings differ, and how: ``altered``, ``taken out`` or ``added``; None if they do not."""
    before, now = _records(signed), _records(found)
    for label in [*sorted(before), *sorted(now.keys() - before.keys())]:  # the newest alone: what is gone, not what it uncovered
        if before.get(label) != now.get(label):
            how = "added" if label not in before else "taken out" if label not in now else "altered"
            return label.decode(errors="replace"), how
    return None


def _records(listing: bytes) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    at = 0
    while at < len(listing):
        end = listing.index(b"\0", at)
        found.setdefault(listing[at:end], []).append(listing[end + 1 : end + 33])
        at = end + 33
    return found


def _shown(value: Any) -> bytes:
    if isinstance(value, str):
        return value.replace("\0", " ").encode()
    return value.hex().encode() if isinstance(value, bytes) else repr(value).encode()


def _of(
    table: type[Base], newest_by: str | None = None, *, label: tuple[str, ...] = (), without: tuple[str, ...] = ()
) -> Collection:
    """A table's collection; ``label``: columns whose values name a record, otherwise the primary key's."""
    own = cast("Table", table.__table__)
    columns = tuple(column.name for column in own.columns if column.name not in without)
    key = tuple(columns.index(column.name) for column in own.primary_key.columns)
    return Collection(own.name, columns, key, tuple(columns.index(name) for name in label) or key, newest_by)


COLLECTIONS: Mapping[str, Collection] = MappingProxyType(
    {
        collection.name: collection
        for collection in (
            _of(VaultRow),
            _of(PrincipalRow),
            _of(AccessTokenRow),
            _of(OutsideIdentityRow),
            _of(DatasetRow, label=("name",)),
            _of(PartRow),
            _of(PersonalPartRow),
            _of(PeopleDigestRow),
            _of(PanelRow, label=("name", "version")),
            _of(FormRow),
            _of(ReferenceDocumentRow, without=("body",)),
            _of(RulingRow),
            _of(ApprovalRow),
            _of(ProjectRow, label=("code",)),
            _of(ProjectVersionRow),
            _of(RecipientRow),
            _of(RequestRow),
            _of(NoticeRow),
            _of(ResolutionRow),
            _of(BudgetRow),
            _of(BudgetFamilyRow),
            _of(BudgetRaiseRow),
            _of(ReleasedSitesRow, without=("sealed",)),
            _of(CriteriaPackRow),
            _of(TableApprovalRow),
            _of(FrequencyTableRow),
            _of(LinkageDecisionRow),
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


def reads_only(statement: str) -> bool:
    """True for a statement that can change nothing; False for whatever does not begin as a query does."""
    return statement.lstrip()[:6].upper() == "SELECT"


def state_digest(heads: Mapping[str, tuple[int, bytes]]) -> bytes:
    """SHA-256(context("genovault/state/v1", name, counter, digest, … in order of names)) of all heads, 32 bytes."""
    fields: list[str | bytes | int] = ["genovault/state/v1"]
    for name in sorted(heads):
        counter, digest = heads[name]
        fields += [name, counter, digest]
    return sha256(encode_context(*fields)).digest()


def _encoded(values: Sequence[Any]) -> bytes:
    """Kinds, lengths and bytes of values, as the module's head says."""
    kinds = bytes(map(_KINDS.__getitem__, map(type, values)))
    if len(set(kinds)) == 1:  # a column without NULL
        raw = values if kinds[0] == _BYTES else list(map(_RAW[kinds[0]], values))
    else:
        raw = [_RAW[kind](value) for kind, value in zip(kinds, values, strict=True)]
    return kinds + array("Q", map(len, raw)).tobytes() + b"".join(raw)


_NULL, _INTEGER, _BYTES, _TEXT, _REAL = b"nibsr"
# SQLite has no booleans, and puts a real number where nobody of ours would
_KINDS = {type(None): _NULL, int: _INTEGER, bool: _INTEGER, str: _TEXT, bytes: _BYTES, float: _REAL}
_RAW: Mapping[int, Callable[[Any], bytes]] = {
    _NULL: lambda _: b"",
    _INTEGER: b"%d".__mod__,
    _TEXT: str.encode,
    _BYTES: bytes,
    _REAL: lambda value: value.hex().encode(),
}
