"""Accounts that put their answers together (docs/design/disclosure.md §5): twenty projects of twenty organisations, one family of datasets."""

from __future__ import annotations

import pytest

from policies.disclosure import budgets as caps
from policies.disclosure.budgets import BudgetScope
from tests.support import counted
from tests.support.attack_figures import shown
from vault.access.disclosure import budgets
from vault.errors import RefusedError

ATTACK = "Many accounts together"
ACCOUNTS = 20
EACH = 23  # questions that one project's budget pays for


def spent_together(folder):
    """Nats that leave when every account asks for as much as it can, each another allele."""
    held, charged = counted.make(folder), 0.0
    for account in range(ACCOUNTS):
        code = f"account{account}"
        counted.declare(held, code, organisation=f"https://ror.org/0{account:08}")
        alleles = [f"22:{1_000 * (account + 1) + at}:A:G" for at in range(EACH)]
        for asked in (alleles, alleles[:1]):  # where all are too dear, one
            try:
                charged += counted.ask(held, *asked, code=code).charged
            except RefusedError as error:
                assert error.code == "budget_spent"
    held.vault.close()
    return charged


@pytest.mark.long
def test_twenty_accounts_get_no_more_than_everybodys_budget(tmp_path, monkeypatch):
    cap = caps.DEFAULT_CAPS[BudgetScope.WORLD] / 1_000_000
    (tmp_path / "on").mkdir()
    (tmp_path / "off").mkdir()
    guarded = spent_together(tmp_path / "on")
    monkeypatch.setattr(budgets, "require", lambda *_: None)
    off = spent_together(tmp_path / "off")
    assert cap - 0.1 < guarded <= cap
    assert off > 40
    shown(
        ATTACK,
        "evidence that leaves together, in nats",
        on="20 projects of 20 organisations, 23 questions each",
        off=off,
        guarded=guarded,
        bound=f"≤ {cap}",
        tolerance=0.001,
    )
