"""Calls that were moved to a person (``vault.operations.corrections.moving``): the part that they were in lists their ALTs still.

Their erasure has to blank in its tables what nobody who is in it carries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from sqlalchemy import select

from vault.crypto.key_wrapping import KeyPurpose
from vault.genotypes.catalog import overlap, parts, personal_parts
from vault.genotypes.catalog.personal_parts import MOVED_FROM
from vault.genotypes.catalog.row_mapping import owner_from_row, personal_from_row
from vault.genotypes.sites import Sites
from vault.genotypes.store.site_redaction import Alts
from vault.ids import SubjectId
from vault.operations.erasure.private_alleles import NONE, carried_by
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import PartRow, PersonalPartRow

_Alt = tuple[str, int, bytes, bytes]  # contig, position, REF, ALT


def listed(vault: UnlockedVault, subject: SubjectId) -> dict[str, dict[int, Alts]]:
    """Part → chunk → int64[k, 2]: the ALTs that the subject carries by calls that were moved out of that part."""
    with vault.books.read() as tx:
        own = personal_parts.live(tx, subjects=[subject])
    return listed_of(vault, own)


def listed_of(vault: UnlockedVault, rows: Sequence[PersonalPartRow]) -> dict[str, dict[int, Alts]]:
    """Part → chunk → int64[k, 2]: the same of those of the parts that are of moved calls and whose people have keys."""
    moved = [row for row in rows if (row.source or "").startswith(MOVED_FROM)]
    keys = vault.keys.open_many(KeyPurpose.GENOTYPE, [SubjectId(row.subject_id) for row in moved])
    own = [row for row in moved if row.subject_id in keys]
    ids = {personal_parts.origin_of(str(row.source)) for row in own}
    with vault.books.read() as tx:
        origins = {row.part_id.hex(): row for row in tx.scalars(select(PartRow).where(PartRow.part_id.in_(ids)))}
    found: dict[str, dict[int, Alts]] = {}
    for row in own:
        origin = origins.get(personal_parts.origin_of(str(row.source)).hex())
        if origin is not None:
            whose = (SubjectId(row.subject_id), keys[row.subject_id])
            source = overlap.of_own(vault, owner_from_row(vault.vault_id, row), personal_from_row(row), whose)
            wanted = set(_carried(source))
            lists = found.setdefault(origin.part_id.hex(), {})
            for at, sites in _tables(vault, origin):
                if len(alts := _rows(sites, wanted)):
                    lists[at] = np.unique(np.concatenate([lists.get(at, NONE), alts]), axis=0)
    return found


def _carried(source: overlap.OwnSource) -> Iterator[_Alt]:
    (person,) = source.people
    for ordinal in range(source.reader.part.n_chunks):
        sites = source.reader.sites(ordinal)
        for row, allele in carried_by(source.reader, ordinal, source.access([person])).tolist():
            yield _alt(sites, row, allele)


def _rows(sites: Sites, wanted: set[_Alt]) -> Alts:
    """int64[k, 2]: row and number of each ALT of the table that is wanted."""
    rows = [
        (at, allele)
        for at, alleles in enumerate(sites.alleles.items())
        for allele in range(1, alleles.count(b",") + 1)
        if _alt(sites, at, allele) in wanted
    ]
    return np.array(rows, np.int64).reshape(-1, 2)


def _alt(sites: Sites, row: int, allele: int) -> _Alt:
    alleles = sites.alleles[row].split(b",")
    return sites.contigs[int(sites.contig[row])], int(sites.pos[row]), alleles[0], alleles[allele]


def _tables(vault: UnlockedVault, row: PartRow) -> list[tuple[int, Sites]]:
    reader = parts.open_for_erasure(vault, row, range(row.n_chunks))
    return [(ordinal, reader.sites(ordinal)) for ordinal in range(row.n_chunks)]
