"""Importing genotypes: files and samples to subjects and a new part of a dataset, all or nothing.

1  read headers, agree on samples        4  draw groups and slots at random
2  match sample names to subjects        5  write sealed objects
3  under a lease: make keys durable      6  one transaction: subjects, part, members, audit entry
                                         on failure: objects and keys go, and nothing in the books names them
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete, exc, select
from sqlalchemy.orm import Session as Transaction

from vault import subjects
from vault.audit.acts import Act, Outcome
from vault.audit.entry import Obj
from vault.crypto.custody import KeyPurpose, block_keys
from vault.crypto.secret import Secret
from vault.errors import GenovaultError, InputError, UnavailableError
from vault.genotypes import datasets, panel_building, part_book
from vault.genotypes.contigs import normal_contig
from vault.genotypes.datasets import Dataset
from vault.genotypes.ingest.reading import Reading
from vault.genotypes.ingest.source import GenotypeSource, SiteBatch, reorder
from vault.genotypes.part_records import ChunkRecord, Owner, PartRecord, Place
from vault.genotypes.parts import PartWriter
from vault.identities import Identity
from vault.ids import ID_BYTES, DatasetId, KeyId, PartId, SubjectId, draw, new_id
from vault.keybook import SUBJECT_PURPOSES
from vault.limits import GROUP_SUBJECTS
from vault.names import require_name
from vault.registration import NewSubjects, prepare
from vault.sample_names import Matched, match
from vault.session import Session
from vault.storage.books import DatasetRow, LeaseRow
from vault.times import to_micros

LEASE = timedelta(days=2)  # longer than any import: the sweeper leaves its objects alone until then
UNKNOWN = ("refuse", "skip", "register")

Progress = Callable[[int, int, int], None]
"""``progress(bytes read, bytes in all, sites so far)``."""


@dataclass(frozen=True)
class ImportOptions:
    """How names become subjects. ``unknown``: what to do with samples that no subject has."""

    append: bool = False
    sample_map: Path | None = None
    unknown: str = "refuse"
    namespace: str = ""


@dataclass(frozen=True)
class ImportReport:
    """What ``dataset import`` did."""

    dataset: str
    sites: int
    matched: int
    new: int
    skipped: int
    stored_bytes: int


@dataclass(frozen=True)
class _Plan:
    """What is about to be written: nothing of it is in the books yet. Columns are of the first file; subjects are in their order."""

    dataset: Dataset
    is_new: bool
    part_id: PartId
    new: NewSubjects
    columns: Sequence[int]
    subjects: Sequence[SubjectId]
    slots: Mapping[SubjectId, tuple[int, int]]


def import_files(
    session: Session,
    files: Sequence[Path],
    *,
    name: str,
    assembly: str,
    options: ImportOptions,
    progress: Progress | None = None,
    reading: Reading | None = None,
) -> ImportReport:
    """Import files (one set of samples; each contig in one file) as a part of a dataset.

    ``reading``: of these files, where it began before the vault was open.

    Raises:
        InputError: ``name_malformed``, ``dataset_exists``, ``dataset_unknown``, ``assembly_differs``, ``samples_differ``, ``samples_unknown``,
            ``sample_taken``, ``subject_twice``, ``contig_twice``, ``contig_spelling``, ``no_samples``, ``no_sites``, and what the
            readers refuse, with file, line and reason.
        UnavailableError: ``changed_meanwhile``.
    """
    with session.attempting(Act.DATASET_IMPORT), ExitStack() as stack:
        require_name(name, what="dataset")
        dataset, is_new = _dataset(session, name, assembly, append=options.append)
        sources = (reading or stack.enter_context(Reading(files, assembly))).sources()
        orders = _agree(files, sources)
        samples = sources[0].samples
        matched = match(
            session,
            dataset.dataset_id,
            samples,
            namespace=options.namespace,
            sample_map=options.sample_map,
            unknown=options.unknown,
        )
        part_id = PartId(new_id(session.random))
        with _lease(session, part_id) as made:
            new = prepare(session, [Identity((name,)) for name in matched.new])
            made.extend(new.subjects)
            columns, people = _chosen(matched, new)
            plan = _Plan(dataset, is_new, part_id, new, columns, people, _draw(session, people))
            batches = _batches(sources, orders, columns, progress)
            part, chunks = _write(session, plan, _one_spelling(batches, {} if is_new else _spellings(session, dataset)))
            with _unless_overtaken(), session.books.write() as tx:
                _commit(tx, session, plan, part, chunks)
    with suppress(GenovaultError):  # logged; the import stands, and what has no blocks of its own is read from the chunks
        panel_building.rebuild(session, dataset)
    known, skipped = len(plan.subjects) - len(made), len(samples) - len(plan.subjects)
    return ImportReport(name, part.n_sites, known, len(made), skipped, part.total_bytes)


def _dataset(session: Session, name: str, assembly: str, *, append: bool) -> tuple[Dataset, bool]:
    """The dataset to import into, and whether it is new."""
    with session.books.read() as tx:
        row = tx.scalars(select(DatasetRow).where(DatasetRow.name == name)).one_or_none()
    if row is None:
        if append:
            raise InputError("dataset_unknown", f"there is no dataset {name} to append to", hint="leave out --append")
        return Dataset(DatasetId(new_id(session.random)), name, assembly), True
    if not append:
        raise InputError(
            "dataset_exists", f"there is a dataset {name} already", hint="add to it with --append, or choose another name"
        )
    if row.assembly != assembly:
        raise InputError(
            "assembly_differs", f"dataset {name} is on {row.assembly}, not {assembly}", hint="import it under another name"
        )
    return Dataset(DatasetId(row.dataset_id), name, assembly), False


def _agree(files: Sequence[Path], sources: Sequence[GenotypeSource]) -> list[list[int]]:
    """For each file the columns that bring its samples into the first file's order."""
    first = sources[0].samples
    if not first:
        raise InputError("no_samples", f"{files[0].name} has no samples", hint="genovault imports genotypes, not site lists")
    columns = []
    for file, source in zip(files, sources, strict=True):
        place = {sample: at for at, sample in enumerate(source.samples)}
        if set(place) != set(first):
            raise InputError(
                "samples_differ",
                f"{file.name} does not have the samples of {files[0].name}",
                hint="import it on its own with --append",
            )
        columns.append([place[sample] for sample in first])
    return columns


def _chosen(matched: Matched, new: NewSubjects) -> tuple[list[int], list[SubjectId]]:
    """The columns that belong to somebody, and whose each is."""
    known = {**matched.known, **dict(zip(matched.new, new.subjects, strict=True))}
    columns = [at for at, name in enumerate(matched.names) if name in known]
    return columns, [known[matched.names[at]] for at in columns]


def _draw(session: Session, chosen: Sequence[SubjectId]) -> dict[SubjectId, tuple[int, int]]:
    """A random (group, slot) for each subject: the order of the file says nothing about places."""
    order = sorted(zip(draw(session.random, len(chosen), ID_BYTES), chosen, strict=True))
    return {subject: divmod(at, GROUP_SUBJECTS) for at, (_, subject) in enumerate(order)}


def _batches(
    sources: Sequence[GenotypeSource], columns: Sequence[Sequence[int]], chosen: Sequence[int], progress: Progress | None
) -> Iterator[SiteBatch]:
    total = sum(source.progress[1] for source in sources)
    before = sites = 0
    seen: set[str] = set()
    for source, order in zip(sources, columns, strict=True):
        mine: set[str] = set()
        picked = [order[at] for at in chosen]
        for batch in reorder(source.batches(), picked, len(source.samples)):
            mine.update(normal_contig(batch.sites.contigs[i]) for i in set(batch.sites.contig.tolist()))
            if mine & seen:
                raise InputError("contig_twice", "two of the files have sites on one contig", hint="give each contig in one file")
            sites += len(batch.sites)
            if progress is not None:
                progress(before + source.progress[0], total, sites)
            yield batch
        seen |= mine
        before += source.progress[1]
    if not sites:
        raise InputError("no_sites", "the file has no sites", hint="there is nothing to import")


def _spellings(session: Session, dataset: Dataset) -> dict[str, str]:
    return {normal_contig(c): c for directory in part_book.directories(session, dataset.dataset_id) for c in directory.contigs}


def _one_spelling(batches: Iterator[SiteBatch], known: Mapping[str, str]) -> Iterator[SiteBatch]:
    """Refuse "chr22" where the dataset's earlier parts say "22": a view could not merge them."""
    for batch in batches:
        for contig in batch.sites.contigs:
            if known.get(normal_contig(contig), contig) != contig:
                raise InputError(
                    "contig_spelling",
                    "the file spells contigs otherwise than the dataset",
                    hint="rename them first (bcftools annotate --rename-chrs)",
                )
        yield batch


def _write(session: Session, plan: _Plan, batches: Iterator[SiteBatch]) -> tuple[PartRecord, list[ChunkRecord]]:
    """Write the sealed objects of a part."""
    dataset_id, drawn = plan.dataset.dataset_id, plan.new.genotype_keys
    keys = {**drawn, **session.keybook.open_many(KeyPurpose.GENOTYPE, [s for s in plan.subjects if s not in drawn])}
    derived = block_keys((keys[subject] for subject in plan.subjects), dataset_id)
    places = [Place(*plan.slots[subject], key) for subject, key in zip(plan.subjects, derived, strict=True)]

    versions = itertools.count(1)

    def new_table_key() -> tuple[KeyId, Secret]:
        key = session.keybook.create(KeyPurpose.SITE_TABLE, [plan.part_id], version=next(versions))[0]
        return key.key_id, key.secret

    owner = Owner(session.vault_id, dataset_id, plan.part_id)
    with PartWriter(owner, places, put=session.objects.put, new_table_key=new_table_key, random=session.random) as writer:
        chunks = list(writer.write(batches))
        return writer.finish(), chunks


def _commit(tx: Transaction, session: Session, plan: _Plan, part: PartRecord, chunks: Sequence[ChunkRecord]) -> None:
    """Name everything in the books, with its audit entry, and end the lease."""
    dataset, fresh = plan.dataset, set(plan.new.subjects)
    if plan.is_new:
        now = to_micros(session.clock())
        tx.add(DatasetRow(dataset_id=dataset.dataset_id, name=dataset.name, assembly=dataset.assembly, created=now))
        tx.flush()
    subjects.require_held(tx, [subject for subject in plan.subjects if subject not in fresh])
    plan.new.add(tx, session, dataset=dataset.dataset_id)
    datasets.add_part(tx, session, dataset, part, chunks)
    datasets.add_members(tx, part.part_id, plan.slots)
    tx.execute(delete(LeaseRow).where(LeaseRow.prefix == plan.part_id.hex()))
    session.append(
        tx,
        Act.DATASET_IMPORT,
        Outcome.DONE,
        obj=Obj("part", part.part_id.hex()),
        subjects=list(plan.subjects),
        counts={"sites": part.n_sites, "registered": len(fresh), "bytes": part.total_bytes},
        blobs=[part.directory_sha256, *(c.table_sha256 for c in chunks), *(ref.sha256 for c in chunks for ref in c.containers)],
        detail={"dataset": dataset.name, "assembly": dataset.assembly},
    )


@contextmanager
def _unless_overtaken() -> Iterator[None]:
    """Two imports may look up the same names before either has committed: the second one's is then a name twice."""
    try:
        yield
    except exc.IntegrityError:
        raise UnavailableError(
            "changed_meanwhile", "another import took the dataset's or a sample's name", hint="repeat the command"
        ) from None


@contextmanager
def _lease(session: Session, part_id: PartId) -> Iterator[list[SubjectId]]:
    """Keep the sweeper off while objects have no name in the books; on failure take objects and new keys away again:
    those of the part, and of the subjects that the block puts into the list.

    Where the books may name them after all, because the commit's outcome is unknown, the sweeper decides when the lease is over.
    """
    prefix, made = part_id.hex(), list[SubjectId]()
    with session.books.write() as tx:
        tx.add(LeaseRow(prefix=prefix, expires=to_micros(session.clock() + LEASE)))
    try:
        yield made
    except BaseException as error:
        if isinstance(error, UnavailableError) and error.code == "database_unavailable":
            raise
        with session.books.read() as tx:
            if tx.get(LeaseRow, prefix) is None:  # interrupted behind the commit
                raise
        session.objects.delete([name for name, _ in session.objects.list(prefix)])
        session.keybook.destroy([KeyPurpose.SITE_TABLE, *SUBJECT_PURPOSES], [part_id, *made])
        with session.books.write() as tx:
            tx.execute(delete(LeaseRow).where(LeaseRow.prefix == prefix))
        raise
