"""Importing gVCFs: each file is one person's, and becomes that person's own part with the track of what was assayed as reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from vault.errors import InputError
from vault.genotypes.codec.encoded_chunk import SiteChunk
from vault.genotypes.import_chunks import told
from vault.genotypes.import_parts import OwnPart, write_own
from vault.genotypes.import_plan import ImportOptions, Plan
from vault.genotypes.indel_counts import IndelCounts
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.genotypes.ingest.personal_calls import GvcfCounts, PersonalCalls
from vault.genotypes.ingest.reading import ReadFile
from vault.genotypes.store.part_records import Owner
from vault.genotypes.structural_counts import StructuralCounts
from vault.session.unlocked_vault import UnlockedVault

Tell = Callable[[int, int, int], None]
"""``tell(bytes of the files before, bytes read of this one, sites so far)``."""


def are_gvcfs(files: Sequence[Path], opened: Sequence[ReadFile], options: ImportOptions) -> bool:
    """Tell by content whether the files are gVCFs.

    Raises:
        InputError: ``files_mixed``: some are; ``rule_without_blocks``: none is, and the options say what counts as assayed.
    """
    kinds = {read.gvcf for read in opened}
    if len(kinds) > 1:
        odd = next(file for file, read in zip(files, opened, strict=True) if read.gvcf != opened[0].gvcf)
        raise InputError(
            "files_mixed",
            f"of {files[0].name} and {odd.name} one has reference blocks and one has none",
            hint="import gVCFs apart from other files",
        )
    if kinds == {False} and options.rule is not None:
        raise InputError(
            "rule_without_blocks",
            f"{files[0].name} has no reference blocks for --min-gq, --min-dp, --accept-filter or --filtered to judge",
            hint="leave them out; --assayed says what a file without blocks covers",
        )
    return True in kinds


def samples_of(files: Sequence[Path], opened: Sequence[ReadFile]) -> list[str]:
    """The sample of each file. Raises InputError ``subject_twice``: two files are of one."""
    samples = [read.samples[0] for read in opened]
    for at, sample in enumerate(samples):
        if sample in samples[:at]:
            raise InputError(
                "subject_twice",
                f"{files[at].name} is of the same sample as {files[samples.index(sample)].name}",
                hint="import the second one on its own with --append",
            )
    return samples


def write_people(
    vault: UnlockedVault,
    plan: Plan,
    rule: AssayRule,
    opened: Sequence[ReadFile],
    *,
    keys: Mapping[bytes, bytes],
    counts: tuple[StructuralCounts, IndelCounts],
    require_spelling: Callable[[str], None],
    tell: Tell,
) -> tuple[list[OwnPart], GvcfCounts]:
    """Read the files one after another and write each person's part; those that are nobody's are read and left."""
    from vault.genotypes.ingest.chunking import chunks_of  # noqa: PLC0415 - kernels load with the first file

    made: list[OwnPart] = []
    total = GvcfCounts()
    chosen = {column: at for at, column in enumerate(plan.columns)}
    before = sites = 0
    for column, read in enumerate(opened):
        found = read.personal(rule, partial(_told, tell, before, sites))
        before, sites = before + read.size, sites + sum(len(batch.sites) for batch in found.calls.values())
        if column not in chosen:
            continue
        _require_something(found)
        for contig in found.contigs:
            require_spelling(contig)
        at = chosen[column]
        subject, owner = plan.subjects[at], Owner(vault.vault_id, plan.dataset.dataset_id, plan.part_ids[at])
        chunks: Iterator[SiteChunk] = told(chunks_of(found.calls.values(), 1), counts)
        tracks = {contig: track.encode() for contig, track in found.tracks.items()}
        made.append(write_own(vault, owner, (subject, keys[subject]), chunks, tracks=tracks))
        total = _sum(total, found.counts)
    return made, total


def _told(tell: Tell, before: int, sites: int, done: int, here: int) -> None:
    tell(before, done, sites + here)


def _require_something(found: PersonalCalls) -> None:
    if not found.contigs:
        raise InputError("no_sites", "a file has neither calls nor confident reference blocks", hint="there is nothing to import")


def _sum(one: GvcfCounts, other: GvcfCounts) -> GvcfCounts:
    more = other.as_dict()
    return GvcfCounts(**{name: count + more[name] for name, count in asdict(one).items()})
