"""Calls that go from one person to another, or from one registration to another: which, and sealed again as a part of the other's own.

The new part lists the sites of the old one, so that reference calls stay what they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vault.genotypes.catalog import part_list, parts, personal_parts
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.overlap import Source
from vault.genotypes.catalog.part_list import AnyPart
from vault.genotypes.catalog.personal_parts import MOVED_FROM
from vault.genotypes.import_parts import OwnPart, write_own
from vault.genotypes.store.part_records import Owner
from vault.ids import SubjectId
from vault.operations.corrections import resealing
from vault.session.unlocked_vault import UnlockedVault


@dataclass(frozen=True)
class Move:
    """One person's calls of one part, on their way to another."""

    row: AnyPart
    old: SubjectId
    new: SubjectId


def moves(vault: UnlockedVault, dataset: Dataset, becomes: dict[SubjectId, SubjectId], part: str | None) -> list[Move]:
    """The calls in a dataset, or in one ``part`` of it, of those who become somebody else, in the order of the parts.

    Raises:
        InputError: ``part_unknown``, ``part_ambiguous``.
    """
    chosen = None if part is None else part_list.held_as(part_list.by_id(vault, dataset, part))
    with vault.books.read() as tx:
        own = personal_parts.live(tx, dataset.dataset_id, list(becomes))
    rows: list[tuple[AnyPart, list[SubjectId]]] = [(row, [SubjectId(row.subject_id)]) for row in own]
    shared = parts.list_all(vault, dataset.dataset_id)
    rows += [(row, list(parts.members(vault, row, list(becomes)))) for row in shared]
    return [
        Move(row, subject, becomes[subject])
        for row, subjects in sorted(rows, key=lambda one: one[0].ordinal)
        for subject in subjects
        if chosen in (None, row.part_id)
    ]


def sealed_anew(vault: UnlockedVault, move: Move, owner: Owner, keys: Mapping[SubjectId, bytes]) -> OwnPart:
    """Write one person's calls as a part of the other's own, track included. ``keys``: genotype keys of both."""
    source, tracks = resealing.opened(vault, move.row, move.old, keys[move.old])
    return write_own(vault, owner, (move.new, keys[move.new]), resealing.chunks(source, move.old), tracks=tracks)


def as_the_others(vault: UnlockedVault, move: Move, key: bytes) -> Source:
    """The calls where they are, to be compared as if they were the other's. ``key``: the genotype key of whose they are."""
    source, _ = resealing.opened(vault, move.row, move.old, key)
    source.learn(range(source.reader.part.n_chunks))
    return replace(source, people={move.new}, access=lambda _: source.access([move.old]))


def origin(row: AnyPart) -> str:
    """Id of the part of several people that the calls were in at first, as hex; of others the part's own."""
    return (row.source or "").partition(MOVED_FROM)[2] or row.part_id.hex()
