"""The book of datasets: parts, their chunks and members in SQL, and reading them through sealed objects.

Reading needs block keys, and block keys come from the gate: nothing here decides who may be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session as Transaction

from vault.crypto.custody import KeyPurpose, block_key
from vault.crypto.secret import Secret
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.genotypes import panel_builds
from vault.genotypes.calls import Codes, Escapes
from vault.genotypes.containers import ContainerRef
from vault.genotypes.loci import Locus, overlapping_rows
from vault.genotypes.matching import LocusIndex
from vault.genotypes.merge import PartCalls, merge_parts
from vault.genotypes.part_reader import PartReader
from vault.genotypes.parts import ChunkRecord, Owner, PartRecord, Place
from vault.genotypes.sites import Sites
from vault.genotypes.tables import PartDirectory, find_chunks, find_contig, site_ends
from vault.ids import ContainerId, DatasetId, KeyId, PartId, SubjectId
from vault.session import Session
from vault.storage.base import bulk_insert
from vault.storage.books import ChunkRow, ContainerRow, DatasetRow, ErasingChunkRow, PartMemberRow, PartRow
from vault.times import to_micros

_FEW = 500  # subjects up to which looking each up beats a scan


@dataclass(frozen=True)
class Dataset:
    """One imported call set on one assembly."""

    dataset_id: DatasetId
    name: str
    assembly: str


@dataclass(frozen=True)
class DatasetSummary:
    """One line of ``dataset list``: nothing that depends on a single person."""

    name: str
    assembly: str
    parts: int
    subjects: int
    sites: int
    stored_bytes: int


@dataclass(frozen=True)
class PanelLoci:
    """The loci of one version of a panel; blocks that were made of it are read instead of the chunks."""

    panel_id: bytes
    index: LocusIndex


@dataclass(frozen=True)
class Selection:
    """Which sites: everything, those overlapping ``regions``, or those that the loci of a panel name."""

    regions: tuple[Locus, ...] | None = None
    panel: PanelLoci | None = None

    def rows(self, sites: Sites) -> NDArray[np.int64]:
        """Chosen rows, ascending."""
        if self.panel is not None:
            return self.panel.index.match(sites).rows
        if self.regions is not None:
            return overlapping_rows(sites, site_ends(sites), self.regions).astype(np.int64)
        return np.arange(len(sites))

    def chunks(self, directory: PartDirectory) -> list[int]:
        """Ordinals, ascending, of the chunks that may hold a chosen row."""
        if self.panel is not None:
            touched = self.panel.index.touching(directory.contigs, directory.contig, directory.first, directory.end)
            return np.flatnonzero(touched).tolist()
        if self.regions is not None:
            spelled = ((find_contig(directory.contigs, p.contig), p) for p in self.regions)
            return find_chunks(directory, [(contig, p.first, p.last) for contig, p in spelled if contig is not None])
        return list(range(len(directory)))


@dataclass(frozen=True)
class Calls:
    """What a read gives."""

    sites: Sites
    codes: Codes
    escapes: Escapes


def by_name(session: Session, name: str) -> Dataset:
    """A dataset by its name. Raises InputError ``dataset_unknown``."""
    with session.books.read() as tx:
        row = tx.scalars(select(DatasetRow).where(DatasetRow.name == name)).one_or_none()
    if row is None:
        raise InputError("dataset_unknown", f"there is no dataset {name}", hint="genovault dataset list")
    return Dataset(DatasetId(row.dataset_id), row.name, row.assembly)


def every(session: Session) -> list[DatasetSummary]:
    """All datasets, by name."""
    with session.books.read() as tx:
        rows = tx.scalars(select(DatasetRow).order_by(DatasetRow.name)).all()
        return [_summary(tx, row) for row in rows]


def add_part(tx: Transaction, session: Session, dataset: Dataset, part: PartRecord, chunks: Sequence[ChunkRecord]) -> None:
    """Name a written part's objects in the books, in the caller's transaction."""
    ordinal = tx.scalar(select(func.count()).select_from(PartRow).where(PartRow.dataset_id == dataset.dataset_id)) or 0
    row = PartRow(
        part_id=part.part_id,
        dataset_id=dataset.dataset_id,
        ordinal=ordinal,
        n_subjects=part.n_subjects,
        n_sites=part.n_sites,
        n_chunks=part.n_chunks,
        total_bytes=part.total_bytes,
        directory_object=part.directory_name,
        directory_bytes=part.directory_bytes,
        directory_sha256=part.directory_sha256,
        directory_key_id=part.directory_key_id,
        length_key_id=part.length_key_id,
        created=to_micros(session.clock()),
    )
    tx.add(row)
    tx.flush()
    bulk_insert(tx, ChunkRow, [_chunk_fields(part.part_id, chunk) for chunk in chunks])
    bulk_insert(tx, ContainerRow, [fields for chunk in chunks for fields in _container_fields(part.part_id, chunk)])


def add_members(tx: Transaction, part_id: PartId, members: Mapping[SubjectId, tuple[int, int]]) -> None:
    """Record each subject's (group, slot) in a part."""
    rows = [{"part_id": part_id, "subject_id": s, "group_no": g, "slot": n} for s, (g, n) in members.items()]
    bulk_insert(tx, PartMemberRow, rows)


def directories(session: Session, dataset: Dataset) -> list[PartDirectory]:
    """What each part of a dataset covers."""
    return [_reader(session, dataset, part, []).directory for part in parts(session, dataset)]


def read(
    session: Session, dataset: Dataset, selection: Selection, subjects: Sequence[SubjectId], keys: Mapping[bytes, bytes]
) -> Calls:
    """The chosen sites' calls of the subjects, in their order; ABSENT where a subject's part lacks a site.

    ``keys``: genotype keys by subject; a subject without one cannot be read.

    Raises:
        IntegrityError: a missing, altered, swapped or truncated object; ``key_missing``.
    """
    if any(subject not in keys for subject in subjects):
        raise IntegrityError("key_missing", "a subject's genotype key is not in the key database", hint="run genovault doctor")
    pieces: list[PartCalls] = []
    with ThreadPoolExecutor(2, thread_name_prefix="decode") as pool:
        for part in parts(session, dataset):
            slots = members(session, part, subjects)
            columns = np.array([at for at, subject in enumerate(subjects) if subject in slots], np.int64)
            reader, chosen, owner = _choose(session, dataset, part, selection, pool)
            places = [Place(*slots[s], block_key(keys[s], owner)) for s in (subjects[at] for at in columns.tolist())]
            pieces.append(PartCalls(*reader.read([at for at, _ in chosen], [rows for _, rows in chosen], places), columns))
    return Calls(*merge_parts(pieces, len(subjects)))


Chosen = list[tuple[int, NDArray[np.int64] | None]]
"""Chunks and the rows wanted of each; None: all."""


def _choose(
    session: Session, dataset: Dataset, part: PartRow, selection: Selection, pool: ThreadPoolExecutor
) -> tuple[PartReader, Chosen, bytes]:
    """A reader of what is to be read, and whose block keys open it: the panel's own blocks where they stand, else the chunks that matter."""
    if selection.panel is not None:
        build = panel_builds.find(session, dataset.dataset_id, PartId(part.part_id), selection.panel.panel_id)
        if build is not None:
            return panel_builds.open_build(session, build, pool=pool), [(0, None)], build.owner.part_id
    return *choose_chunks(session, dataset, part, selection, pool), dataset.dataset_id


def choose_chunks(
    session: Session, dataset: Dataset, part: PartRow, selection: Selection, pool: ThreadPoolExecutor
) -> tuple[PartReader, Chosen]:
    """A reader of the chunks of a part that hold chosen sites, and which those are. Opens no block."""
    wanted = selection.chunks(_reader(session, dataset, part, []).directory)
    _require_blanked(session, part, wanted)
    reader = _reader(session, dataset, part, _chunks(session, dataset, part, wanted), pool=pool)
    chosen: Chosen = []
    for ordinal in wanted:
        sites = reader.sites(ordinal)
        rows = selection.rows(sites)
        rows = rows[np.diff(sites.alleles.offsets)[rows] > 0]  # what an erasure blanked is nobody's any more
        if len(rows):
            chosen.append((ordinal, None if len(rows) == len(sites) else rows))
    return reader, chosen


def open_part(session: Session, dataset: Dataset, part: PartRow, ordinals: Sequence[int]) -> PartReader:
    """A reader of some chunks of a part, those that an erasure has yet to blank among them: for erasure itself."""
    return _reader(session, dataset, part, _chunks(session, dataset, part, ordinals))


def _require_blanked(session: Session, part: PartRow, ordinals: Sequence[int]) -> None:
    """Refuse chunks whose site table may list what only an erased person carried."""
    with session.books.read() as tx:
        query = select(ErasingChunkRow.ordinal).where(ErasingChunkRow.part_id == part.part_id)
        pending = set(tx.scalars(query))
    if not pending.isdisjoint(ordinals):
        raise UnavailableError(
            "erasure_pending", "an erasure is still being carried out on this data", hint="genovault doctor says how to finish it"
        )


def _chunk_fields(part_id: PartId, chunk: ChunkRecord) -> dict[str, object]:
    return {
        "part_id": part_id,
        "ordinal": chunk.ordinal,
        "n_sites": chunk.n_sites,
        "table_version": chunk.table_version,
        "table_object": chunk.table_name,
        "table_bytes": chunk.table_bytes,
        "table_sha256": chunk.table_sha256,
        "table_key_id": chunk.table_key_id,
    }


def _container_fields(part_id: PartId, chunk: ChunkRecord) -> list[dict[str, object]]:
    return [
        {
            "container_id": ref.container_id,
            "part_id": part_id,
            "chunk": chunk.ordinal,
            "group_no": ref.group,
            "n_slots": ref.n_slots,
            "nonce": ref.nonce8,
            "header_bytes": ref.header_bytes,
            "total_bytes": ref.total_bytes,
            "object": name,
            "sha256": ref.sha256,
        }
        for ref, name in zip(chunk.containers, chunk.container_names, strict=True)
    ]


def _summary(tx: Transaction, row: DatasetRow) -> DatasetSummary:
    parts = tx.execute(
        select(func.count(), func.sum(PartRow.n_sites), func.sum(PartRow.total_bytes)).where(PartRow.dataset_id == row.dataset_id)
    ).one()
    members = select(func.count(PartMemberRow.subject_id.distinct())).join(PartRow, PartRow.part_id == PartMemberRow.part_id)
    subjects = tx.scalar(members.where(PartRow.dataset_id == row.dataset_id)) or 0
    return DatasetSummary(row.name, row.assembly, int(parts[0]), subjects, int(parts[1] or 0), int(parts[2] or 0))
