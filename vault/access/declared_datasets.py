"""Datasets that a declaration names, held against those that there are."""

from __future__ import annotations

from difflib import get_close_matches

from sqlalchemy import select

from policies.purposes import ProjectDeclaration
from vault.errors import InputError
from vault.genotypes.catalog.datasets import HELD
from vault.storage.book_tables import DatasetRow
from vault.storage.database import Transaction


def missing(tx: Transaction, declaration: ProjectDeclaration) -> list[str]:
    """Datasets that a declaration names and that are not there, or were removed."""
    held = set(tx.scalars(select(DatasetRow.name).where(HELD)))
    return [name for name in declaration.datasets if name not in held]


def require(tx: Transaction, declaration: ProjectDeclaration) -> None:
    """Refuse a declaration of a dataset that is not there. Raises InputError ``dataset_unknown``."""
    absent = missing(tx, declaration)
    if absent:
        close = get_close_matches(absent[0], tx.scalars(select(DatasetRow.name).where(HELD)).all())
        meant = f"did you mean {', '.join(close)}? " if close else ""
        raise InputError(
            "dataset_unknown", f"there is no dataset {absent[0]}", hint=f"{meant}import it first, or declare another"
        )
