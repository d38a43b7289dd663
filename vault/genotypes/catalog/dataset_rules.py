"""The rule of a dataset by which its people count as assayed: in its signed record, from its first file with reference blocks on."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select, update

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.errors import InputError, IntegrityError
from vault.genotypes.catalog import datasets
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


def settled(tx: Transaction, dataset_id: DatasetId, asked: AssayRule | None) -> AssayRule:
    """The rule to import under; ``asked``: that of the import's options, None where they say nothing.

    Raises:
        InputError: ``rule_differs``.
    """
    held = read(tx, dataset_id)
    if held is None:
        return asked or AssayRule()
    if asked is not None and asked != held:
        raise InputError(
            "rule_differs",
            f"the dataset's people are assayed by another rule: {_said(held)}",
            hint="leave the options out; dataset rule N --min-gq raises the quality asked for",
        )
    return held


def fix(tx: Transaction, dataset_id: DatasetId, rule: AssayRule) -> None:
    """Write the rule to the dataset's record."""
    tx.execute(update(DatasetRow).where(DatasetRow.dataset_id == dataset_id).values(assay_rule=rule.text()))


def raise_quality(vault: UnlockedVault, name: str, min_gq: int) -> AssayRule:
    """Ask for a higher genotype quality from now on, of people whose files were imported too; the new rule.

    Raises:
        InputError: ``dataset_unknown``; ``rule_unset``: no file with reference blocks was imported; ``rule_lower``: not higher than it
            was, which only the files could answer; ``rule_between``: tracks know 20 and 30 alone.
    """
    dataset = datasets.by_name(vault, name)
    with vault.trail.attempting(Action.DATASET_RULE), vault.books.write() as tx:
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
        fix(tx, dataset.dataset_id, raised)
        detail = {"dataset": name, "before": held.text(), "after": raised.text()}
        vault.trail.append(
            tx, Action.DATASET_RULE, Outcome.DONE, obj=ObjectRef("dataset", dataset.dataset_id.hex()), detail=detail
        )
    return raised


RAISED_TO = (20, 30)  # bands of a track (docs/formats/genotypes.md §10)


def _said(rule: AssayRule) -> str:
    filters = f", also {', '.join(rule.accepted_filters)}" if rule.accepted_filters else ""
    return f"GQ {rule.min_gq}, DP {rule.min_dp} ({rule.min_dp_haploid} with one copy), filtered calls {rule.filtered}{filters}"
