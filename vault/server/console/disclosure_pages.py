"""Budgets of a project, raises of them, and its panels for exact tables with the report of each."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from urllib.parse import quote

from policies.disclosure import nats
from policies.disclosure.budgets import BudgetScope
from policies.purposes import RequestKind
from policies.token_scopes import TokenScope
from vault import gate
from vault.access import askable
from vault.access.disclosure import budget_book, raises, table_approvals
from vault.access.disclosure.budget_book import DatasetBudgets
from vault.access.disclosure.raises import ProposedRaise, Raised
from vault.access.disclosure.table_approvals import TableTerms
from vault.access.projects import Project
from vault.audit.actions import Action
from vault.crypto.keystore import Role
from vault.errors import InputError
from vault.genotypes.catalog import panels
from vault.server.console import cells
from vault.server.console.frame import Answer, ConsolePage, Fact, Redirection
from vault.server.console.visits import Visit
from vault.tables.risks import TableRisk


def budgets(visit: Visit) -> Answer:
    """Cost of a project's answers, and the rest of each budget; for stewards the raises that wait, and the form that gives one."""
    code = visit.place["code"]
    visit.require(Action.BUDGET_SHOW, TokenScope.READ)
    if visit.project not in (None, code):
        raise InputError("project_unknown", f"there is no project {code:.64}")
    look = budget_book.show if visit.project is None else budget_book.show_own
    found = look(visit.vault, code)
    rows = [
        (
            one.dataset,
            budget.scope.value,
            *(f"{nats.number(n):g}" for n in (budget.cap, budget.spent, budget.left)),
            f"{nats.factor(budget.spent):.3g}",
        )
        for one in found
        for budget in one.budgets
    ]
    steward = visit.session.role is Role.STEWARD
    proposed = _proposed(visit, code) if steward else []
    shown = {
        "code": code,
        "rows": rows,
        "steward": steward,
        "scopes": [one.value for one in BudgetScope],
        "datasets": [one.dataset for one in found],
        "waiting": [(one, nats.text(one.nats), cells.moment(one.proposed), one.content.hex()) for one in proposed],
        "own": visit.vault.principal,
        "seen": _digest(found, proposed) if steward else "",
        "address": _address(code),
    }
    return ConsolePage("budgets.html", f"Budgets of {code}", shown)


def give(visit: Visit) -> Answer:
    """Raise a budget above what was shown, or propose to. Raises as ``raises.raise_budget``; InputError ``scope_unknown``, ``shown_outdated``."""
    code, form = visit.place["code"], visit.form
    with visit.vault.trail.attempting(Action.BUDGET_RAISE, project=code):
        now = _digest(budget_book.show(visit.vault, code), _proposed(visit, code))
        if not hmac.compare_digest(now.encode(), form.get("seen", "").encode()):  # a form that is sent twice raises once
            raise InputError("shown_outdated", "the budgets were raised since they were shown", hint="look at the budgets again")
    scope = next((one for one in BudgetScope if one == form.get("scope")), None)
    if scope is None:
        raise InputError("scope_unknown", "a budget is of the project, its organisation or the world")
    done = raises.raise_budget(
        visit.vault,
        code,
        form.get("nats", ""),
        reason=form.get("reason", ""),
        scope=scope,
        dataset=form.get("dataset") or None,
    )
    return _raised(code, done)


def agree(visit: Visit) -> Answer:
    """Give, as another steward, the raise that was shown. Raises InputError ``not_proposed``; as ``raises.raise_budget``."""
    code, content = visit.place["code"], visit.form.get("content", "").encode()
    with visit.vault.trail.attempting(Action.BUDGET_RAISE, project=code):
        wanted = next((one for one in _proposed(visit, code) if hmac.compare_digest(one.content.hex().encode(), content)), None)
        if wanted is None:
            raise InputError("not_proposed", "this raise does not wait any more", hint="look at the budgets again")
    amount, reason = nats.text(wanted.nats), visit.form.get("reason", "")
    done = raises.raise_budget(visit.vault, code, amount, reason=reason, scope=wanted.scope, dataset=wanted.dataset)
    return _raised(code, done)


def tables(visit: Visit) -> Answer:
    """Panels that are approved for exact tables of a project, those that wait, and the form that works out what one would tell."""
    return _tables_page(visit, None, "")


def assess(visit: Visit) -> Answer:
    """Report of an exact table of a panel, worked out now; nothing is given. Raises as ``gate.assess_table``."""
    panel = visit.form.get("panel", "")
    return _tables_page(visit, gate.assess_table(visit.vault, visit.place["code"], panel), panel)


def approve(visit: Visit) -> Answer:
    """Approve a panel for exact tables, as it was shown. Raises InputError ``shown_outdated``; as ``gate.approve_table``."""
    code, form = visit.place["code"], visit.form
    numbers = [cells.number(form.get(name, "")) for name in ("version", "alleles", "price")]
    terms = [number for number in numbers if number is not None]
    if len(terms) != len(numbers):
        raise InputError("shown_outdated", "say what was shown", hint="look at the report, and approve below it")
    _, agreed = gate.approve_table(
        visit.vault, code, form.get("panel", ""), reason=form.get("reason", ""), shown=TableTerms(*terms)
    )
    return Redirection(f"{_address(code)}/tables", "approved" if agreed.settled else "proposed")


def _tables_page(visit: Visit, risk: TableRisk | None, panel: str) -> ConsolePage:
    code = visit.place["code"]
    approved = table_approvals.list_of(visit.vault, code)
    project = askable.visible_project(visit.vault, code)
    waiting = [one for one in table_approvals.waiting(visit.vault) if one.project == code]
    shown = {
        "code": code,
        "rows": [
            (one.panel, f"{one.version}", one.dataset, f"{one.alleles:,}", f"{nats.number(one.price):g}", _by(one.approved_by, one.proposed_by))
            for one in approved
        ],
        "asks": RequestKind.FREQUENCIES in project.declaration.kinds,
        "waiting": [(one, f"{nats.number(one.price):g}", cells.moment(one.proposed)) for one in waiting],
        "own": visit.vault.principal,
        "panels": _panels(visit, project),
        "panel": panel,
        "risk": risk,
        "version": None if risk is None else panels.by_name(visit.vault, panel).version,
        "numbers": [] if risk is None else _numbers(risk),
        "address": _address(code),
    }  # fmt: skip
    return ConsolePage("tables.html", f"Exact tables of {code}", shown)


def _panels(visit: Visit, project: Project) -> list[str]:
    """Panels of the project's datasets, by name."""
    return sorted({one.name for one in panels.list_all(visit.vault) if one.dataset in project.declaration.datasets})


def _numbers(risk: TableRisk) -> list[Fact]:
    return [
        Fact(f"{risk.n:,}", "people are in it"),
        Fact(f"{risk.shown:,} of {risk.alleles:,}", "alleles of the panel are shown now"),
        Fact(f"{risk.most:,}", "alleles all tables of these people may name"),
        Fact(f"{risk.power:.1%}", "of the members are found, with all tables given, where 5% of others are"),
        Fact(f"{risk.found:.1%}", "is how often the member given away most is found"),
        Fact(f"{nats.number(risk.price):g} nats", "is what the table costs"),
    ]


def _by(approved: str, proposed: str | None) -> str:
    return f"{approved}, proposed by {proposed}" if proposed else approved


def _proposed(visit: Visit, code: str) -> list[ProposedRaise]:
    """Raises that wait, as a project's steward gives them."""
    return [one for one in raises.waiting(visit.vault) if one.project == code]


def _digest(found: Sequence[DatasetBudgets], proposed: Sequence[ProposedRaise]) -> str:
    """Digest of the budgets as they are raised, and of what is proposed: the same until another raise is given or proposed."""
    caps = [[one.dataset, budget.scope.value, budget.cap] for one in found for budget in one.budgets]
    return hashlib.sha256(json.dumps([caps, sorted(one.content.hex() for one in proposed)]).encode()).hexdigest()


def _raised(code: str, done: Raised) -> Redirection:
    return Redirection(f"{_address(code)}/budgets", "raised" if done.settled else "proposed")


def _address(code: str) -> str:
    return f"/projects/{quote(code, safe='')}"
