"""Choice of the dataset that an import goes to: a new one, one that is there, or the name of one that was removed."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from policies.assemblies import known_assembly, normalise_assembly
from policies.errors import PolicyInputError
from vault.errors import InputError, UnavailableError
from vault.genotypes.catalog.datasets import HELD, Dataset
from vault.ids import DatasetId, new_id
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import DatasetRow, PanelRow, RequestRow
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros


@dataclass(frozen=True)
class Target:
    """A dataset, and whether the import begins it."""

    dataset: Dataset
    is_new: bool


def choose(vault: UnlockedVault, name: str, assembly: str, *, append: bool) -> Target:
    """The dataset of a name, for an import on a normalised assembly.

    Raises:
        InputError: ``dataset_unknown``, ``dataset_exists``, ``assembly_differs``.
    """
    with vault.books.read() as tx:
        row = tx.scalars(select(DatasetRow).where(DatasetRow.name == name)).one_or_none()
        held = row is not None and tx.scalar(select(HELD).where(DatasetRow.name == name))
        bound = row is not None and (held or _told_of(tx, row.dataset_id))
    if append and not held:
        raise InputError("dataset_unknown", f"there is no dataset {name} to append to", hint="leave out --append")
    if held and not append:
        raise InputError(
            "dataset_exists", f"there is a dataset {name} already", hint="add to it with --append, or choose another name"
        )
    if row is None:
        return Target(Dataset(DatasetId(new_id(vault.random)), name, assembly), is_new=True)
    if bound and normalise_assembly(row.assembly) != assembly:
        raise InputError(
            "assembly_differs", f"dataset {name} is on {row.assembly}, not {assembly}", hint="import it under another name"
        )
    return Target(Dataset(DatasetId(row.dataset_id), name, row.assembly if held else assembly), is_new=not held)


def require_listed(assembly: str) -> None:
    """Refuse an assembly that is not known here. Raises InputError ``assembly_unknown``."""
    try:
        known_assembly(assembly)
    except PolicyInputError as error:
        hint = "an assembly that is meant so: --unlisted-assembly; its contigs and lengths are not checked then"
        raise InputError(error.code, error.message, hint=hint) from None


def begin(tx: Transaction, vault: UnlockedVault, target: Target) -> None:
    """Make a new dataset's row, or begin anew in that of one that was removed. Raises UnavailableError ``changed_meanwhile``."""
    dataset = target.dataset
    row = tx.get(DatasetRow, dataset.dataset_id)
    if row is None:
        now = to_micros(vault.clock())
        tx.add(DatasetRow(dataset_id=dataset.dataset_id, name=dataset.name, assembly=dataset.assembly, created=now))
        tx.flush()
    elif tx.scalar(select(HELD).where(DatasetRow.dataset_id == dataset.dataset_id)):
        raise overtaken()
    else:
        row.assembly, row.assay_rule = dataset.assembly, None


def overtaken() -> UnavailableError:
    """Two imports may look up the same names before either has committed: the second one's is then a name twice."""
    return UnavailableError(
        "changed_meanwhile", "another import took the dataset's or a sample's name", hint="repeat the command"
    )


def _told_of(tx: Transaction, dataset_id: bytes) -> bool:
    """True if a panel or a request is of a dataset that was removed: their loci are on its assembly."""
    return any(
        tx.scalar(select(table.dataset_id).where(table.dataset_id == dataset_id).limit(1)) is not None
        for table in (PanelRow, RequestRow)
    )
