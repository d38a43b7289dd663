"""Families of this vault's datasets (``policies.disclosure.families``): by who has genotypes in which, whatever anybody consents to."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from policies.disclosure.families import joined
from vault.genotypes.catalog import part_members
from vault.session.caches import Cache
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import PartRow, PersonalPartRow
from vault.storage.compiled_statements import Statement
from vault.storage.database import Transaction
from vault.storage.disclosure_tables import BudgetFamilyRow

Families = Mapping[bytes, frozenset[bytes]]
"""Family of each dataset, by id."""

_PARTS = Statement(select(PartRow.dataset_id, PartRow.layout_id, PartRow.members_sha256).distinct())
_PERSONAL = Statement(select(PersonalPartRow.dataset_id, PersonalPartRow.subject_id).distinct())
_BEFORE = Statement(select(BudgetFamilyRow.dataset_id, BudgetFamilyRow.family))
_FAMILIES: Cache[tuple[object, Families] | None] = Cache(lambda: None)  # the last ones, with the records that they are of


def of_all(vault: UnlockedVault, tx: Transaction) -> Families:
    """Families of all datasets, as the transaction sees them. Raises IntegrityError as ``part_members.known``."""
    parts, personal, before = (sorted({tuple(row) for row in query.rows(tx)}) for query in (_PARTS, _PERSONAL, _BEFORE))
    records = parts, personal, before
    known = vault.caches.get(_FAMILIES)
    if known is None or known[0] != records:
        people: dict[bytes, set[bytes]] = {dataset: set() for dataset, _ in before}
        for dataset, layout, digest in parts:
            people.setdefault(dataset, set()).update(part_members.known(vault, tx, layout, digest))
        for dataset, subject in personal:
            people.setdefault(dataset, set()).add(subject)
        named: dict[bytes, set[bytes]] = {}
        for dataset, family in before:
            named.setdefault(family, set()).add(dataset)
        found = {dataset: family for family in joined(people, named.values()) for dataset in family}
        known = records, found
        vault.caches.put(_FAMILIES, known)
    return known[1]


def keep(tx: Transaction, family: frozenset[bytes]) -> None:
    """Record a family of several datasets, which stay together from then on, in the caller's write transaction."""
    if len(family) < 2:
        return
    name = min(family)
    rows = {row.dataset_id: row for row in tx.scalars(select(BudgetFamilyRow))}
    for dataset in sorted(family):
        row = rows.get(dataset)
        if row is None:
            tx.add(BudgetFamilyRow(dataset_id=dataset, family=name))
        elif row.family != name:
            row.family = name
