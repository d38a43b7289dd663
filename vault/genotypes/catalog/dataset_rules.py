"""The rule of a dataset by which its people count as assayed: in its signed record, from its first file with reference blocks on."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select, update

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.errors import InputError, IntegrityError
from vault.genotypes.catalog import datasets
from vault.genotypes.catalog.import_target import Target, overtaken
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.ids import DatasetId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import DatasetRow
from vault.storage.database import Transaction


def current(vault: UnlockedVault, dataset_id: DatasetId) -> AssayRule | None:
    """The rule as it stands; None of a dataset without such files. Raises as ``read``."""
    with vault.books.read() as tx:
        return read(tx, dataset_id)


def read(tx: Transaction, dataset_id: DatasetId) -> AssayRule | None:
    """As ``current``, in the caller's transaction.

    Raises:
        IntegrityError: ``assay_rule_unreadable``.
    """
    text = tx.scalar(select(DatasetRow.assay_rule).where(DatasetRow.dataset_id == dataset_id))
    try:
        return None if text is None else AssayRule.from_text(text)
    except ValueError:
        raise IntegrityError(
            "assay_rule_unreadable",
            "the rule of what counts as assayed is none that this program knows",
            hint="a newer genovault wrote it",
        ) from None


def to_import_under(vault: UnlockedVault, target: Target, asked: AssayRule | None) -> AssayRule:
    """The rule of an import; ``asked``: that of its options, None where they say nothing.

    Raises:
        InputError: ``rule_differs``.
    """
    held = None if target.is_new else current(vault, target.dataset.dataset_id)
    if held is None:
        return asked or AssayRule()
    if asked is not None and asked != held:
        raise InputError(
            "rule_differs",
            f"people of dataset {target.dataset.name} are assayed by another rule: {said(held)}",
            hint="leave the options out, or import as another dataset; dataset rule N --min-gq raises the quality that is asked for",
        )
    return held


def keep(tx: Transaction, dataset_id: DatasetId, rule: AssayRule) -> None:
    """Fix the rule that an import was read under, in its transaction. Raises UnavailableError ``changed_meanwhile``."""
    held = read(tx, dataset_id)
    if held not in (None, rule):
        raise overtaken()
    _write(tx, dataset_id, rule)


def raise_quality(vault: UnlockedVault, name: str, min_gq: int) -> AssayRule:
    """Ask for a higher genotype quality from now on, of people whose files were imported too; the new rule.

    Raises:
        InputError: ``dataset_unknown``; ``rule_unset``: no file with reference blocks was imported; ``rule_lower``: not higher than it
            was, which only the files could answer; ``rule_between``: tracks know 20 and 30 alone.
    """
    with vault.trail.attempting(Action.DATASET_RULE), vault.books.write() as tx:
        dataset = datasets.by_name(vault, name)
        held = read(tx, dataset.dataset_id)
        if held is None:
            raise InputError(
                "rule_unset", f"dataset {name} has no file with reference blocks", hint="dataset import --min-gq fixes it"
            )
        if min_gq <= held.min_gq:
            raise InputError(
                "rule_lower",
                f"dataset {name} asks for GQ {held.min_gq} already",
                hint="a lower one needs the files: import them as another dataset",
            )
        if min_gq not in RAISED_TO:
            raise InputError("rule_between", "a raised quality is 20 or 30", hint="--min-gq 30")
        raised = replace(held, min_gq=min_gq)
        _write(tx, dataset.dataset_id, raised)
        detail = {"dataset": name, "before": held.text(), "after": raised.text()}
        vault.trail.append(
            tx, Action.DATASET_RULE, Outcome.DONE, obj=ObjectRef("dataset", dataset.dataset_id.hex()), detail=detail
        )
    return raised


RAISED_TO = (20, 30)  # bands of a track (docs/formats/genotypes.md §10)


def said(rule: AssayRule) -> str:
    """The rule in words, for people."""
    filters = f", also {', '.join(rule.accepted_filters)}" if rule.accepted_filters else ""
    return f"GQ {rule.min_gq}, DP {rule.min_dp} ({rule.min_dp_haploid} with one copy), filtered calls {rule.filtered}{filters}"


def _write(tx: Transaction, dataset_id: DatasetId, rule: AssayRule) -> None:
    tx.execute(update(DatasetRow).where(DatasetRow.dataset_id == dataset_id).values(assay_rule=rule.text()))
