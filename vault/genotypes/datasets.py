"""The book of datasets: parts, their chunks and members in SQL, and reading them through sealed objects.

Reading needs block keys, and block keys come from the gate: nothing here decides who may be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session as Transaction

from vault.crypto.custody import block_keys
from vault.errors import InputError, IntegrityError
from vault.genotypes import panel_builds, part_book
from vault.genotypes.calls import Codes, Escapes
from vault.genotypes.loci import Locus, overlapping_rows
from vault.genotypes.matching import LocusIndex
from vault.genotypes.merge import PartCalls, merge_parts
from vault.genotypes.part_book import OpenPart
from vault.genotypes.part_reader import PartReader, join_escapes
from vault.genotypes.parts import ChunkRecord, PartRecord, Place
from vault.genotypes.sites import Sites
from vault.genotypes.tables import PartDirectory, find_chunks, find_contig
from vault.ids import DatasetId, PartId, SubjectId
from vault.session import Session
from vault.storage.base import bulk_insert
from vault.storage.books import ChunkRow, ContainerRow, DatasetRow, PartMemberRow, PartRow
from vault.storage.packed import insert_columns
from vault.times import to_micros


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

    def rows(self, sites: Sites, ends: NDArray[np.int64]) -> NDArray[np.int64]:
        """Chosen rows, ascending. ``ends``: ``tables.site_ends`` of the sites."""
        if self.panel is not None:
            return self.panel.index.match(sites, ends).rows
        if self.regions is not None:
            return overlapping_rows(sites, ends, self.regions).astype(np.int64)
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
    subjects = sorted(members)
    groups, slots = ([members[subject][at] for subject in subjects] for at in (0, 1))
    insert_columns(tx, PartMemberRow, {"part_id": part_id, "subject_id": subjects, "group_no": groups, "slot": slots})


def directories(session: Session, dataset: Dataset) -> list[PartDirectory]:
    """What each part of a dataset covers."""
    return [part.reader.directory for part in part_book.open_parts(session, dataset.dataset_id)]


def read(
    session: Session, dataset: Dataset, selection: Selection, subjects: Sequence[SubjectId], keys: Mapping[bytes, bytes]
) -> Calls:
    """The chosen sites' calls of the subjects, in their order; ABSENT where a subject's part lacks a site.

    ``keys``: genotype keys by subject; a subject without one cannot be read.

    Raises:
        IntegrityError: a missing, altered, swapped or truncated object; ``key_missing``.
        UnavailableError: ``erasure_pending``.
    """
    return GenotypeReader(session, dataset, subjects, keys).read(selection)


Chosen = list[tuple[int, NDArray[np.int64] | None]]
"""Chunks and the rows wanted of each; None: all."""


class GenotypeReader:
    """Reads a dataset for some subjects, who are settled when it is made: it opens their blocks and no one else's, and of these only
    those of chunks that are asked for. It is one access: make a new one after each decision.

    ``keep_bytes``: how much of what was decoded may stay in memory; a chunk stays when it is asked for a second time.
    Arguments and errors otherwise as ``read``.
    """

    def __init__(
        self,
        session: Session,
        dataset: Dataset,
        subjects: Sequence[SubjectId],
        keys: Mapping[bytes, bytes],
        *,
        keep_bytes: int = 0,
    ) -> None:
        if any(subject not in keys for subject in subjects):
            raise IntegrityError(
                "key_missing", "a subject's genotype key is not in the key database", hint="run genovault doctor"
            )
        self._session, self._dataset, self._subjects, self._keys, self._keep = session, dataset, subjects, keys, keep_bytes
        self._parts = [_PartAccess(self, part) for part in part_book.open_parts(session, dataset.dataset_id)]

    def read(self, selection: Selection) -> Calls:
        """The chosen sites' calls. Where decoded chunks are kept the arrays may be shared: do not write to them."""
        return Calls(*merge_parts([part.read(selection) for part in self._parts], len(self._subjects)))

    def derive(self) -> None:
        """Derive the block keys now, so that the first read need not."""
        for part in self._parts:
            part.derive()

    def close(self) -> None:
        """Let go of everything that was decoded."""
        for part in self._parts:
            part.forget()


class _PartAccess:
    """One part as a ``GenotypeReader`` reads it."""

    def __init__(self, whole: GenotypeReader, part: OpenPart) -> None:
        self._session, self._dataset = whole._session, whole._dataset  # noqa: SLF001 - the reader's own half
        self._keys, self._keep = whole._keys, whole._keep  # noqa: SLF001
        self._part = part
        slots = part_book.members(self._session, part.row, whole._subjects)  # noqa: SLF001
        self._columns = np.array([at for at, subject in enumerate(whole._subjects) if subject in slots], np.int64)  # noqa: SLF001
        self._members = [whole._subjects[at] for at in self._columns.tolist()]  # noqa: SLF001
        self._slots = [slots[subject] for subject in self._members]
        self._builds: dict[bytes, PartReader | None] = {}
        self._learned: set[int] = set()
        self._asked: set[int] = set()
        self._decoded: dict[int, tuple[Codes, Escapes]] = {}
        self._panels: dict[bytes, PartCalls] = {}

    @cached_property
    def _places(self) -> list[Place]:
        return self._placed(self._dataset.dataset_id)

    def derive(self) -> None:
        _ = self._places

    def forget(self) -> None:
        self._decoded.clear()
        self._panels.clear()

    def read(self, selection: Selection) -> PartCalls:
        if selection.panel is not None:
            panel_id = selection.panel.panel_id
            if panel_id not in self._builds:
                self._builds[panel_id] = panel_builds.find(self._session, self._part.part_id, panel_id)
            build = self._builds[panel_id]
            if build is not None:
                if panel_id not in self._panels:
                    found = PartCalls(*build.read([0], None, self._placed(build.part.part_id)), self._columns)
                    if found.codes.size > self._keep:
                        return found
                    self._panels[panel_id] = found
                return self._panels[panel_id]
        chosen = self._choose(selection)
        if self._keep and self._kept(chosen):
            return self._recall(chosen)
        return PartCalls(
            *self._part.reader.read([at for at, _ in chosen], [rows for _, rows in chosen], self._places), self._columns
        )

    def _placed(self, owner: bytes) -> list[Place]:
        keys = block_keys((self._keys[subject] for subject in self._members), owner)
        return [Place(group, slot, key) for (group, slot), key in zip(self._slots, keys, strict=True)]

    def _choose(self, selection: Selection) -> Chosen:
        wanted = selection.chunks(self._part.reader.directory)
        new = [ordinal for ordinal in wanted if ordinal not in self._learned]
        if new:
            part_book.learn(self._session, self._part, new)
            self._learned.update(new)
        return choose_rows(self._part.reader, selection, wanted)

    def _kept(self, chosen: Chosen) -> bool:
        """Whether the chunks are decoded in memory; those that are asked for again become so where there is room."""
        ordinals = [ordinal for ordinal, _ in chosen]
        missing = [ordinal for ordinal in ordinals if ordinal not in self._decoded]
        if missing:
            again = self._asked.issuperset(missing)
            self._asked.update(missing)
            sizes = [self._part.reader.directory.n_sites[ordinal] for ordinal in {*missing, *self._decoded}]
            if not again or int(sum(sizes)) * len(self._members) > self._keep:
                return False
            for ordinal in missing:
                self._decoded[ordinal] = self._part.reader.read([ordinal], None, self._places)[1:]
        return True

    def _recall(self, chosen: Chosen) -> PartCalls:
        sites, codes, escapes = [], [], []
        for ordinal, rows in chosen:
            whole, held = self._decoded[ordinal]
            table = self._part.reader.sites(ordinal)
            picked = np.arange(len(table)) if rows is None else rows
            run = int(picked[-1]) - int(picked[0]) + 1 == len(picked)
            sites.append(table.take(picked))
            codes.append(whole[int(picked[0]) : int(picked[-1]) + 1] if run else whole[picked])
            escapes.append(_at_rows(held, picked, len(table)))
        edges = np.concatenate([[0], np.cumsum([len(s) for s in sites])]).astype(np.int64).tolist()
        joined = codes[0] if len(codes) == 1 else np.concatenate([np.zeros((0, len(self._members)), np.uint8), *codes])
        return PartCalls(
            sites[0] if len(sites) == 1 else Sites.concat(sites), joined, join_escapes(escapes, edges), self._columns
        )


def _at_rows(escapes: Escapes, rows: NDArray[np.int64], n_sites: int) -> Escapes:
    """The escapes of the chosen rows, counted among them."""
    if not len(escapes):
        return escapes
    place = np.full(n_sites, -1, np.int64)
    place[rows] = np.arange(len(rows))
    kept = np.flatnonzero(place[escapes.site] >= 0)
    lengths = np.diff(escapes.offset)[kept]
    offset = np.zeros(len(kept) + 1, np.int64)
    np.cumsum(lengths, out=offset[1:])
    source = np.repeat(escapes.offset[:-1][kept] - offset[:-1], lengths) + np.arange(offset[-1])
    return Escapes(place[escapes.site[kept]], escapes.sample[kept], offset, escapes.alleles[source], escapes.phased[source])


def choose_chunks(session: Session, part: PartRow, selection: Selection) -> tuple[PartReader, Chosen]:
    """A reader of the chunks of a part that hold chosen sites, and which those are. Opens no block."""
    opened = part_book.opened(session, part)
    wanted = selection.chunks(opened.reader.directory)
    part_book.learn(session, opened, wanted)
    return opened.reader, choose_rows(opened.reader, selection, wanted)


def choose_rows(reader: PartReader, selection: Selection, ordinals: Sequence[int]) -> Chosen:
    """The chosen rows of some chunks; chunks without any are left out."""
    chosen: Chosen = []
    for ordinal in ordinals:
        sites = reader.sites(ordinal)
        rows = selection.rows(sites, reader.ends(ordinal))
        rows = rows[np.diff(sites.alleles.offsets)[rows] > 0]  # what an erasure blanked is nobody's any more
        if len(rows):
            chosen.append((ordinal, None if len(rows) == len(sites) else rows))
    return chosen


def open_part(session: Session, part: PartRow, ordinals: Sequence[int]) -> PartReader:
    """A reader of some chunks of a part, those that an erasure has yet to blank among them: for erasure itself.

    Whatever the session kept of parts goes: it may list what the erased person carried.
    """
    part_book.forget(session)
    opened = part_book.opened(session, part, keep=False)
    part_book.learn(session, opened, ordinals, erasing=True)
    return opened.reader


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
