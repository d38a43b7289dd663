"""Importing genotypes: files and samples to subjects and a new part of a dataset, all or nothing.

1  read headers, agree on samples        4  under a lease: seal and put objects while files are read,
2  match sample names to subjects           and register people beside it
3  draw keys, groups and slots           5  when all keys are durable, one transaction: subjects, part, members, audit entry
                                         on failure: objects and keys go, and nothing in the books names them
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from sqlalchemy import exc

from policies.assemblies import known_assembly, normalise_assembly
from policies.errors import PolicyInputError
from policies.loci import parse_bed
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto.key_wrapping import KeyPurpose, block_keys
from vault.crypto.secret import Secret
from vault.errors import GenovaultError, InputError
from vault.files.given_files import read_given
from vault.files.handed_in import text_of
from vault.files.names import require_name
from vault.files.yaml_documents import declared
from vault.genotypes.assayed import EVERYTHING, NOTHING, Assayed, from_intervals
from vault.genotypes.catalog import declared_assays, import_target, panel_builder, part_members, parts
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.import_target import Target
from vault.genotypes.codec.encoded_chunk import SiteChunk
from vault.genotypes.contigs import normal_contig
from vault.genotypes.ingest.begin import begin_reading
from vault.genotypes.ingest.reading import ReadFile, Reading
from vault.genotypes.ingest.source_digest import source_digest
from vault.genotypes.store.part_records import ChunkRecord, Owner, PartRecord, Place
from vault.genotypes.store.part_writer import PartWriter
from vault.genotypes.structural_counts import StructuralCounts
from vault.ids import ID_BYTES, KeyId, PartId, SubjectId, draw, new_id
from vault.limits import GROUP_SUBJECTS, MAX_LINE_BYTES
from vault.session import object_leases
from vault.session.unlocked_vault import UnlockedVault
from vault.session.wrapped_keys import FreshKeys
from vault.storage.database import Transaction
from vault.subjects import registry
from vault.subjects.identities import Identity
from vault.subjects.registration import DrawnSubjects, Registration, draw_subjects, registering
from vault.subjects.sample_matching import Matched, match

LEASE = timedelta(days=2)  # longer than any import: the sweeper leaves its objects alone until then
_ONE_BY_ONE = "import blocks of a contig one after the other with --append, or join them first (bcftools concat)"
UNKNOWN = ("refuse", "skip", "register")

Progress = Callable[[int, int, int], None]
"""``progress(bytes read, bytes in all, sites so far)``."""


_Written = tuple[PartRecord, Sequence[ChunkRecord]]


@dataclass(frozen=True)
class ImportOptions:
    """Options of an import.

    ``unknown``: refuse, skip or register samples that no subject has. ``unlisted_assembly``: take an assembly that is not known here,
    of which neither contigs nor lengths can be checked. ``assayed``: a BED file of what was assayed, or all.
    """

    append: bool = False
    sample_map: Path | None = None
    unknown: str = "refuse"
    namespace: str = ""
    unlisted_assembly: bool = False
    assayed: Path | Literal["all"] | None = None


@dataclass(frozen=True)
class ImportReport:
    """The result of ``dataset import``, in counts of sites, samples and bytes."""

    dataset: str
    sites: int
    matched: int
    new: int
    skipped: int
    stored_bytes: int
    structural: StructuralCounts


@dataclass(frozen=True)
class _Plan:
    """A part to be written; nothing of it is in the books yet. Columns are of the first file; subjects are in their order."""

    target: Target
    part_id: PartId
    fresh: DrawnSubjects
    columns: Sequence[int]
    subjects: Sequence[SubjectId]
    slots: Mapping[SubjectId, tuple[int, int]]
    assayed: Assayed

    @property
    def dataset(self) -> Dataset:
        return self.target.dataset


def import_files(
    vault: UnlockedVault,
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
        InputError: ``name_malformed``, ``assembly_unknown``, ``dataset_exists``, ``dataset_unknown``, ``assembly_differs``, ``samples_differ``, ``samples_unknown``,
            ``sample_taken``, ``subject_twice``, ``contig_twice``, ``contig_spelling``, ``no_samples``, ``no_sites``, and what the
            readers refuse, with file, line and reason.
        UnavailableError: ``changed_meanwhile``.
    """
    with vault.trail.attempting(Action.DATASET_IMPORT), ExitStack() as stack:
        require_name(name, what="dataset")
        require_name(assembly, what="assembly")
        assembly = normalise_assembly(assembly)
        target = import_target.choose(vault, name, assembly, append=options.append)
        dataset = target.dataset
        if target.is_new and not options.unlisted_assembly:
            _require_listed(assembly)
        declaration = _declaration(options.assayed, assembly)
        opened = (reading or stack.enter_context(begin_reading(files, assembly))).files()
        orders = _agree(files, opened)
        samples = opened[0].samples
        matched = match(
            vault,
            dataset.dataset_id,
            samples,
            namespace=options.namespace,
            sample_map=options.sample_map,
            unknown=options.unknown,
        )
        source = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="source-digest")).submit(source_digest, files)
        part_id = PartId(new_id(vault.random))
        fresh = draw_subjects(vault, len(matched.new))
        columns, people = _chosen(matched, fresh.subjects)
        plan = _Plan(target, part_id, fresh, columns, people, _draw(vault, people), declaration)
        structural = StructuralCounts()
        chunks = _one_spelling(
            structural.counted(_chunks(opened, orders, columns, progress)), {} if target.is_new else _spellings(vault, dataset)
        )
        with (
            object_leases.acquire(vault, plan.part_id, lasting=LEASE, keys=KeyPurpose.SITE_TABLE),
            registering(vault, fresh, [Identity((name,)) for name in matched.new]) as new,
        ):
            written = _write(vault, plan, new, chunks)
            with _unless_overtaken(), new.transaction() as tx:
                _commit(tx, vault, plan, new, written, source=source.result())
    with suppress(GenovaultError):  # logged; the import stands, and what has no blocks of its own is read from the chunks
        panel_builder.rebuild(vault, dataset)
    part, _ = written
    known, skipped = len(people) - len(matched.new), len(samples) - len(people)
    return ImportReport(name, part.n_sites, known, len(matched.new), skipped, part.total_bytes, structural)


def _declaration(assayed: Path | Literal["all"] | None, assembly: str) -> Assayed:
    if assayed is None:
        return NOTHING
    if not isinstance(assayed, Path):
        return EVERYTHING
    lines = text_of(read_given(assayed, limit=MAX_LINE_BYTES), name=assayed.name, code="document_rejected").splitlines()
    places = declared(lambda: parse_bed(lines), name=assayed.name)
    return from_intervals(places.intervals, assembly=assembly, name=assayed.name)


def _require_listed(assembly: str) -> None:
    try:
        known_assembly(assembly)
    except PolicyInputError as error:
        hint = "an assembly that is meant so: --unlisted-assembly; its contigs and lengths are not checked then"
        raise InputError(error.code, error.message, hint=hint) from None


def _agree(files: Sequence[Path], opened: Sequence[ReadFile]) -> list[list[int]]:
    """For each file the columns that bring its samples into the first file's order."""
    first = opened[0].samples
    if not first:
        raise InputError("no_samples", f"{files[0].name} has no samples", hint="genovault imports genotypes, not site lists")
    columns = []
    for file, read in zip(files, opened, strict=True):
        place = {sample: at for at, sample in enumerate(read.samples)}
        if set(place) != set(first):
            raise InputError(
                "samples_differ",
                f"{file.name} does not have the samples of {files[0].name}",
                hint="import it on its own with --append",
            )
        columns.append([place[sample] for sample in first])
    return columns


def _chosen(matched: Matched, fresh: Sequence[SubjectId]) -> tuple[list[int], list[SubjectId]]:
    """(columns that have a subject, the subject of each)."""
    known = {**matched.known, **dict(zip(matched.new, fresh, strict=True))}
    columns = [at for at, name in enumerate(matched.names) if name in known]
    return columns, [known[matched.names[at]] for at in columns]


def _draw(vault: UnlockedVault, chosen: Sequence[SubjectId]) -> dict[SubjectId, tuple[int, int]]:
    """A random (group, slot) for each subject, independent of the order in the file (docs/design/genotypes.md §2)."""
    order = sorted(zip(draw(vault.random, len(chosen), ID_BYTES), chosen, strict=True))
    return {subject: divmod(at, GROUP_SUBJECTS) for at, (_, subject) in enumerate(order)}


def _chunks(
    opened: Sequence[ReadFile], columns: Sequence[Sequence[int]], chosen: Sequence[int], progress: Progress | None
) -> Iterator[SiteChunk]:
    total = sum(read.size for read in opened)
    before = sites = in_file = 0
    seen: set[str] = set()

    def tell(done: int, sites_so_far: int) -> None:
        nonlocal in_file
        in_file = sites_so_far
        if progress is not None:
            progress(before + done, total, sites + in_file)

    for read, order in zip(opened, columns, strict=True):
        mine: set[str] = set()
        for chunk in read.chunks([order[at] for at in chosen], tell):
            contig = normal_contig(chunk.contig)
            if contig in seen:
                raise InputError("contig_twice", "two of the files have sites on one contig", hint=_ONE_BY_ONE)
            mine.add(contig)
            yield chunk
        seen |= mine
        before, sites, in_file = before + read.size, sites + in_file, 0
    if not seen:
        raise InputError("no_sites", "the file has no sites", hint="there is nothing to import")


def _spellings(vault: UnlockedVault, dataset: Dataset) -> dict[str, str]:
    return {normal_contig(c): c for directory in parts.directories(vault, dataset.dataset_id) for c in directory.contigs}


def _one_spelling(chunks: Iterator[SiteChunk], known: Mapping[str, str]) -> Iterator[SiteChunk]:
    """Refuse "chr22" where the dataset's earlier parts say "22": a view could not merge them."""
    for chunk in chunks:
        if known.get(normal_contig(chunk.contig), chunk.contig) != chunk.contig:
            raise InputError(
                "contig_spelling",
                "the file spells contigs otherwise than the dataset",
                hint="rename them first (bcftools annotate --rename-chrs)",
            )
        yield chunk


def _write(vault: UnlockedVault, plan: _Plan, new: Registration, chunks: Iterator[SiteChunk]) -> _Written:
    """Write the sealed objects of a part."""
    dataset_id, fresh = plan.dataset.dataset_id, plan.fresh.genotype_keys()
    keys = {**fresh, **vault.keys.open_many(KeyPurpose.GENOTYPE, [s for s in plan.subjects if s not in fresh])}
    derived = block_keys((keys[subject] for subject in plan.subjects), dataset_id)
    places = [Place(*plan.slots[subject], key) for subject, key in zip(plan.subjects, derived, strict=True)]
    drawn: list[FreshKeys] = []

    def new_table_key() -> tuple[KeyId, Secret]:
        drawn.append(vault.keys.draw(KeyPurpose.SITE_TABLE, [plan.part_id], version=len(drawn) + 1))
        return KeyId(drawn[-1].key_ids[0]), Secret(drawn[-1].keys[0])

    owner = Owner(vault.vault_id, dataset_id, plan.part_id)
    with PartWriter(owner, places, put=vault.objects.put, new_table_key=new_table_key, random=vault.random) as writer:
        records = list(writer.write(chunks))
        part = writer.finish()
    new.keep(drawn)
    return part, records


def _commit(
    tx: Transaction, vault: UnlockedVault, plan: _Plan, new: Registration, written: _Written, *, source: str | None
) -> None:
    """Name everything in the books, with its audit entry, and end the lease."""
    dataset, fresh = plan.dataset, set(plan.fresh.subjects)
    part, chunks = written
    if plan.target.is_new:
        import_target.begin(tx, vault, plan.target)
    registry.require_held(tx, [subject for subject in plan.subjects if subject not in fresh])
    new.add(tx, dataset=dataset.dataset_id)
    said = declared_assays.keep(tx, plan.assayed)
    parts.add_part(tx, vault, dataset.dataset_id, part, chunks, assayed=said, source=source)
    part_members.add(tx, part.part_id, plan.slots)
    object_leases.end(tx, plan.part_id)
    vault.trail.append(
        tx,
        Action.DATASET_IMPORT,
        Outcome.DONE,
        obj=ObjectRef("part", part.part_id.hex()),
        subjects=[subject for subject in plan.subjects if subject not in fresh],
        tokens=plan.fresh.tokens,
        counts={"sites": part.n_sites, "registered": len(fresh), "bytes": part.total_bytes},
        blobs=[part.directory_sha256, *(c.table_sha256 for c in chunks), *(ref.sha256 for c in chunks for ref in c.containers)],
        detail={"dataset": dataset.name, "assembly": dataset.assembly, "assayed": said, "source": source},
    )


@contextmanager
def _unless_overtaken() -> Iterator[None]:
    try:
        yield
    except exc.IntegrityError:
        raise import_target.overtaken() from None
