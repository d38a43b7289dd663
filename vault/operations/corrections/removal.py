"""Removal of a dataset, or of one part of it: afterwards the others' genotypes read as if it had never come.

People stay registered, with their consents, and everything in the log stays: who removed what, and why. A dataset whose last part
went keeps its name: importing under it again begins anew, for the same panels, projects and sample names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from policies.purposes import ProjectDeclaration
from vault.access import projects
from vault.access.disclosure import frequency_tables, stored_answers
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.errors import RefusedError
from vault.genotypes.catalog import datasets, leaving, part_list, parts, personal_parts
from vault.genotypes.catalog.datasets import Dataset
from vault.ids import PartId, SubjectId
from vault.operations import key_backups
from vault.operations.corrections import discarding, leaving_job
from vault.operations.erasure.process import alone
from vault.session.reasons import require_reason
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import LayoutMemberRow, PanelRow, PartRow, PersonalPartRow
from vault.storage.database import Transaction
from vault.storage.timestamps import rfc3339


@dataclass(frozen=True)
class Removed:
    """Result of a removal. ``bare``: people of it who have no genotypes in the vault any more. ``horizon``: until then backups of keys may
    hold the destroyed ones.
    """

    dataset: str
    parts: tuple[str, ...]
    whole: bool
    people: int
    bare: int
    keys: int
    objects: int
    horizon: str | None


def remove(vault: UnlockedVault, name: str, *, part: str | None = None, reason: str, accept: bool = False) -> Removed:
    """Remove a dataset, or the part whose id begins with ``part``.

    Args:
        accept: also where nothing of the dataset is left to a project in force or a panel that names it.

    Raises:
        InputError: ``dataset_unknown``, ``part_unknown``, ``part_ambiguous``, ``reason_missing``. RefusedError: ``dataset_in_use``,
            ``not_authorised``. UnavailableError: ``erasure_running``, ``erasure_pending``, ``dataset_changed``.
    """
    with vault.trail.attempting(Action.DATASET_REMOVE), alone(vault):
        said = require_reason(reason)
        dataset = datasets.by_name(vault, name)
        held = part_list.all_ids(vault, dataset)
        named = None if part is None else part_list.by_id(vault, dataset, part)
        if isinstance(named, PersonalPartRow) and _others_list_it(vault, named, held):
            return _remove_own(vault, dataset, named, said)
        chosen = held if named is None else [part_list.held_as(named)]
        whole = set(chosen) == set(held)
        with vault.books.write() as tx:
            if whole and not accept:
                _require_unused(vault, tx, dataset)
            obj = ObjectRef("dataset", dataset.dataset_id.hex()) if whole else ObjectRef("part", chosen[0].hex())
            detail = {"dataset": dataset.name, "parts": [one.hex() for one in chosen], "reason": said}
            job, people = discarding.take_out(tx, vault, chosen, act=Action.DATASET_REMOVE, obj=obj, detail=detail)
            if whole:
                personal_parts.forget_contigs(tx, dataset.dataset_id)
            _forget_answers(vault, tx, dataset)
            left = _with_genotypes(tx, people)
        counts = discarding.finish(vault, job)
    return Removed(
        dataset=dataset.name,
        parts=tuple(part_list.shown(one) for one in chosen),
        whole=whole,
        people=len(people),
        bare=len(people) - left,
        keys=counts["keys"],
        objects=counts["objects"],
        horizon=_horizon(vault),
    )


def _forget_answers(vault: UnlockedVault, tx: Transaction, dataset: Dataset) -> None:
    """Forget noisy numbers and tables that were made of what is removed; what they cost, and of how many a table was, stays."""
    stored_answers.purge(tx, [dataset.dataset_id])
    frequency_tables.forget(vault, tx, [dataset.dataset_id])


def _alone_in_it(vault: UnlockedVault, named: PersonalPartRow) -> bool:
    """True if nobody else is in the compacted part that an import's calls are in: it goes as a whole."""
    with vault.books.read() as tx:
        others = select(LayoutMemberRow.subject_id).join(PartRow, PartRow.layout_id == LayoutMemberRow.layout_id)
        found = others.where(PartRow.part_id == named.joined, LayoutMemberRow.subject_id != named.subject_id)
        return tx.scalar(found.limit(1)) is None


def _others_list_it(vault: UnlockedVault, named: PersonalPartRow, held: Sequence[PartId]) -> bool:
    """True of an import in a compacted part of several people, and of calls that were moved out of a part. ``held``: the dataset's parts."""
    if named.joined is not None:
        return not _alone_in_it(vault, named)
    return (named.source or "").startswith(personal_parts.MOVED_FROM) and len(held) > 1


def _remove_own(vault: UnlockedVault, dataset: Dataset, named: PersonalPartRow, reason: str) -> Removed:
    """Remove the calls of one person that others' tables list: of an import in a compacted part, or moved there from another. The person
    leaves the part that they are in, as in a replacement.

    Raises:
        UnavailableError: ``dataset_changed``; ``erasure_pending``.
    """
    person, into = SubjectId(named.subject_id), part_list.held_as(named)
    with vault.books.write() as tx:
        held = leaving.held_parts(tx, dataset.dataset_id, [person])
        if tx.get(PersonalPartRow, named.part_id) is None or into not in held:
            raise parts.changed()
        detail = {"dataset": dataset.name, "parts": [named.part_id.hex()], "held_as": into.hex(), "reason": reason}
        leaving.leave(tx, vault, {into: [person]}, blank=True)
        _forget_answers(vault, tx, dataset)
        obj = ObjectRef("part", named.part_id.hex())
        vault.trail.append(tx, Action.DATASET_REMOVE, Outcome.DONE, obj=obj, subjects=[person], detail=detail)
        left = _with_genotypes(tx, [person])
    leaving_job.finish_all(vault)
    shown = (part_list.shown(named.part_id),)
    return Removed(dataset.name, shown, whole=False, people=1, bare=1 - left, keys=0, objects=0, horizon=_horizon(vault))


def _horizon(vault: UnlockedVault) -> str | None:
    now = vault.clock()
    end = key_backups.horizon([one for one in key_backups.list_all(vault.books) if one.held(now)], at=now)
    return None if end is None else rfc3339(end)


def _require_unused(vault: UnlockedVault, tx: Transaction, dataset: Dataset) -> None:
    """Refuse to leave nothing of what others rest on. Raises RefusedError ``dataset_in_use``."""
    panels = sorted(set(tx.scalars(select(PanelRow.name).where(PanelRow.dataset_id == dataset.dataset_id))))
    codes = sorted(
        one.code for one in projects.list_in(vault, tx) if one.state == projects.APPROVED and _names(one.declaration, dataset)
    )
    using = [f"project {code}" for code in codes] + [f"panel {name}" for name in panels]
    if using:
        more = f" and {len(using) - 3} more" if len(using) > 3 else ""
        raise RefusedError(
            "dataset_in_use",
            f"dataset {dataset.name} is named by {', '.join(using[:3])}{more}",
            hint="close or amend them first, or give --accept: they then have nothing to show",
        )


def _names(declaration: ProjectDeclaration, dataset: Dataset) -> bool:
    return dataset.name in declaration.datasets


def _with_genotypes(tx: Transaction, people: Sequence[bytes]) -> int:
    holding = {*tx.scalars(select(LayoutMemberRow.subject_id).distinct()), *(row.subject_id for row in personal_parts.live(tx))}
    return len(holding.intersection(people))
