"""Moving of calls from the person that they were attached to by mistake to the one whose they are, or exchanging two people's.

Blocks are under their person's own key, so the calls are opened and sealed again as a part of the other person's own; in one transaction
that part is named and the old memberships end. The new part lists the sites of the old one, so that reference calls stay what they were; the
old one's tables stay for the sake of those who are in it, and what ends the calls, an erasure, a replacement or a removal, blanks there too
(``erasure.moved_calls``).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import InputError, UnavailableError
from vault.genotypes.catalog import compacted_parts, datasets, leaving, overlap, part_list
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.personal_parts import MOVED_FROM
from vault.genotypes.import_parts import OwnPart
from vault.genotypes.store.part_records import Owner
from vault.ids import PartId, SubjectId, new_id
from vault.operations.corrections import call_moves, leaving_job
from vault.operations.corrections.call_moves import Move
from vault.operations.erasure.process import alone
from vault.session import object_leases
from vault.session.reasons import require_reason
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects import registry
from vault.subjects.references import resolve

LEASE = timedelta(hours=6)


@dataclass(frozen=True)
class Moved:
    """Result of a move: the parts that the calls were in, and the parts that they are in now."""

    dataset: str
    parts: tuple[str, ...]
    new_parts: tuple[str, ...]
    swapped: bool


def move(
    vault: UnlockedVault, name: str, reference: str, to: str, *, part: str | None = None, swap: bool = False, reason: str
) -> Moved:
    """Give one person's calls in a dataset (or one part of it) to another; with ``swap`` the other's to them as well.

    Raises:
        InputError: ``dataset_unknown``, ``part_unknown``, ``subject_unknown``, ``subject_ambiguous``, ``same_person``, ``no_calls``, ``calls_differ``: the person
            would have two calls that differ; ``reason_missing``. UnavailableError: ``erasure_running``, ``erasure_pending``, ``subject_erased``.
    """
    with vault.trail.attempting(Action.DATASET_MOVE) as attempt, alone(vault):
        said = require_reason(reason)
        dataset = datasets.by_name(vault, name)
        old, new = resolve(vault, reference), resolve(vault, to)
        if old == new:
            raise InputError("same_person", "both references are of one person", hint="subject show tells who is who")
        moves = call_moves.moves(vault, dataset, {old: new, new: old} if swap else {old: new}, part)
        if not any(move.old == old for move in moves):
            raise InputError("no_calls", "the person has no calls there", hint=f"genovault dataset parts {name}")
        obj = ObjectRef("dataset", dataset.dataset_id.hex())
        intent = attempt.opens(_people(moves), obj=obj, detail={"dataset": name, "swapped": swap})
        with ExitStack() as leases:
            written = _written(vault, dataset, moves, leases)
            detail = {"dataset": name, "swapped": swap, "reason": said}
            _commit(vault, dataset, moves, written, detail, obj=obj, refers=intent)
        attempt.closed()
        leaving_job.finish_all(vault)
    return Moved(
        name,
        tuple(dict.fromkeys(part_list.shown(move.row.part_id) for move in moves)),
        tuple(part_list.shown(one.record.part_id) for one in written),
        swap,
    )


def _written(vault: UnlockedVault, dataset: Dataset, moves: Sequence[Move], leases: ExitStack) -> list[OwnPart]:
    """Seal the calls anew, each under its new person's key, under leases that the stack holds.

    Raises:
        InputError: ``calls_differ``.
    """
    people = _people(moves)
    keys = {SubjectId(s): key for s, key in vault.keys.open_many(KeyPurpose.GENOTYPE, people).items()}
    leaves = {subject: {move.row.part_id for move in moves if move.old == subject} for subject in people}
    written = []
    for move in moves:
        part_id = PartId(new_id(vault.random))
        leases.enter_context(object_leases.acquire(vault, part_id, lasting=LEASE, keys=KeyPurpose.SITE_TABLE))
        owner = Owner(vault.vault_id, dataset.dataset_id, part_id)
        part = call_moves.sealed_anew(vault, move, owner, keys)
        met = overlap.measure(vault, dataset, part.source(vault, owner, keys), [move.new], without=leaves)
        if met.different:
            raise InputError(
                "calls_differ",
                f"the person would have two calls that differ at {met.different:,} sites",
                hint="--swap exchanges the calls of both; or dataset remove the part that is wrong",
            )
        written.append(part)
    return written


def _people(moves: Sequence[Move]) -> list[SubjectId]:
    """Those whose calls they are, and those whose they become."""
    return sorted({move.old for move in moves} | {move.new for move in moves})


def _commit(
    vault: UnlockedVault,
    dataset: Dataset,
    moves: Sequence[Move],
    written: Sequence[OwnPart],
    detail: dict[str, object],
    **closing: Any,
) -> None:
    """Name the new parts and end the old memberships, with the log's entry. ``closing``: its object, and the intent that it closes."""
    gone: dict[PartId, list[SubjectId]] = {}
    for move in moves:
        gone.setdefault(PartId(move.row.part_id), []).append(move.old)
    people = _people(moves)
    with vault.books.write() as tx:
        registry.require_held(tx, people)
        held = leaving.held_parts(tx, dataset.dataset_id, people)
        if any(not set(subjects).issubset(held.get(part_id, ())) for part_id, subjects in gone.items()):
            raise UnavailableError("dataset_changed", "the dataset was changed meanwhile", hint="try again")
        for move, part in zip(moves, written, strict=True):
            assayed = compacted_parts.imported_as(tx, move.row, move.old).assayed
            part.add(tx, vault, dataset.dataset_id, assayed=assayed, source=MOVED_FROM + call_moves.origin(move.row))
            object_leases.end(tx, part.record.part_id)
        leaving.leave(tx, vault, gone, blank=False)
        named = {
            "parts": [one.hex() for one in gone],
            "new_parts": [part.record.part_id.hex() for part in written],
        }
        counts = {"parts": len(gone), "new_parts": len(written)}
        vault.trail.append(
            tx, Action.DATASET_MOVE, Outcome.DONE, subjects=people, counts=counts, detail={**detail, **named}, **closing
        )
