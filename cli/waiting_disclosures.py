"""Raises of budgets and panels for exact tables that wait for another steward, as commands show them: with the command that agrees."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli import second_stewards
from policies.disclosure import nats

if TYPE_CHECKING:
    from vault.access.disclosure.raises import ProposedRaise
    from vault.access.disclosure.table_approvals import ProposedTable


def raise_document(one: ProposedRaise) -> dict[str, object]:
    """A proposed raise for programs."""
    about = {"project": one.project, "scope": one.scope.value, "dataset": one.dataset, "nats": nats.number(one.nats)}
    return second_stewards.document(one, about, _raising(one))


def raise_lines(one: ProposedRaise) -> Iterator[str]:
    """A proposed raise for people."""
    about = f"{nats.text(one.nats)} nats more for the {one.scope.value} budget of {one.project}, dataset {one.dataset}"
    return second_stewards.lines(one, about, _raising(one))


def table_document(one: ProposedTable) -> dict[str, object]:
    """A proposed panel for programs."""
    about = {
        "project": one.project,
        "panel": one.panel,
        "version": one.version,
        "dataset": one.dataset,
        "alleles": one.alleles,
        "nats": nats.number(one.price),
    }
    return second_stewards.document(one, about, _approving(one))


def table_lines(one: ProposedTable) -> Iterator[str]:
    """A proposed panel for people."""
    about = f"exact tables of panel {one.panel} version {one.version} for {one.project}"
    return second_stewards.lines(one, about, _approving(one))


def _raising(one: ProposedRaise) -> str:
    words = ["genovault", "budget", "raise", one.project, "--nats", nats.text(one.nats), "--scope", one.scope.value]
    return shlex.join([*words, "--dataset", one.dataset, "--reason", one.reason])


def _approving(one: ProposedTable) -> str:
    return shlex.join(["genovault", "table", "approve", one.project, "--panel", one.panel, "--reason", one.reason])
