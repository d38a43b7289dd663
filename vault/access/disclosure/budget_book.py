"""Budgets for stewards: spent and left."""

from __future__ import annotations

from dataclasses import dataclass

from policies.disclosure.budgets import Budget
from vault.access import askable, projects
from vault.access.disclosure import budgets
from vault.access.told import told
from vault.audit.actions import Action, Outcome
from vault.genotypes.catalog import datasets
from vault.session.unlocked_vault import UnlockedVault


@dataclass(frozen=True)
class DatasetBudgets:
    """The project's, its organisation's and the world's budget of a dataset's family."""

    dataset: str
    budgets: tuple[Budget, ...]


def show(vault: UnlockedVault, code: str) -> list[DatasetBudgets]:
    """Budgets that a project's answers are charged to, by dataset.

    Raises:
        InputError: ``project_unknown``, ``dataset_unknown``. IntegrityError: as ``budgets.of_project``.
    """
    with vault.trail.attempting(Action.BUDGET_SHOW, project=code):
        if vault.person is not None:  # of the projects that name them alone
            askable.visible_project(vault, code)
        project = projects.load(vault, code)
        held = [datasets.by_name(vault, name) for name in project.declaration.datasets]
        with vault.books.read() as tx:
            found = [DatasetBudgets(one.name, budgets.of_project(vault, tx, project, one.dataset_id)) for one in held]
        vault.trail.record(Action.BUDGET_SHOW, Outcome.DONE, project=code)
    return found


def show_own(vault: UnlockedVault, code: str) -> list[DatasetBudgets]:
    """As ``show``, for a person whom a service serves, of a project that names them. Raises RefusedError ``refused``."""
    return told(vault, lambda: show(vault, code))
