"""Rows of the books that are not as they were recorded, for who looks a vault over."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import select

from vault.errors import IntegrityError
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.base import Base
from vault.storage.database import Transaction

R = TypeVar("R", bound=Base)


def row_faults(
    vault: UnlockedVault, table: type[R], check: Callable[[Transaction, R], object], named: Callable[[R, IntegrityError], str]
) -> list[str]:
    """A line, made by ``named``, about each row of a table for which ``check`` raises an IntegrityError."""
    found = []
    with vault.books.read() as tx:
        for row in tx.scalars(select(table)):
            try:
                check(tx, row)
            except IntegrityError as error:
                found.append(named(row, error))
    return found
