"""Making the blocks of panels. This opens genotypes inside the vault and releases nothing: what is opened is sealed again for the same
people, under keys that derive from theirs. Each making is logged with whose genotypes it opens, before it opens them.

A panel that names more than ``MAX_SITES`` sites of a part gets no blocks of its own there: reading it touches most chunks anyhow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count

import numpy as np

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto.key_wrapping import KeyPurpose, block_key, block_keys
from vault.crypto.secret import Secret
from vault.genotypes.catalog import panel_blocks, panels, parts
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.panels import Panel
from vault.genotypes.codec.call_codes import MISSING_DIPLOID, Codes, Escapes
from vault.genotypes.codec.packed_calls import CallRows
from vault.genotypes.loci import Locus
from vault.genotypes.loci_assembly import require_on
from vault.genotypes.sites import Sites
from vault.genotypes.store.block_access import BlockAccess
from vault.genotypes.store.chunk_sealer import ChunkSealer
from vault.genotypes.store.part_reader import PartReader
from vault.genotypes.store.part_records import ChunkRecord, Owner, Place
from vault.genotypes.store.selections import Chosen, PanelLoci, Selection
from vault.ids import KeyId, PartId, SubjectId, new_id
from vault.limits import CHUNK_SITES
from vault.session import object_leases
from vault.session.audit_trail import Attempt
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import PartRow

MAX_SITES = CHUNK_SITES
_LEASE = timedelta(hours=6)  # longer than any making
_PIECE_CALLS = 64 << 20  # calls decoded at a time


@dataclass(frozen=True)
class _Work:
    """One panel over one part, with the chunks it touches. ``subjects`` in the order of their slots; ``keys`` of those who have one."""

    panel: Panel
    dataset: Dataset
    part_id: PartId
    reader: PartReader
    chosen: Chosen
    subjects: Sequence[SubjectId]
    slots: Mapping[SubjectId, tuple[int, int]]
    keys: Mapping[bytes, bytes]

    def readable(self) -> list[SubjectId]:
        return [subject for subject in self.subjects if subject in self.keys]

    def place(self, subject: SubjectId, owner: bytes) -> Place:
        return Place(*self.slots[subject], block_key(self.keys[subject], owner))

    def n_sites(self) -> int:
        return sum(len(self.reader.sites(ordinal)) if rows is None else len(rows) for ordinal, rows in self.chosen)


def create(vault: UnlockedVault, dataset: Dataset, name: str, loci: Sequence[Locus]) -> Panel:
    """Record a panel of a dataset, or its next version, and make its blocks.

    Raises:
        InputError: ``assembly_mismatch``: a locus is not on the dataset's assembly; and as ``panels.create`` and ``rebuild``.
    """
    require_on(dataset.assembly, loci, name="the loci")
    panel = panels.create(vault, name, loci, dataset_id=dataset.dataset_id)
    build(vault, dataset, panel)
    return panel


def rebuild(vault: UnlockedVault, dataset: Dataset) -> int:
    """Make the blocks of the newest version of each panel over every part that has none or stale ones; how many were made.

    Raises:
        IntegrityError: a part cannot be read. UnavailableError: the log or a store does not answer. What was made stays.
    """
    return sum(build(vault, dataset, panel) for panel in panels.newest(vault, dataset.dataset_id))


def build(vault: UnlockedVault, dataset: Dataset, panel: Panel) -> int:
    """Make one panel's blocks where they are missing or stale. Returns and raises as ``rebuild``."""
    made = 0
    with vault.trail.attempting(Action.PANEL_BUILD) as attempt:
        for part in parts.list_all(vault, dataset.dataset_id):
            if panel_blocks.find(vault, PartId(part.part_id), panel.panel_id) is None:
                made += _build(vault, dataset, panel, part, attempt)
    return made


def forget(vault: UnlockedVault, dataset: Dataset) -> int:
    """Destroy all blocks of panels over a dataset, as erasure does before it rewrites a site table; how many builds there were."""
    found = panel_blocks.of_parts(vault, [PartId(part.part_id) for part in parts.list_all(vault, dataset.dataset_id)])
    panel_blocks.remove(vault, found)
    return len(found)


def _build(vault: UnlockedVault, dataset: Dataset, panel: Panel, part: PartRow, attempt: Attempt) -> bool:
    selection = Selection(panel=PanelLoci(panel.panel_id, panel.index))
    with vault.books.read() as tx:
        versions = panel_blocks.table_versions(tx, PartId(part.part_id))
    reader, chosen = parts.choose_chunks(vault, part, selection)
    slots = parts.members(vault, part)
    keys = vault.keys.open_many(KeyPurpose.GENOTYPE, slots)
    # The slot of an erased person stays, under an id that no subject has.
    vacant = sorted(set(parts.all_places(vault, part)) - set(slots.values()))
    slots = {**slots, **{SubjectId(new_id(vault.random)): place for place in vacant}}
    work = _Work(panel, dataset, PartId(part.part_id), reader, chosen, sorted(slots, key=slots.__getitem__), slots, keys)
    if not 0 < work.n_sites() <= MAX_SITES or not keys:
        return False
    obj = ObjectRef("panel", f"{panel.sha256}:{panel.version}")
    detail = {"name": panel.name, "dataset": dataset.name}
    intent = attempt.opens(work.readable(), obj=obj, detail=detail)
    build_id = PartId(new_id(vault.random))
    with object_leases.acquire(vault, build_id, lasting=_LEASE, keys=KeyPurpose.PANEL):
        sealer, chunk = _seal(vault, work, build_id)
        panel_blocks.remove(vault, panel_blocks.of_place(vault, panel.panel_id, work.part_id))
        with vault.books.write() as tx:
            if tx.get(PartRow, work.part_id) is None:
                raise parts.changed()
            panel_blocks.add(
                tx, vault, panel_id=panel.panel_id, part_id=work.part_id, versions=versions, sealer=sealer, chunk=chunk
            )
            object_leases.end(tx, build_id)
            blobs = [chunk.table_sha256, *(ref.sha256 for ref in chunk.containers)]
            counts = {"sites": chunk.n_sites, "bytes": sealer.stored_bytes}
            vault.trail.append(tx, Action.PANEL_BUILD, Outcome.DONE, refers=intent, obj=obj, counts=counts, blobs=blobs)
    attempt.closed()
    return True


def _seal(vault: UnlockedVault, work: _Work, build_id: PartId) -> tuple[ChunkSealer, ChunkRecord]:
    """Open what the panel names, a piece at a time, and seal it as one chunk."""
    from vault.genotypes.codec.encoder import ChunkEncoder  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command

    versions = count(1)

    def new_key() -> tuple[KeyId, Secret]:
        key = vault.keys.create(KeyPurpose.PANEL, [build_id], version=next(versions))[0]
        return key.key_id, key.secret

    # A slot whose owner's key is destroyed is filled with missing calls under a random key that is not kept.
    places = [work.place(s, build_id) if s in work.keys else Place(*work.slots[s], vault.random(32)) for s in work.subjects]
    owner = Owner(vault.vault_id, work.dataset.dataset_id, build_id)
    sealer = ChunkSealer(owner, places, put=vault.objects.put, new_table_key=new_key, random=vault.random)
    encoder = ChunkEncoder(len(places), capacity=work.n_sites())
    sites = []
    for some, codes, escapes in _pieces(work):
        sites.append(some)
        encoder.add(CallRows.from_codes(codes), escapes)
    return sealer, sealer.seal(0, Sites.concat(sites), encoder.finish())


def _pieces(work: _Work) -> Iterator[tuple[Sites, Codes, Escapes]]:
    """Sites and calls of all slots, at most ``_PIECE_CALLS`` at a time."""
    readable = work.readable()
    access = BlockAccess.from_places(
        [work.slots[subject] for subject in readable],
        block_keys((work.keys[subject] for subject in readable), work.dataset.dataset_id),
    )
    columns = np.flatnonzero([subject in work.keys for subject in work.subjects])
    at_once = max(1, _PIECE_CALLS // access.size)
    for ordinal, rows in work.chosen:
        numbers = np.arange(len(work.reader.sites(ordinal))) if rows is None else rows
        for first in range(0, len(numbers), at_once):
            sites, codes, escapes = work.reader.read([ordinal], [numbers[first : first + at_once]], access)
            if len(readable) < len(work.subjects):
                whole = np.full((len(sites), len(work.subjects)), MISSING_DIPLOID, np.uint8)
                whole[:, columns] = codes
                codes = whole
                escapes = Escapes(escapes.site, columns[escapes.sample], escapes.offset, escapes.alleles, escapes.phased)
            yield sites, codes, escapes
