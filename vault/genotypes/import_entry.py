"""An import in the books: one transaction names what was written, with the log's entry; or nothing, where nothing of it is new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import exc

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.genotypes.catalog import dataset_rules, declared_assays, import_target, leaving
from vault.genotypes.import_parts import Written
from vault.genotypes.import_plan import Plan
from vault.ids import PartId, SubjectId
from vault.session import object_leases
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.subjects import registry
from vault.subjects.registration import Registration


def about(plan: Plan) -> ObjectRef:
    """Object of the entries of an import: its part, of several the first."""
    return ObjectRef("part", plan.part_ids[0].hex())


def commit(
    tx: Transaction,
    vault: UnlockedVault,
    plan: Plan,
    new: Registration,
    written: Sequence[Written],
    *,
    sources: Sequence[str | None],
    said: Mapping[str, object],
    refers: str | None,
) -> None:
    """Name everything in the books, with its audit entry, and end the leases. ``refers``: the intent that the entry closes, if any."""
    dataset, fresh = plan.dataset, set(plan.fresh.subjects)
    if plan.target.is_new:
        import_target.begin(tx, vault, plan.target)
    if plan.rule is not None:
        dataset_rules.keep(tx, dataset.dataset_id, plan.rule)
    registry.require_held(tx, [subject for subject in plan.subjects if subject not in fresh])
    new.add(tx, dataset=dataset.dataset_id)
    assayed = declared_assays.keep(tx, plan.assayed)
    for part, part_id, source in zip(written, plan.part_ids, sources, strict=True):
        part.add(tx, vault, dataset.dataset_id, assayed=assayed, source=source)
        object_leases.end(tx, part_id)
    detail: dict[str, object] = {
        "dataset": dataset.name,
        "assembly": dataset.assembly,
        "assayed": assayed,
        "source": sources[0],
        **said,
    }
    if plan.rule is not None:
        detail |= {"rule": plan.rule.text(), "parts": [part_id.hex() for part_id in plan.part_ids], "source": sources}
    vault.trail.append(
        tx,
        Action.DATASET_IMPORT,
        Outcome.DONE,
        obj=about(plan),
        refers=refers,
        subjects=[subject for subject in plan.subjects if subject not in fresh],
        tokens=plan.fresh.tokens,
        counts={
            "sites": sum(part.n_sites for part in written),
            "registered": len(fresh),
            "bytes": sum(part.stored_bytes for part in written),
        },
        blobs=[digest for part in written for digest in part.blobs],
        detail=detail,
    )


def end_older(tx: Transaction, vault: UnlockedVault, plan: Plan) -> dict[PartId, list[SubjectId]]:
    """End the membership of a replacing import's people in the dataset's older parts; which, and who."""
    gone = leaving.held_parts(tx, plan.dataset.dataset_id, plan.subjects)
    leaving.leave(tx, vault, gone, blank=True)
    return gone


def log_nothing(vault: UnlockedVault, plan: Plan, sources: Sequence[str | None], *, refers: str | None) -> None:
    """Log an import of which nothing was kept, because nothing of it is new. ``refers``: as ``commit``."""
    detail = {"dataset": plan.dataset.name, "nothing_new": True, "source": sources}
    obj = ObjectRef("dataset", plan.dataset.dataset_id.hex())
    fields = {"obj": obj, "refers": refers, "counts": {"sites": 0}, "detail": detail}
    vault.trail.record(Action.DATASET_IMPORT, Outcome.DONE, subjects=plan.subjects, **fields)


@contextmanager
def unless_overtaken() -> Iterator[None]:
    """Tell of a name that another import took meanwhile. Raises UnavailableError ``changed_meanwhile``."""
    try:
        yield
    except exc.IntegrityError:
        raise import_target.overtaken() from None
