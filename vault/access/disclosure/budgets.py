"""Budgets as the books have them: what each owner's answers about a family have cost, and what they may cost.

The rows are a collection, signed by who left them changed and bound to the log's head, so that none goes back alone. Charged is in the
transaction that stores the answer and appends its entry: of two processes one waits for the other, and sees what it spent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select

from policies.disclosure import nats
from policies.disclosure.budgets import Budget, BudgetScope, caps_of, owner_of, short
from policies.disclosure.nats import Micronats
from vault.access.disclosure import families, raises
from vault.access.projects import Project
from vault.errors import RefusedError
from vault.ids import DatasetId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.compiled_statements import Statement
from vault.storage.database import Transaction
from vault.storage.disclosure_tables import BudgetRow

_SPENT = Statement(select(BudgetRow.scope, BudgetRow.owner, BudgetRow.dataset_id, BudgetRow.spent))


def owner(scope: BudgetScope, project: Project) -> str:
    """Owner of the budget of a scope that a project's answers are charged to."""
    return owner_of(scope, project=project.code, organisation=project.declaration.purpose.organisation.id)


def of_project(vault: UnlockedVault, tx: Transaction, project: Project, dataset_id: DatasetId) -> tuple[Budget, ...]:
    """The project's, the organisation's and the world's budget of the dataset's family.

    Raises:
        IntegrityError: as ``raises.granted`` and ``families.of_all``.
    """
    family = families.of_all(vault, tx).get(dataset_id, frozenset({dataset_id}))
    rows = [row for row in _SPENT.rows(tx) if row[2] in family]
    owners = {scope: owner(scope, project) for scope in BudgetScope}
    added = raises.granted(vault, tx, owners, family)
    caps = caps_of(project.declaration.disclosure.nats)
    return tuple(
        Budget(scope, own, caps[scope] + added[scope], sum(row[3] for row in rows if (row[0], row[1]) == (scope.value, own)))
        for scope, own in owners.items()
    )


def require(budgets: Sequence[Budget], price: Micronats) -> None:
    """Refuse what a budget does not cover. It rests on scope, family and question, never on who is in the cohort.

    Raises:
        RefusedError: ``budget_spent``.
    """
    lacking = short(budgets, price)
    if lacking is not None:
        raise RefusedError(
            "budget_spent",
            f"this costs {nats.number(price):g} nats, and the {lacking.scope} has {nats.number(lacking.left):g} left",
            hint=f"ask for fewer alleles or less accuracy; two stewards can raise it: genovault budget raise --scope {lacking.scope}",
        )


def charge(
    vault: UnlockedVault, tx: Transaction, budgets: Sequence[Budget], dataset_id: DatasetId, price: Micronats
) -> tuple[Budget, ...]:
    """Charge all budgets alike, in the write transaction that has read them; as they are then. Raises RefusedError as ``require``."""
    require(budgets, price)
    if not price:
        return tuple(budgets)
    families.keep(tx, families.of_all(vault, tx).get(dataset_id, frozenset({dataset_id})))
    for budget in budgets:
        row = tx.get(BudgetRow, (budget.scope.value, budget.owner, dataset_id))
        if row is None:
            tx.add(BudgetRow(scope=budget.scope.value, owner=budget.owner, dataset_id=dataset_id, spent=price))
        else:
            row.spent += price
    return tuple(replace(budget, spent=budget.spent + price) for budget in budgets)
