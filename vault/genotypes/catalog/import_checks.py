"""Verdict on an import whose people have calls already: taken, refused as somebody else's, or nothing new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select

from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import InputError
from vault.genotypes.catalog import compacted_access, leaving, overlap, parts, personal_parts
from vault.genotypes.catalog.call_comparison import SAME_PERSON, UNLIKE_PERSON
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.import_target import Target
from vault.genotypes.catalog.overlap import Overlap
from vault.genotypes.catalog.row_mapping import owner_from_row, personal_from_row
from vault.genotypes.contigs import normal_contig
from vault.ids import PartId, SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import DatasetRow, ErasureRow, LayoutMemberRow, PartRow
from vault.subjects import suppressed

MOST_UNLIKE = 0.10  # of compared calls of which either carries an ALT: repeats differ in few per cent, strangers in half
IMPORTED = (
    "a sample may be another's: --samples MAP.csv says whose each is; --replace puts new calls of the same people in the place of theirs; "
    "--accept takes them as they are"
)


@dataclass(frozen=True)
class OverlapCounts:
    """Calls of the file that the same people have in the dataset already: the same ones and others, of which the earlier ones stand."""

    same: int = 0
    different: int = 0


NO_OVERLAP = OverlapCounts()


class NothingNewError(Exception):
    """Every call of the import is there already: no fault of anybody's, the import leaves nothing and says so. ``counts``: where they
    were compared.
    """

    def __init__(self, counts: OverlapCounts | None) -> None:
        super().__init__("nothing new arrived")
        self.counts = counts


def require_no_return(vault: UnlockedVault, target: Target, *, known: int, new: Sequence[str], accept: bool) -> int:
    """Refuse to register people who asked not to come back; and a file of known people and new ones (``new``: their samples) where somebody
    was erased since the dataset was begun: a file that is made anew each month holds the erased, too, and nothing that is kept tells
    them from newcomers. Return the number of erasures since, for the report.

    Raises:
        InputError: ``erased_may_return``. RefusedError, IntegrityError: as ``suppressed.require_none``.
    """
    suppressed.require_none(vault, new)
    if target.is_new:
        return 0
    dataset = target.dataset
    begun = select(DatasetRow.created).where(DatasetRow.dataset_id == dataset.dataset_id).scalar_subquery()
    with vault.books.read() as tx:
        erased = tx.scalar(select(func.count()).select_from(ErasureRow).where(ErasureRow.created >= begun)) or 0
    if erased and known and new and not accept:
        raise InputError(
            "erased_may_return",
            f"{erased} people were erased since {dataset.name} was begun, and {len(new)} samples of this file are of nobody who is held: they "
            "may be the same people",
            hint="--unknown skip leaves them out; --accept registers them, once somebody has looked who was erased",
        )
    return erased if new else 0


def require_new_files(vault: UnlockedVault, dataset: Dataset, files: Sequence[tuple[str | None, Sequence[SubjectId]]]) -> None:
    """Tell the same files for the same people at once, without comparing them. ``files``: digests, and whose calls. Raises NothingNewError."""
    members = select(LayoutMemberRow.subject_id).join(PartRow, PartRow.layout_id == LayoutMemberRow.layout_id)
    for source, people in files:
        query = members.where(PartRow.dataset_id == dataset.dataset_id, PartRow.source == source)
        with vault.books.read() as tx:
            held = set(tx.scalars(query)) if source else set()
            held |= set(personal_parts.of_source(tx, dataset.dataset_id, source, people)) if source else set()
        if not held.issuperset(people):
            return
    raise NothingNewError(None)


def require_as_wide(vault: UnlockedVault, dataset: Dataset, contigs: Sequence[str], people: Sequence[SubjectId]) -> None:
    """Refuse to replace calls on contigs that the new part has not: they would be lost. Raises InputError ``replace_narrower``."""
    with vault.books.read() as tx:
        held = leaving.held_parts(tx, dataset.dataset_id, people)
        own = [row for row in personal_parts.live(tx, dataset.dataset_id, people) if row.part_id in held]
    given = {normal_contig(name) for name in contigs}
    rows = [row for row in parts.list_all(vault, dataset.dataset_id) if row.part_id in held]
    names = [name for row in rows if row.compacted is None for name in parts.open_part(vault, row).reader.directory.contigs]
    keys = vault.keys.open_many(KeyPurpose.GENOTYPE, people)
    for row in rows:
        if row.compacted is not None:
            names += compacted_access.own_contigs(vault, row, held[PartId(row.part_id)], keys)
    for mine in own:
        person = SubjectId(mine.subject_id)
        source = overlap.of_own(vault, owner_from_row(vault.vault_id, mine), personal_from_row(mine), (person, keys[person]))
        names += source.reader.directory.contigs
    lost = list(dict.fromkeys(name for name in names if normal_contig(name) not in given))
    if lost:
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        raise InputError(
            "replace_narrower",
            f"these people have calls on {', '.join(lost[:5])}{more}, and the files do not",
            hint="replace with files of every contig in one command, or dataset remove the part that is wrong and --append",
        )


def judge(overlaps: Sequence[Overlap], *, accept: bool, replace: bool, cure: str = IMPORTED) -> OverlapCounts:
    """Counts for the report. ``accept``: whoever imports has looked, and takes people whose genotypes differ. ``replace``: other calls
    are what is meant, another person's are not. ``cure``: the hint of a refusal.

    Raises:
        InputError: ``sample_swap``, ``calls_differ``.
    """
    for one in overlaps if not accept else ():
        _require_same_people(one, replace=replace, cure=cure)
    return OverlapCounts(sum(one.same for one in overlaps), sum(one.different for one in overlaps))


def _require_same_people(found: Overlap, *, replace: bool, cure: str) -> None:
    strangers = (found.kinship < SAME_PERSON) | (found.unlike > UNLIKE_PERSON)  # False for NaN
    if strangers.any():
        raise InputError(
            "sample_swap",
            f"{_people(int(strangers.sum()))} not those of the same person's earlier data (kinship below {SAME_PERSON}, or over {UNLIKE_PERSON:.0%} of variants differ)",
            hint=cure,
        )
    unlike = found.tally.unlike > MOST_UNLIKE * np.maximum(found.tally.told, 1)
    if unlike.any() and not replace:
        at = int(np.flatnonzero(unlike)[0])
        raise InputError(
            "calls_differ",
            f"{_people(int(unlike.sum()))} not those that are here already (of the first, "
            f"{int(found.tally.unlike[at]):,} of {int(found.tally.told[at]):,} variants differ)",
            hint=cure,
        )


def _people(count: int) -> str:
    return "the genotypes of one sample are" if count == 1 else f"the genotypes of {count:,} samples are"
