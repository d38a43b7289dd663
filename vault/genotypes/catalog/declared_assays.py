"""Declarations of what was assayed, in the books: a part's row says "all" or names the list's digest, a table of its own keeps the lists.

A list is public knowledge (a capture kit), so it is kept clear. Part rows are a collection, so the digest is signed by the steward
who imported, and a list of another digest is refused.
"""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Literal

import zstandard
from sqlalchemy import select

from policies.loci import parse_bed
from vault.crypto.primitives import sha256
from vault.errors import IntegrityError
from vault.files.given_files import read_given
from vault.files.handed_in import text_of
from vault.files.yaml_documents import declared
from vault.genotypes.assayed import EVERYTHING, NOTHING, Assayed, from_intervals, from_text
from vault.ids import DatasetId
from vault.limits import MAX_LINE_BYTES
from vault.session.caches import Cache
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import AssayedPlacesRow, PartRow, PersonalPartRow
from vault.storage.database import Transaction

ALL = "all"
MAX_BYTES = 256 * 2**20  # of a list once unpacked: an exome is 6 MB

_PARSED: Cache[dict[str, Assayed]] = Cache(dict)  # lists by their digest


def declared_in(assayed: Path | Literal["all"] | None, assembly: str) -> Assayed:
    """Declaration in a BED file, or of everything. Raises InputError as reading the file."""
    if assayed is None:
        return NOTHING
    if not isinstance(assayed, Path):
        return EVERYTHING
    lines = text_of(read_given(assayed, limit=MAX_LINE_BYTES), name=assayed.name, code="document_rejected").splitlines()
    places = declared(lambda: parse_bed(lines), name=assayed.name)
    return from_intervals(places.intervals, assembly=assembly, name=assayed.name)


def keep(tx: Transaction, declared: Assayed) -> str | None:
    """Keep a declaration, in the transaction of the part that makes it; what the part's row says of it (None: nothing)."""
    if declared.everything:
        return ALL
    if not declared.places.intervals:
        return None
    body = declared.text().encode()
    digest = sha256(body).hex()
    if tx.get(AssayedPlacesRow, digest) is None:
        tx.add(AssayedPlacesRow(sha256=digest, body=zstandard.compress(body)))
        tx.flush()
    return digest


def of_dataset(vault: UnlockedVault, dataset_id: DatasetId) -> Assayed:
    """Union of the declarations of a dataset's parts. Raises IntegrityError ``assayed_altered``."""
    with vault.books.read() as tx:
        said = {
            told
            for table in (PartRow, PersonalPartRow)
            for told in tx.scalars(select(table.assayed).where(table.dataset_id == dataset_id))
        } - {None}
        if ALL in said:
            return EVERYTHING
        return reduce(Assayed.union, (_list(vault, tx, str(digest)) for digest in sorted(filter(None, said))), NOTHING)


def _list(vault: UnlockedVault, tx: Transaction, digest: str) -> Assayed:
    known = vault.caches.get(_PARSED)
    if digest not in known:
        row = tx.get(AssayedPlacesRow, digest)
        try:
            body = b"" if row is None else zstandard.ZstdDecompressor().decompress(row.body, max_output_size=MAX_BYTES)
        except zstandard.ZstdError:
            body = b""
        if sha256(body).hex() != digest:
            raise IntegrityError(
                "assayed_altered", "a list of what was assayed is not as it was declared", hint="restore the books from a backup"
            )
        known[digest] = from_text(body.decode())
    return known[digest]
