"""Places that are told of apart from the person who is erased: their records keep place and REF, so that others' reference calls stay calls.

Where a record loses its last ALT, its place alone would tell that somebody carried something there. That tells nothing where a steward
declared the place as assayed, or where somebody else's variant is listed there: in another record of the part or in another part of
the dataset (docs/design/genotypes.md §8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from vault.crypto.key_wrapping import KeyPurpose
from vault.genotypes.assayed import Assayed
from vault.genotypes.catalog import declared_assays, parts, personal_access, personal_parts
from vault.genotypes.site_identity import family_keys, structural
from vault.genotypes.sites import Sites
from vault.genotypes.store.site_redaction import shown
from vault.genotypes.store.site_tables import PartDirectory, find_contig
from vault.ids import DatasetId, SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import PartRow

_Key = tuple[int, bytes]  # position and family of a record on one contig


def told(vault: UnlockedVault, part: PartRow, sites: Sites, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[j]: those of ``rows``, which lose their last ALT, whose place is told of. ``sites``: those of one chunk of the part."""
    if not len(rows):
        return rows
    asked, dataset_id = sites.take(rows), DatasetId(part.dataset_id)
    found = _declared(declared_assays.of_dataset(vault, dataset_id), asked)
    contig = asked.contigs[int(asked.contig[0])]
    keys = list(zip(asked.pos.tolist(), family_keys(asked), strict=True))
    listed = set(_listed(sites.take(np.setdiff1d(shown(sites), rows)), set(keys)))
    for near in _others(vault, part, contig, asked.pos):
        if listed.issuperset(keys):
            break
        listed.update(_listed(near.take(shown(near)), set(keys)))
    kept = rows[found | np.array([key in listed for key in keys])]
    return np.setdiff1d(kept, rows[_breakends(asked)])  # nothing but the ALT says to where they are joined


def _declared(assayed: Assayed, sites: Sites) -> NDArray[np.bool_]:
    """bool[m]: declared as assayed; of a structural variant that says nothing of its end."""
    plain = np.array([not structural(text.split(b",")[1:]).any() for text in sites.alleles.items()], np.bool_)
    covered: NDArray[np.bool_] = assayed.covers(sites) & plain
    return covered


def _breakends(sites: Sites) -> NDArray[np.bool_]:
    marks = [text.partition(b",")[2] for text in sites.alleles.items()]
    return np.array([b"[" in alts or b"]" in alts or b"." in alts for alts in marks], np.bool_)


def _listed(sites: Sites, wanted: set[_Key]) -> Iterable[_Key]:
    """Families, of those wanted, of which some record lists an ALT."""
    positions = np.array(sorted({pos for pos, _ in wanted}), np.int64)
    near = sites.take(np.flatnonzero(np.isin(sites.pos, positions)))
    texts = zip(near.pos.tolist(), family_keys(near), near.alleles.items(), strict=True)
    return ((pos, key) for pos, key, alleles in texts if any(alleles.split(b",")[1:]) and (pos, key) in wanted)


def _others(vault: UnlockedVault, part: PartRow, contig: str, pos: NDArray[np.int64]) -> Iterator[Sites]:
    """The sites of the dataset's other parts, as far as they may have a record at one of the positions."""
    dataset_id = DatasetId(part.dataset_id)
    for other in parts.list_all(vault, dataset_id):
        if other.part_id != part.part_id:
            near = _chunks_near(parts.open_part(vault, other, keep=False).reader.directory, contig, pos)
            if near:
                yield from map(parts.open_for_erasure(vault, other, near).sites, near)
    with vault.books.read() as tx:
        own = personal_parts.live(tx, dataset_id)
    keys = vault.keys.open_many(KeyPurpose.GENOTYPE, [SubjectId(row.subject_id) for row in own])
    for row in own:
        if row.subject_id in keys:
            reader = personal_access.reader_of(vault, row, keys[SubjectId(row.subject_id)])
            yield from map(reader.sites, _chunks_near(reader.directory, contig, pos))


def _chunks_near(directory: PartDirectory, contig: str, pos: NDArray[np.int64]) -> list[int]:
    """Ordinals of the chunks that may have a record at one of the positions int64[k], ascending."""
    name = find_contig(directory.contigs, contig)
    if name is None:
        return []
    here = directory.contig == directory.contigs.index(name)
    upto, before = np.searchsorted(pos, directory.last, "right"), np.searchsorted(pos, directory.first, "left")
    return np.flatnonzero(here & (upto > before)).tolist()
