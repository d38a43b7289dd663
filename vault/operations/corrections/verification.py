"""Verification of a dataset: every object read back, every seal opened that this principal may open, every block decoded.

Compared are lengths and digests with the books, seals with their places, counts of sites with the tables, the alleles that calls
name with those that sites list, and carrier counts with the calls. Nothing is changed, and no call leaves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto.key_wrapping import KeyPurpose, block_keys
from vault.crypto.primitives import sha256
from vault.errors import IntegrityError
from vault.genotypes.catalog import (
    compacted_parts,
    datasets,
    leaving,
    panel_blocks,
    part_list,
    part_members,
    parts,
    personal_parts,
)
from vault.genotypes.catalog.leaving import COUNTS
from vault.genotypes.catalog.part_list import AnyPart
from vault.genotypes.catalog.personal_access import PersonalAccess
from vault.genotypes.catalog.row_mapping import counts_from_row
from vault.genotypes.codec.callable_track import CallableTrack
from vault.genotypes.codec.carrier_counts import CarrierCounts, damaged
from vault.genotypes.store.block_access import BlockAccess
from vault.genotypes.store.part_counts import PartCarriers
from vault.genotypes.store.part_reader import PartReader
from vault.ids import SubjectId
from vault.operations.erasure import counts as carrier_counts
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ErasingChunkRow, PartRow, PersonalPartRow

AGAIN = "restore the objects from a backup; or dataset remove with --part, and import the file again"
KEYS = "restore the newest key database; or dataset remove with --part, and import the file again"
BOOKS = "restore a backup of the books"
RECOUNT = "genovault dataset recount N"
DERIVED = "panel create again: it is made of the dataset"
_REMEDIES = {"key_missing": KEYS, "members_altered": BOOKS, "part_incomplete": BOOKS, "counts_damaged": RECOUNT}

Progress = Callable[[int, int], None]
"""``progress(chunks done, chunks in all)``."""
Slots = Mapping[SubjectId, tuple[int, int]]


@dataclass(frozen=True)
class Damage:
    """Finding of what is not as it was written, where, and the cure. ``chunk`` and ``group``: None where it is all of them."""

    part: str
    chunk: int | None
    group: int | None
    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Verified:
    """Result of a verification: what was looked at, and what was found. ``blocks``: opened and decoded."""

    dataset: str
    parts: int
    chunks: int
    objects: int
    blocks: int
    damages: tuple[Damage, ...]


def verify(vault: UnlockedVault, name: str, *, progress: Progress = lambda _done, _total: None) -> Verified:
    """Read a dataset back as a whole; one access of the log.

    Raises:
        InputError: ``dataset_unknown``. UnavailableError: ``erasure_pending``; a store does not answer.
    """
    with vault.trail.attempting(Action.DATASET_VERIFY) as attempt:
        dataset = datasets.by_name(vault, name)
        rows = parts.list_all(vault, dataset.dataset_id)
        with vault.books.read() as tx:
            own = personal_parts.live(tx, dataset.dataset_id)
            people = sorted(leaving.everybody(tx, dataset.dataset_id))
        obj = ObjectRef("dataset", dataset.dataset_id.hex())
        intent = attempt.opens(people, obj=obj)
        total, done = sum(row.n_chunks for row in rows) + len(own), 0
        look = _Look(vault)
        for row in rows:
            members = look.members(row)
            for _ in look.part(row, members):
                done += 1
                progress(done, total)
            look.tracks(row, members)
            look.builds(row, members)
        for personal in own:
            look.personal(personal)
            done += 1
            progress(done, total)
        counts = {
            "parts": len(rows) + len(own),
            "chunks": done,
            "objects": look.objects,
            "blocks": look.blocks,
            "damaged": len(look.found),
        }
        vault.trail.record(
            Action.DATASET_VERIFY,
            Outcome.DONE,
            obj=obj,
            refers=intent,
            subjects=people,
            counts=counts,
            detail={"dataset": name, "damages": [f"{d.part}/{d.chunk}/{d.group}: {d.code}" for d in look.found[:100]]},
        )
    return Verified(name, len(rows) + len(own), done, look.objects, look.blocks, tuple(look.found))


class _Look:
    """One verification: what it has counted and found so far."""

    def __init__(self, vault: UnlockedVault) -> None:
        self._vault = vault
        self.objects = self.blocks = 0
        self.found: list[Damage] = []

    def members(self, row: PartRow) -> Slots:
        """Places of a part's people, held against the digest in its record."""
        with self._vault.books.read() as tx:
            try:
                part_members.listed(tx, row.layout_id, row.members_sha256)
            except IntegrityError as error:
                self._tell(row, None, None, error)
            return part_members.places(tx, row.layout_id)

    def part(self, row: PartRow, members: Slots) -> Iterator[None]:
        """Look at a part's directory and at each chunk."""
        try:
            opened = parts.open_part(self._vault, row, keep=False)
            self._object(row.directory_object, row.directory_bytes, row.directory_sha256)
            directory = opened.reader.directory
        except IntegrityError as error:
            self._tell(row, None, None, error)
            return
        access = self._access(row, members, row.dataset_id)
        everybody = sum(one.size for one in access.values()) == len(members)
        counts = self._counts(row) if everybody else None
        for ordinal in range(row.n_chunks):
            try:
                parts.learn(self._vault, opened, [ordinal])
                self._table(opened.reader, ordinal, int(directory.n_sites[ordinal]))
            except IntegrityError as error:
                self._tell(row, ordinal, None, error)
            else:
                found = self._groups(row, opened.reader, ordinal, access)
                self._compare(row, ordinal, counts, found)
            opened.reader.forget()
            yield

    def tracks(self, row: PartRow, members: Slots) -> None:
        """Look at the tracks of a compacted part, a run of bins at a time."""
        if row.compacted != compacted_parts.TRACKED:
            return
        keys = self._vault.keys.open_many(KeyPurpose.GENOTYPE, members)
        people = [subject for subject in members if subject in keys]
        try:
            part = parts.open_part(self._vault, row, keep=False)
            shared = compacted_parts.tracks(self._vault, part, [members[s] for s in people], [keys[s] for s in people])
            for number, run in enumerate(part.reader.directory.tracks):
                record = shared.record(number)
                for ref, name in zip(record.containers, record.container_names, strict=True):
                    self._object(name, ref.total_bytes, ref.sha256)
                for bins in shared.bins(part.reader.directory.contigs[run.contig], range(run.first, run.first + run.bins)):
                    CallableTrack.decode(bins)
        except IntegrityError as error:
            self._tell(row, None, None, error)

    def personal(self, row: PersonalPartRow) -> None:
        """Look at a person's own part as a whole."""
        subject = SubjectId(row.subject_id)
        try:
            self._object(row.object, row.total_bytes, row.sha256)
            self.blocks += PersonalAccess(self._vault, row, 0, self._key(subject)).verify()
        except IntegrityError as error:
            self._tell(row, None, None, error)

    def _key(self, subject: SubjectId) -> bytes:
        key = self._vault.keys.open_many(KeyPurpose.GENOTYPE, [subject]).get(subject)
        if key is None:
            raise IntegrityError("key_missing", "the person of the part has no genotype key")
        return key

    def builds(self, row: PartRow, members: Slots) -> None:
        """Look at the panel blocks over a part."""
        for build_id in panel_blocks.of_parts(self._vault, [part_list.id_of(row)]):
            try:
                reader = panel_blocks.open_build(self._vault, build_id)
                self._table(reader, 0, reader.part.n_sites)
            except IntegrityError as error:
                self._tell(row, None, None, error, remedy=DERIVED)
            else:
                self._groups(row, reader, 0, self._access(row, members, build_id), remedy=DERIVED)

    def _table(self, reader: PartReader, ordinal: int, n_sites: int) -> None:
        record = reader.known(ordinal)
        if record is None or record.n_sites != n_sites:
            raise IntegrityError("part_incomplete", "the books count other sites than the directory")
        self._object(record.table_name, record.table_bytes, record.table_sha256)
        reader.sites(ordinal)

    def _counts(self, row: PartRow) -> PartCarriers | None:
        """The part's carrier counts, unless it has none or an erasure or correction has yet to rewrite them."""
        try:
            with self._vault.books.read() as tx:
                place = (ErasingChunkRow.part_id == row.part_id, ErasingChunkRow.ordinal == COUNTS)
                pending = tx.scalar(select(ErasingChunkRow.job_id).where(*place).limit(1)) is not None
            if (record := counts_from_row(row)) is None or pending:
                return None
            self._object(record.name, record.n_bytes, record.sha256)
            return carrier_counts.held(self._vault, row)
        except IntegrityError as error:
            self._tell(row, None, None, error, remedy=RECOUNT)
            return None

    def _compare(self, row: PartRow, ordinal: int, counts: PartCarriers | None, found: CarrierCounts | None) -> None:
        """Hold counts against what was counted; ``found``: None where not all of it could be."""
        try:
            if counts is not None and found is not None and counts.chunk(ordinal).to_bytes() != found.to_bytes():
                raise damaged()
        except IntegrityError as error:
            self._tell(row, ordinal, None, error)

    def _groups(
        self, row: PartRow, reader: PartReader, ordinal: int, access: Mapping[int, BlockAccess], *, remedy: str | None = None
    ) -> CarrierCounts | None:
        """Look at each group's container; carriers among those whose blocks were opened, None where something is broken or shut."""
        record = reader.known(ordinal)
        carriers, whole = CarrierCounts.nobody(record.n_sites if record else 0), True
        for group, (ref, name) in enumerate(zip(record.containers, record.container_names, strict=True) if record else ()):
            try:
                self._object(name, ref.total_bytes, ref.sha256)
                if group in access:
                    carriers = carriers.plus(reader.count_carriers(ordinal, access[group]))
                    self.blocks += access[group].size
            except IntegrityError as error:
                whole = False
                self._tell(row, ordinal, group, error, remedy=remedy)
        return carriers if whole else None

    def _access(self, row: PartRow, members: Slots, owner: bytes) -> dict[int, BlockAccess]:
        """For each group the right to open its people's blocks; who has no key is found."""
        keys = self._vault.keys.open_many(KeyPurpose.GENOTYPE, members)
        if lost := len(members) - len(keys):
            error = IntegrityError("key_missing", f"{lost} people of the part have no genotype key")
            self._tell(row, None, None, error)
        groups: defaultdict[int, list[SubjectId]] = defaultdict(list)
        for subject, (group, _) in members.items():
            if subject in keys:
                groups[group].append(subject)
        return {
            group: BlockAccess.from_places([members[s] for s in people], block_keys((keys[s] for s in people), owner))
            for group, people in groups.items()
        }

    def _object(self, name: str, size: int, digest: bytes) -> None:
        """Read an object whole. Raises IntegrityError ``object_missing``, ``object_altered``."""
        data = self._vault.objects.get(name)
        self.objects += 1
        if len(data) != size or sha256(data) != digest:
            raise IntegrityError("object_altered", "an object is not what was written")

    def _tell(
        self, row: AnyPart, chunk: int | None, group: int | None, error: IntegrityError, *, remedy: str | None = None
    ) -> None:
        cure = remedy or _REMEDIES.get(error.code, AGAIN)
        damage = Damage(part_list.shown(row.part_id), chunk, group, error.code, error.message, cure)
        if damage not in self.found:
            self.found.append(damage)


def words(damages: Sequence[Damage]) -> list[tuple[str, str, str, str]]:
    """Each damage as (place, code, what, cure), for people."""
    shown = []
    for one in damages:
        chunk = "" if one.chunk is None else f", chunk {one.chunk}"
        group = "" if one.group is None else f", group {one.group}"
        shown.append((f"part {one.part}{chunk}{group}", one.code, one.message, one.remedy))
    return shown
