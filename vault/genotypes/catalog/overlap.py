"""Overlap of a new part with what the same people have already: how many calls are the same, how many differ, what is new.

The new part is read back before the books name it, so an import can still be refused, or leave nothing because nothing is new.
Within the dataset the earliest part's call stands for what a person had; kinship also counts other datasets on the same assembly.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from vault.crypto.key_wrapping import KeyPurpose, block_keys
from vault.crypto.secret import Secret
from vault.genotypes.catalog import call_comparison, compacted_access, parts, personal_parts
from vault.genotypes.catalog.call_comparison import DIFFERENT, NONE, SAME, CallTally, SharedSites, shared_sites
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.row_mapping import owner_from_row, personal_from_row
from vault.genotypes.codec.call_codes import Codes
from vault.genotypes.compute.threads import decoding_pool
from vault.genotypes.contigs import normal_contig
from vault.genotypes.store.block_access import BlockAccess
from vault.genotypes.store.own_rows import AnyRows, OwnRows
from vault.genotypes.store.part_reader import PartReader
from vault.genotypes.store.part_records import ChunkRecord, Owner, PartRecord
from vault.genotypes.store.personal_index import PersonalRecord
from vault.genotypes.store.personal_reader import PersonalPart
from vault.genotypes.store.reference_fill import OwnTrack
from vault.genotypes.store.site_tables import PartDirectory
from vault.ids import DatasetId, KeyId, SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import DatasetRow

FEW_PEOPLE = 16  # of more, a compacted part is compared as a whole: where it has several records of a site, with one of them
PEOPLE_AT_ONCE = 1_024  # of whom a chunk's calls are compared: 16 MiB


@dataclass(frozen=True)
class Overlap:
    """Comparison, for each of ``people``. ``tally``: within the dataset. ``kinship``, ``unlike`` float64[n]: with all earlier data, φ and
    the share of unlike SNPs of which either carries the ALT; NaN where too little is shared.

    ``new``: the part has a site that no earlier part of the dataset has, or a call of somebody who had none there.
    """

    people: Sequence[SubjectId]
    tally: CallTally
    kinship: NDArray[np.float64]
    unlike: NDArray[np.float64]
    new: bool

    @property
    def same(self) -> int:
        """Calls that the same people had already, and the same."""
        return int(self.tally.same.sum())

    @property
    def different(self) -> int:
        """Calls that the same people had already, and otherwise."""
        return int(self.tally.different.sum())


@dataclass(frozen=True)
class Source:
    """Calls of some people in one part, of either kind. ``inside``: of the dataset that is imported into. ``tracks``: what was assayed as
    reference, by person and by the contigs that it speaks of. ``compacted``: who has no record of a site is none of those who were not called there.
    """

    part_id: bytes
    reader: AnyRows
    people: Collection[SubjectId]
    access: Callable[[Sequence[SubjectId]], BlockAccess]
    learn: Callable[[Sequence[int]], None]
    inside: bool = True
    tracks: Mapping[SubjectId, Mapping[str, OwnTrack]] = field(default_factory=dict)
    compacted: bool = False


@dataclass(frozen=True)
class OwnSource(Source):
    """A person's own part."""

    reader: PartReader


def of_shared(
    reader: PartReader,
    slots: Mapping[SubjectId, tuple[int, int]],
    keys: Mapping[SubjectId, bytes],
    *,
    learn: Callable[[Sequence[int]], None] = lambda _: None,
) -> Source:
    """Of a part of several people. ``keys``: block keys."""

    def access(people: Sequence[SubjectId]) -> BlockAccess:
        return BlockAccess.from_places([slots[s] for s in people], [keys[s] for s in people])

    return Source(reader.part.part_id, reader, slots.keys() & keys.keys(), access, learn)


def of_written(
    vault: UnlockedVault,
    owner: Owner,
    written: tuple[PartRecord, Sequence[ChunkRecord], Mapping[KeyId, Secret]],
    slots: Mapping[SubjectId, tuple[int, int]],
    keys: Mapping[SubjectId, bytes],
) -> Source:
    """Of a part of several people that is written and not in the books yet. ``written``: its records, and the keys of its tables."""
    record, chunks, tables = written
    get, pool = vault.objects.get_range, decoding_pool()
    reader = PartReader(owner, record, chunks, get_range=get, table_key=tables.__getitem__, pool=pool)
    return of_shared(reader, slots, keys)


def of_each(
    reader: PartReader,
    slots: Mapping[SubjectId, tuple[int, int]],
    keys: Mapping[SubjectId, bytes],
    *,
    learn: Callable[[Sequence[int]], None],
) -> list[Source]:
    """Of each of some people of a compacted part, as of a part of their own. ``keys``: block keys."""
    found = []
    for subject in slots.keys() & keys.keys():
        access = BlockAccess.from_places([slots[subject]], [keys[subject]])
        own = OwnRows(reader, access)
        found.append(Source(reader.part.part_id, own, {subject}, lambda _, access=access: access, learn))  # type: ignore[misc]
    return found


def of_own(vault: UnlockedVault, owner: Owner, record: PersonalRecord, person: tuple[SubjectId, bytes]) -> OwnSource:
    """Of a person's own part. ``person``: subject and genotype key."""
    subject, key = person
    part = PersonalPart(owner, record, key, get_range=vault.objects.get_range, pool=decoding_pool())
    track = OwnTrack(part.bins)
    tracks = {one.contig: track for one in part.index.tracks}
    return OwnSource(record.part_id, part.reader, {subject}, lambda _: part.access, lambda _: None, tracks={subject: tracks})


@dataclass(frozen=True)
class _Some:
    """Those of some people who are in an earlier part. ``at``: their columns among the some; ``columns``: among everybody."""

    people: Sequence[SubjectId]
    at: NDArray[np.int64]
    columns: NDArray[np.int64]

    @staticmethod
    def of(earlier: Source, some: Sequence[SubjectId], columns: Sequence[int]) -> _Some:
        at = [i for i, subject in enumerate(some) if subject in earlier.people]
        return _Some([some[i] for i in at], np.array(at, np.int64), np.array([columns[i] for i in at], np.int64))


def measure(
    vault: UnlockedVault,
    dataset: Dataset,
    new_part: Source,
    known: Sequence[SubjectId],
    *,
    without: Mapping[SubjectId, Collection[bytes]] = MappingProxyType({}),
) -> Overlap:
    """Compare a new part with what ``known`` people, who are in it, have already; ``without``: parts that each is leaving.

    Raises:
        IntegrityError: a stored object is not what was written. UnavailableError: ``erasure_pending``.
    """
    keys = vault.keys.open_many(KeyPurpose.GENOTYPE, known)
    people = [subject for subject in known if subject in keys]
    reader, place = new_part.reader, {subject: at for at, subject in enumerate(people)}
    earlier = _earlier(vault, dataset, people, keys, without) if people else []
    total, kin, new = CallTally.none(len(people)), CallTally.none(len(people)), False
    for ordinal in range(reader.part.n_chunks):
        looked = [(e, list(_shared(reader, ordinal, e))) for e in earlier]
        here = [(e, shared) for e, shared in looked if shared]
        new = new or _has_unseen(reader, ordinal, [shared for e, shared in here if e.inside])
        for first in range(0, len(people), PEOPLE_AT_ONCE):
            some = people[first : first + PEOPLE_AT_ONCE]
            if new and not any(s in e.people for e, _ in here for s in some):
                continue
            _, codes, _ = reader.read([ordinal], None, new_part.access(some))
            state = np.zeros(codes.shape, np.uint8)
            for e, shared in here:
                inside = _Some.of(e, some, [place[s] for s in some])
                for other, sites in shared if len(inside.at) else ():
                    found = _compared(e, other, sites, codes, inside)
                    kin.add(found[1], inside.columns)
                    if e.inside:
                        _settle(total, state, np.ix_(sites.mine, inside.at), found, inside.columns)
            new = new or bool((call_comparison.pairs(codes)[0] >= 0)[state == NONE].any())
            parted = np.array([place[s] for s in some], np.int64)
            total.same[parted] += (state == SAME).sum(axis=0)
            total.different[parted] += (state == DIFFERENT).sum(axis=0)
        reader.forget()
    return Overlap(people, total, kin.kinship(), kin.unlike_share(), new)


def _compared(
    earlier: Source, ordinal: int, shared: SharedSites, codes: Codes, some: _Some
) -> tuple[NDArray[np.uint8], CallTally]:
    """Compare some people's new codes with one chunk of an earlier part."""
    wanted, back = np.unique(shared.theirs, return_inverse=True)
    _, theirs, _ = earlier.reader.read([ordinal], [wanted], earlier.access(some.people))
    return call_comparison.compare(shared, codes[np.ix_(shared.mine, some.at)], theirs[back])


def _settle(
    total: CallTally,
    state: NDArray[np.uint8],
    index: tuple[NDArray[np.int64], ...],
    found: tuple[NDArray[np.uint8], CallTally],
    columns: NDArray[np.int64],
) -> None:
    """Keep what was found where no earlier part had a call."""
    states, tally = found
    state[index] = np.where(state[index] == NONE, states, state[index])
    total.told[columns] += tally.told
    total.unlike[columns] += tally.unlike


def _earlier(
    vault: UnlockedVault,
    dataset: Dataset,
    people: Sequence[SubjectId],
    keys: Mapping[bytes, bytes],
    without: Mapping[SubjectId, Collection[bytes]],
) -> list[Source]:
    """Parts on the same assembly in which any of the people are, the dataset's own first, in order."""
    with vault.books.read() as tx:
        ids = [DatasetId(one) for one in tx.scalars(select(DatasetRow.dataset_id).where(DatasetRow.assembly == dataset.assembly))]
    ids.sort(key=lambda dataset_id: dataset_id != dataset.dataset_id)
    return [
        replace(source, inside=dataset_id == dataset.dataset_id)
        for dataset_id in ids
        for source in sources(vault, dataset_id, people, keys, without=without, together=len(people) > FEW_PEOPLE)
    ]


def sources(
    vault: UnlockedVault,
    dataset_id: DatasetId,
    people: Sequence[SubjectId],
    keys: Mapping[bytes, bytes],
    *,
    without: Mapping[SubjectId, Collection[bytes]] = MappingProxyType({}),
    together: bool = False,
) -> list[Source]:
    """Parts of a dataset in which any of the people are, in order. ``keys``: genotype keys. ``without``: as ``measure``.

    Of a compacted part each of them has a source of their own, unless they are wanted ``together``.
    """
    found: list[tuple[tuple[int, bool], Source]] = []  # own parts behind a part of several people whose place they share
    with vault.books.read() as tx:
        own = personal_parts.live(tx, dataset_id, people)
    for row in own:
        subject = SubjectId(row.subject_id)
        if row.part_id not in without.get(subject, ()):
            owner, record = owner_from_row(vault.vault_id, row), personal_from_row(row)
            found.append(((row.ordinal, True), of_own(vault, owner, record, (subject, keys[subject]))))
    places = parts.MemberPlaces(vault, people)
    for shared in parts.list_all(vault, dataset_id):
        slots = {subject: place for subject, place in places.of(shared).items() if shared.part_id not in without.get(subject, ())}
        if slots:
            derived = dict(zip(slots, block_keys((keys[s] for s in slots), dataset_id), strict=True))
            opened = parts.open_part(vault, shared)
            learn = partial(parts.learn, vault, opened)
            if shared.compacted is None or together:
                source = of_shared(opened.reader, slots, derived, learn=learn)
                if shared.compacted is not None:
                    tracks = compacted_access.tracks_of(vault, opened, slots, keys)
                    source = replace(source, compacted=True, tracks=tracks)
                found.append(((shared.ordinal, False), source))
            else:
                found += [((shared.ordinal, False), one) for one in of_each(opened.reader, slots, derived, learn=learn)]
    return [source for _, source in sorted(found, key=lambda one: one[0])]


def _shared(reader: AnyRows, ordinal: int, earlier: Source) -> Iterator[tuple[int, SharedSites]]:
    """(ordinal, shared sites) of the chunks of an earlier part that share sites with a chunk of the new one."""
    near = _touching(reader.directory, ordinal, earlier.reader.directory)
    if near:
        earlier.learn(near)
    for other in near:
        shared = shared_sites(reader.sites(ordinal), earlier.reader.sites(other))
        if len(shared.mine):
            yield other, shared


def _touching(mine: PartDirectory, ordinal: int, theirs: PartDirectory) -> list[int]:
    contig = normal_contig(mine.contigs[int(mine.contig[ordinal])])
    same = np.array([normal_contig(name) == contig for name in theirs.contigs], np.bool_)
    near = same[theirs.contig] & (theirs.first <= mine.last[ordinal]) & (theirs.last >= mine.first[ordinal])
    return np.flatnonzero(near).tolist()


def _has_unseen(reader: AnyRows, ordinal: int, shared: Sequence[Sequence[tuple[int, SharedSites]]]) -> bool:
    seen = np.zeros(int(reader.directory.n_sites[ordinal]), np.bool_)
    for chunk in shared:
        for _, sites in chunk:
            seen[sites.mine] = True
    return not seen.all()
