"""Importing genotypes: files and samples to subjects and a new part of a dataset, all or nothing.

1  read headers, agree on samples        4  under a lease: seal and put objects while files are read,
2  match sample names to subjects           and register people beside it
3  draw keys, groups and slots           5  when all keys are durable, one transaction: subjects, part, members, audit entry
                                         on failure: objects and keys go, and nothing in the books names them
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from policies.assemblies import normalise_assembly
from vault.audit.actions import Action
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import GenovaultError
from vault.files.names import require_name
from vault.genotypes import import_entry
from vault.genotypes.catalog import arrival_checks, dataset_rules, import_target, overlap, panel_builder
from vault.genotypes.catalog.arrival_checks import UNREMARKABLE, SampleChecks
from vault.genotypes.catalog.contig_spelling import ContigSpelling
from vault.genotypes.catalog.import_checks import (
    NO_OVERLAP,
    NothingNewError,
    OverlapCounts,
    judge,
    require_as_wide,
    require_new_files,
    require_no_return,
)
from vault.genotypes.catalog.overlap import Source
from vault.genotypes.codec.encoded_chunk import SiteChunk
from vault.genotypes.import_chunks import Progress, chunks_of_files, teller, told
from vault.genotypes.import_gvcf import are_gvcfs, samples_of, write_people
from vault.genotypes.import_parts import Written, write_own, write_shared
from vault.genotypes.import_plan import (
    ImportOptions,
    Plan,
    agree_on_samples,
    choose_people,
    choose_places,
    declaration_of,
    require_listed,
)
from vault.genotypes.indel_counts import IndelCounts
from vault.genotypes.ingest.begin import begin_reading
from vault.genotypes.ingest.personal_calls import GvcfCounts
from vault.genotypes.ingest.reading import ReadFile, Reading
from vault.genotypes.ingest.source_digest import source_digest
from vault.genotypes.store.part_records import Owner
from vault.genotypes.structural_counts import StructuralCounts
from vault.ids import PartId, SubjectId, new_id
from vault.session import object_leases
from vault.session.audit_trail import Attempt
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects.identities import Identity
from vault.subjects.registration import Registration, draw_subjects, registering
from vault.subjects.sample_matching import match

LEASE = timedelta(days=2)  # longer than any import: the sweeper leaves its objects alone until then


@dataclass(frozen=True)
class ImportReport:
    """The result of ``dataset import``, in counts of sites, samples and bytes.

    ``already``: calls that the same people had. ``nothing_new``: all of them, so nothing was kept. ``unnamed``: samples whose names say
    nothing (``default``). ``replaced``: people whose older calls have ended. ``checks``: samples to look at. ``indels``: of which some may
    not be left-aligned. ``erased``: erasures since the dataset was begun, where people are registered.
    """

    dataset: str
    sites: int
    matched: int
    new: int
    skipped: int
    stored_bytes: int
    structural: StructuralCounts
    gvcf: GvcfCounts | None = None
    already: OverlapCounts = NO_OVERLAP
    nothing_new: bool = False
    unnamed: int = 0
    replaced: int = 0
    checks: SampleChecks = UNREMARKABLE
    indels: IndelCounts = field(default_factory=IndelCounts)
    erased: int = 0


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
    """Import files: of one set of samples, each contig in one file, as a part of a dataset; or gVCFs, each as a part of its person's.

    ``reading``: of these files, where it began before the vault was open.

    Raises:
        InputError: ``name_malformed``, ``assembly_unknown``, ``dataset_exists``, ``dataset_unknown``, ``assembly_differs``, ``samples_differ``, ``samples_unknown``,
            ``sample_taken``, ``sample_name_meaningless``, ``erased_may_return``, ``sample_swap``, ``calls_differ``, ``replace_narrower``, ``subject_twice``, ``contig_twice``, ``contig_spelling``, ``files_mixed``, ``rule_without_blocks``, ``rule_differs``, ``no_samples``, ``no_sites``, and what the
            readers refuse, with file, line and reason.
        UnavailableError: ``changed_meanwhile``.
    """
    with vault.trail.attempting(Action.DATASET_IMPORT) as attempt, ExitStack() as stack:
        for given, what in ((name, "dataset"), (assembly, "assembly")):
            require_name(given, what=what)
        assembly = normalise_assembly(assembly)
        target = import_target.choose(vault, name, assembly, append=options.append or options.replace is not None)
        dataset = target.dataset
        if target.is_new and not options.unlisted_assembly:
            require_listed(assembly)
        declaration = declaration_of(options.assayed, assembly)
        opened = (reading or stack.enter_context(begin_reading(files, assembly, fasta=options.fasta))).files()
        gvcfs = are_gvcfs(files, opened, options)
        orders = [] if gvcfs else agree_on_samples(files, opened)
        samples = samples_of(files, opened) if gvcfs else opened[0].samples
        rule = dataset_rules.to_import_under(vault, target, options.rule) if gvcfs else None
        digests = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="source-digest"))
        whole = digests.submit(source_digest, files)
        matched = match(
            vault,
            dataset.dataset_id,
            samples,
            namespace=options.namespace,
            sample_map=options.sample_map,
            unknown=options.unknown,
            completion=lambda: (whole.result() or vault.random(4).hex())[:8],
        )
        fresh = draw_subjects(vault, len(matched.new))
        columns, people = choose_people(matched, fresh.subjects)
        held = len(people) - len(matched.new)
        erased = require_no_return(vault, target, known=held, new=matched.new, accept=options.accept)
        sources = [digests.submit(source_digest, [files[at]]) for at in columns] if gvcfs else [whole]
        part_ids = [PartId(new_id(vault.random)) for _ in sources]
        places = choose_places(vault, target, people, apart=gvcfs or len(people) == 1 or options.replace is not None)
        plan = Plan(target, part_ids, fresh, columns, people, *places, declaration, rule)
        structural, indels = StructuralCounts(), IndelCounts()
        skipped = len(samples) - len(people)
        report = ImportReport(
            name, 0, held, len(matched.new), skipped, 0, structural, unnamed=matched.unnamed, indels=indels, erased=erased
        )
        try:
            if not target.is_new and not matched.new and options.assayed is None and options.replace is None:
                each = [[subject] for subject in people] if gvcfs else [people]
                require_new_files(vault, dataset, [(one.result(), who) for one, who in zip(sources, each, strict=True)])
            leases = stack.enter_context(ExitStack())
            for part_id in part_ids:
                leases.enter_context(object_leases.acquire(vault, part_id, lasting=LEASE, keys=KeyPurpose.SITE_TABLE))
            with leases, registering(vault, fresh, [Identity((name,)) for name in matched.new]) as new:
                written, of_gvcfs = _written(vault, plan, opened, orders, new, counts=(structural, indels), progress=progress)
                arrived, before = _sources(vault, plan, written), set(people).difference(fresh.subjects)
                found = _compared(vault, plan, arrived, before, options, attempt=attempt)
                checks = arrival_checks.check(vault, dataset, arrived, before)
                with import_entry.unless_overtaken(), new.transaction() as tx:
                    gone = import_entry.end_older(tx, vault, plan) if options.replace is not None else {}
                    said: dict[str, object] = {"checks": asdict(checks)} if checks != UNREMARKABLE else {}
                    said |= {"left_aligned": True} if options.fasta is not None else {}
                    said |= {"reason": options.replace, "replaced": [one.hex() for one in gone]} if gone else {}
                    digests_of = [source.result() for source in sources]
                    import_entry.commit(tx, vault, plan, new, written, sources=digests_of, said=said, refers=attempt.intent)
        except NothingNewError as nothing:
            import_entry.log_nothing(vault, plan, [source.result() for source in sources], refers=attempt.intent)
            return replace(report, already=nothing.counts or NO_OVERLAP, nothing_new=True)
    with suppress(GenovaultError):  # logged; the import stands, and what has no blocks of its own is read from the chunks
        panel_builder.rebuild(vault, dataset)
    return replace(
        report,
        sites=sum(part.n_sites for part in written),
        stored_bytes=sum(part.stored_bytes for part in written),
        gvcf=of_gvcfs,
        already=found,
        replaced=len({subject for some in gone.values() for subject in some}),
        checks=checks,
    )


def _written(
    vault: UnlockedVault,
    plan: Plan,
    opened: Sequence[ReadFile],
    orders: Sequence[Sequence[int]],
    new: Registration,
    *,
    counts: tuple[StructuralCounts, IndelCounts],
    progress: Progress | None,
) -> tuple[Sequence[Written], GvcfCounts | None]:
    """Write the objects of the plan's parts, which nothing names yet; of gVCFs the counts of what was not taken."""
    spelling = ContigSpelling(vault, plan.target)
    if plan.rule is None:
        chunks = spelling.checked(told(chunks_of_files(opened, orders, plan.columns, progress), counts))
        return [_write(vault, plan, new, chunks)], None
    return write_people(
        vault,
        plan,
        plan.rule,
        opened,
        keys=_keys(vault, plan),
        counts=counts,
        require_spelling=spelling.require,
        tell=teller(opened, progress),
    )


def _sources(vault: UnlockedVault, plan: Plan, written: Sequence[Written]) -> list[Source]:
    """The calls of everybody in what was written."""
    keys = {SubjectId(subject): key for subject, key in _keys(vault, plan).items()}
    owners = (Owner(vault.vault_id, plan.dataset.dataset_id, part_id) for part_id in plan.part_ids)
    return [one.source(vault, owner, {s: keys[s] for s in one.people}) for one, owner in zip(written, owners, strict=True)]


def _compared(
    vault: UnlockedVault,
    plan: Plan,
    sources: Sequence[Source],
    known: Collection[SubjectId],
    options: ImportOptions,
    *,
    attempt: Attempt,
) -> OverlapCounts:
    """Hold what was written against what its people have already, whom the log names before.

    Raises as ``judge`` and ``require_as_wide``, and NothingNewError.
    """
    if not known:
        return NO_OVERLAP
    attempt.opens(sorted(known), obj=import_entry.about(plan), detail={"dataset": plan.dataset.name})
    overlaps = []
    for source in sources:
        mine = [subject for subject in source.people if subject in known]
        if mine:
            overlaps.append(overlap.measure(vault, plan.dataset, source, mine))
            if options.replace is not None:
                require_as_wide(vault, plan.dataset, source.reader.directory.contigs, mine)
    found = judge(overlaps, accept=options.accept, replace=options.replace is not None)
    fresh = len(known) < len(plan.subjects)
    news = fresh or plan.rule is not None or options.replace is not None or any(one.new or one.different for one in overlaps)
    if not news and options.assayed is None:
        raise NothingNewError(found)
    return found


def _keys(vault: UnlockedVault, plan: Plan) -> dict[bytes, bytes]:
    """Genotype keys of the plan's people."""
    fresh = plan.fresh.genotype_keys()
    return {**fresh, **vault.keys.open_many(KeyPurpose.GENOTYPE, [s for s in plan.subjects if s not in fresh])}


def _write(vault: UnlockedVault, plan: Plan, new: Registration, chunks: Iterator[SiteChunk]) -> Written:
    """Write the sealed objects of a part."""
    keys = _keys(vault, plan)
    owner = Owner(vault.vault_id, plan.dataset.dataset_id, plan.part_ids[0])
    if len(plan.subjects) == 1:
        (only,) = plan.subjects
        return write_own(vault, owner, (only, keys[only]), chunks)
    people = {subject: keys[subject] for subject in plan.subjects}
    return write_shared(vault, owner, people, (plan.slots, plan.layout), chunks, new=new)
