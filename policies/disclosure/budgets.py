"""Budgets: how much evidence may leave, by scope and family, and what is left of it.

Budgets never reset; they are raised by two people. What is charged and refused depends on scope, family and the question alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from policies.disclosure.nats import UNIT, Micronats


class BudgetScope(StrEnum):
    """Sharers of a budget: a project, all projects of an organisation, everybody."""

    PROJECT = "project"
    ORGANISATION = "organisation"
    WORLD = "world"


DEFAULT_CAPS: Mapping[BudgetScope, Micronats] = {
    BudgetScope.PROJECT: 2_300_000,  # a factor of 10
    BudgetScope.ORGANISATION: 3 * UNIT,
    BudgetScope.WORLD: 4_610_000,  # a factor of 100
}

MOST_RAISED: Micronats = 100 * UNIT
"""Above this a raise is a slip of the pen: evidence is then as good as the genotypes themselves."""


@dataclass(frozen=True)
class Budget:
    """One budget of one family: what may leave and what has left."""

    scope: BudgetScope
    owner: str  # code of the project, id of the organisation, or nothing
    cap: Micronats
    spent: Micronats

    @property
    def left(self) -> Micronats:
        """Evidence that may still leave; 0 where a cap was lowered below what has."""
        return max(0, self.cap - self.spent)


def caps_of(declared: Micronats | None) -> dict[BudgetScope, Micronats]:
    """Caps before anything is raised. ``declared``: of the project, by its declaration, which can lower its cap and never lift it."""
    caps = dict(DEFAULT_CAPS)
    if declared is not None:
        caps[BudgetScope.PROJECT] = min(declared, caps[BudgetScope.PROJECT])
    return caps


def owner_of(scope: BudgetScope, *, project: str, organisation: str) -> str:
    """Owner of a budget. A project without an organisation's id is one of its own."""
    if scope is BudgetScope.WORLD:
        return ""
    return (organisation or f"project:{project}") if scope is BudgetScope.ORGANISATION else project


def short(budgets: Sequence[Budget], price: Micronats) -> Budget | None:
    """The first budget that does not cover a price; None if all do."""
    return next((budget for budget in budgets if price > budget.left), None)
