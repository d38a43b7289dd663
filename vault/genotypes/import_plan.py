"""Plan of an import: the dataset, whose samples the files hold, and the places that people get in a part. Nothing is written yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from policies.assemblies import known_assembly
from policies.errors import PolicyInputError
from policies.loci import parse_bed
from vault.errors import InputError
from vault.files.given_files import read_given
from vault.files.handed_in import text_of
from vault.files.yaml_documents import declared
from vault.genotypes.assayed import EVERYTHING, NOTHING, Assayed, from_intervals
from vault.genotypes.catalog import part_members
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.import_target import Target
from vault.genotypes.catalog.part_members import Layout, Slots
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.genotypes.ingest.reading import ReadFile
from vault.ids import ID_BYTES, PartId, SubjectId, draw
from vault.limits import GROUP_SUBJECTS, MAX_LINE_BYTES
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects.registration import DrawnSubjects
from vault.subjects.sample_matching import Matched


@dataclass(frozen=True)
class ImportOptions:
    """Options of an import.

    ``rule``: what counts as assayed in gVCFs, None: what the dataset says already. ``unknown``: refuse, skip or register samples that no subject has. ``unlisted_assembly``: take an assembly that is not known here,
    of which neither contigs nor lengths can be checked. ``assayed``: a BED file of what was assayed, or all. ``accept``: people whose calls
    differ from their earlier ones are taken. ``replace``: a reason; the people's calls in older parts end, and this is all they have.
    ``fasta``: a reference sequence with its index; REF is held to it, and indels are left-aligned by it.
    """

    append: bool = False
    sample_map: Path | None = None
    unknown: str = "refuse"
    namespace: str = ""
    unlisted_assembly: bool = False
    assayed: Path | Literal["all"] | None = None
    rule: AssayRule | None = None
    accept: bool = False
    replace: str | None = None
    fasta: Path | None = None


@dataclass(frozen=True)
class Plan:
    """Parts to be written; nothing of them is in the books yet.

    One of all subjects, in the order of ``columns`` of the first file; or, of gVCFs, one of each subject, ``columns`` being the files'
    numbers and ``rule`` what counts as assayed. ``layout``: of the dataset, whose people and places these are; None: the places are new.
    """

    target: Target
    part_ids: Sequence[PartId]
    fresh: DrawnSubjects
    columns: Sequence[int]
    subjects: Sequence[SubjectId]
    slots: Slots
    layout: Layout | None
    assayed: Assayed
    rule: AssayRule | None = None

    @property
    def dataset(self) -> Dataset:
        """The dataset that it goes to."""
        return self.target.dataset


def declaration_of(assayed: Path | Literal["all"] | None, assembly: str) -> Assayed:
    """Declaration that the option makes of what was assayed: the places of a BED file, everything, or nothing. Raises InputError: as ``parse_bed``."""
    if assayed is None:
        return NOTHING
    if not isinstance(assayed, Path):
        return EVERYTHING
    lines = text_of(read_given(assayed, limit=MAX_LINE_BYTES), name=assayed.name, code="document_rejected").splitlines()
    places = declared(lambda: parse_bed(lines), name=assayed.name)
    return from_intervals(places.intervals, assembly=assembly, name=assayed.name)


def require_listed(assembly: str) -> None:
    """Refuse an assembly that is not known here. Raises InputError ``assembly_unknown``."""
    try:
        known_assembly(assembly)
    except PolicyInputError as error:
        hint = "an assembly that is meant so: --unlisted-assembly; its contigs and lengths are not checked then"
        raise InputError(error.code, error.message, hint=hint) from None


def agree_on_samples(files: Sequence[Path], opened: Sequence[ReadFile]) -> list[list[int]]:
    """For each file the columns that bring its samples into the first file's order. Raises InputError ``no_samples``, ``samples_differ``."""
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


def choose_people(matched: Matched, fresh: Sequence[SubjectId]) -> tuple[list[int], list[SubjectId]]:
    """(columns that have a subject, the subject of each)."""
    known = {**matched.known, **dict(zip(matched.new, fresh, strict=True))}
    columns = [at for at, name in enumerate(matched.names) if name in known]
    return columns, [known[matched.names[at]] for at in columns]


def choose_places(
    vault: UnlockedVault, target: Target, chosen: Sequence[SubjectId], *, apart: bool
) -> tuple[Slots, Layout | None]:
    """Places of the subjects of a part: those of a layout of the dataset that has exactly these people, or new ones. ``apart``: new ones."""
    found = None
    if not (apart or target.is_new):
        with vault.books.read() as tx:
            found = part_members.fitting(tx, target.dataset.dataset_id, chosen)
    return (draw_places(vault, chosen), None) if found is None else (found.slots, found)


def draw_places(vault: UnlockedVault, chosen: Sequence[SubjectId]) -> dict[SubjectId, tuple[int, int]]:
    """A random (group, slot) for each subject, independent of the order in the file (docs/design/genotypes.md §2)."""
    order = sorted(zip(draw(vault.random, len(chosen), ID_BYTES), chosen, strict=True))
    return {subject: divmod(at, GROUP_SUBJECTS) for at, (_, subject) in enumerate(order)}
