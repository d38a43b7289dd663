"""Acts about counts, frequencies and budgets in a vault of too few people to be told anything: who may do them, and what they leave in the books."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from policies.disclosure.alleles import trimmed
from policies.disclosure.view_profiles import Linkage
from policies.loci import Interval
from tests.support import vaults
from vault import gate
from vault.access import projects, requests
from vault.access.disclosure import (
    budget_book,
    budgets,
    families,
    frequency_tables,
    linkage_decisions,
    raises,
    stored_answers,
    table_approvals,
)
from vault.access.disclosure.frequency_tables import StoredTable, TableCohort
from vault.access.disclosure.linkage_decisions import LinkageDecision
from vault.genotypes.catalog import datasets, panels
from vault.ids import DatasetId, SubjectId
from vault.risk import stored_reports
from vault.session.unlocked_vault import UnlockedVault

EXACT = b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n22\t1000\t.\tA\tG\n"

COMMANDS: dict[str, tuple[str, str | None]] = {
    "request result": ("request result {counted}", "counts.answer"),
    "budget show": ("budget show demo", "budget.show"),
    "budget raise": ("budget raise demo --nats 0.5 --reason x --dataset cohort", "budget.raise"),
    "table assess": ("table assess counted --panel exact", "table.assess"),
    "table approve": ("table approve counted --panel exact --reason x", "table.approve"),
    "table list": ("table list counted", "table.list"),
    "table verify": ("table verify released --key release.vkey", None),
}
"""A line of each command, and the act that it does; None: it needs no vault."""


def declare(s: UnlockedVault) -> None:
    """A project for counts and frequencies, and a panel of exact loci."""
    vaults.approve(s, "counted", "cohort", kinds=["counts", "frequencies"])
    vaults.panel(s, "exact", loci=EXACT)


def functions(s: UnlockedVault, names: Mapping[str, str]) -> dict[str, Callable[[], object]]:
    """The library's function for each act."""
    return {
        "counts.answer": lambda: gate.result(s, names["counted"]),
        "table.assess": lambda: gate.assess_table(s, "counted", "exact"),
        "table.approve": lambda: gate.approve_table(s, "counted", "exact", reason="x"),
        "table.list": lambda: table_approvals.list_of(s, "counted"),
        "table.answer": lambda: gate.frequencies(s, project="counted", dataset="cohort", panel="exact"),
        "budget.show": lambda: budget_book.show(s, "demo"),
        "budget.raise": lambda: raises.raise_budget(s, "demo", "0.5", reason="x", dataset="cohort"),
    }


def leave_answers(s: UnlockedVault) -> None:
    """What answers leave in the books; there are too few people here to ask."""
    project, dataset = projects.load(s, "demo"), datasets.by_name(s, "cohort").dataset_id
    vaults.panel(s, "another")
    for name in ("pgx", "another"):
        table_approvals.approve(s, project, panels.by_name(s, name), alleles=1, price=10_000, reason="a test")
    with s.books.write() as tx:
        budgets.charge(s, tx, budgets.of_project(s, tx, project, dataset), dataset, 200_000)
        families.keep(tx, frozenset({dataset, bytes(16)}))
        drawn = {trimmed("22", at, "A", "G"): stored_answers.StoredAnswer(30, 100_000) for at in (1_000, 1_010)}
        stored_answers.keep(s, tx, bytes(32), drawn, held=(), dataset_id=dataset)
        for asked in requests.list_all(s)[:2]:
            stored_reports.keep(s, tx, asked, {"n": 10}, basis="")
        for number in (1, 2):
            cohort = TableCohort(frozenset({SubjectId(bytes([number]) * 16)}), bytes(32), bytes(32))
            frequency_tables.keep(s, tx, _table(project.project_id, dataset, cohort, made=number))
            place = Interval("22", 100 * number, 100 * number + 50)
            calls = dict.fromkeys(cohort.people, bytes(8))
            linkage_decisions.keep(s, tx, LinkageDecision(dataset, number, place, Linkage(20, 1_000, 21), calls, (place,)))


def _table(project_id: bytes, dataset: DatasetId, cohort: TableCohort, *, made: int) -> StoredTable:
    return StoredTable(project_id, dataset, bytes(16), made, cohort, 1, 0, ("22:1000:A:G",), (("22:1000:A:G", "0.25"),), 10_000)
