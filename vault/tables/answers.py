"""Exact frequency tables of approved panels: held against all that were given, charged, stored and logged in one commit (docs/design/disclosure.md §3).

    decide    each subject of project and dataset by the subject's own consent; a floor of people
    hold      the stewards' approval, the cohorts of other tables, the strength of all together, the price; refused before anything is opened
    count     copies of each allele, from the cohort's blocks, the intent durable first
    commit    the charge, the stored table and the entry; a killed process leaves none of them or all
    answer    what was stored: the same panel gets the same table while everybody in it takes part

Refusals rest on people and sites, never on genotypes: what is not shown of a table that is given is masked, absent, rare or of few, alike.
``vault.gate`` lends the decision and the blocks; this module has no other way to either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from policies.disclosure import nats, tables
from policies.disclosure.alleles import Allele
from policies.disclosure.budgets import Budget, BudgetScope
from policies.disclosure.nats import Micronats
from policies.purposes import RequestKind
from vault.access import publication
from vault.access.disclosure import budgets, frequency_tables, questions, table_approvals
from vault.access.disclosure.carrier_table import Read
from vault.access.disclosure.frequency_tables import StoredTable, TableCohort
from vault.access.scope import AccessScope
from vault.audit.actions import Action, Outcome
from vault.audit.bands import banded, spoken
from vault.audit.log import Appended
from vault.consent import counted_cohorts
from vault.consent.counted_cohorts import CountedCohort, Decide
from vault.crypto.primitives import sha256
from vault.errors import RefusedError
from vault.extracts import frequency_files
from vault.genotypes.catalog.panels import Panel
from vault.ids import SubjectId
from vault.session.audit_trail import Attempt
from vault.session.moments import moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.storage.timestamps import from_micros, rfc3339, to_micros

OpenCalls = Callable[[AccessScope, Sequence[SubjectId]], Read]
"""The gate's reading of some people's calls."""


@dataclass(frozen=True)
class FrequencyTable:
    """An exact frequency table. ``rows``: alleles and their frequencies among those of the cohort who have a call, as decimals in steps of ``step``.

    ``asked``: alleles of the panel; those that are not in ``rows`` are masked, absent, rare or of few people, alike.
    ``made``: when it was worked out. ``charged``, ``spent``: nats, as of counts.
    """

    request: str | None
    project: str
    dataset: str
    assembly: str
    panel: str
    panel_version: int
    panel_sha256: str
    n_band: str
    step: str
    asked: int
    rows: tuple[tuple[str, str], ...]
    made: str
    charged: float
    spent: dict[str, dict[str, float]]
    receipt: str

    def facts(self) -> dict[str, Any]:
        """Statements of the table's signed manifest, beside its file."""
        names = ("project", "dataset", "assembly", "n_band", "step", "asked", "made")
        panel = {"name": self.panel, "version": self.panel_version, "sha256": self.panel_sha256}
        return {"request": self.request or "", "panel": panel, **{name: getattr(self, name) for name in names}}

    def as_dict(self) -> dict[str, Any]:
        """The table as JSON values, to be handed on."""
        said = asdict(self)
        kept = ("request", "project", "dataset", "assembly", "asked", "made", "charged", "spent", "receipt")
        return {
            **{name: said[name] for name in kept},
            "kind": RequestKind.FREQUENCIES.value,
            "panel": {"name": self.panel, "version": self.panel_version, "sha256": self.panel_sha256},
            "cohort": {"n_band": self.n_band},
            "step": float(self.step),
            "frequencies": [{"allele": allele, "frequency": float(frequency)} for allele, frequency in self.rows],
        }


@dataclass(frozen=True)
class _Question:
    scope: AccessScope
    panel: Panel
    alleles: tuple[Allele, ...]

    @property
    def names(self) -> list[str]:
        return [one.text for one in self.alleles]


@dataclass(frozen=True)
class _TableHeld:
    """A question that may be answered in this transaction: its price, and the table that answers it already."""

    price: Micronats
    stored: StoredTable | None
    budgets: tuple[Budget, ...]


@dataclass(frozen=True)
class _TableSettled:
    """A question that was answered in a transaction that is to be committed."""

    table: StoredTable
    entry: Appended
    charged: Micronats
    left: tuple[Budget, ...]


_Rows = tuple[bytes, Sequence[tuple[str, str]]]
"""Digest of the cohort that was counted, and what is shown of it."""


def answer(vault: UnlockedVault, scope: AccessScope, panel: Panel, *, decide: Decide, open_calls: OpenCalls) -> FrequencyTable:
    """Answer with the exact table of an approved panel; see the module for its steps.

    Raises:
        RefusedError: as ``counted_cohorts.cohort``; ``table_not_approved``, ``cohort_too_near``, ``too_many_sites``, ``budget_spent``;
            ``consent_changed``. IntegrityError: as reading; ``frequency_table_altered``, ``approval_missing``. UnavailableError: the answer
            cannot be logged.
    """
    asked = _Question(scope, panel, questions.of_table(scope.dataset, panel))
    with vault.trail.attempting(Action.TABLE_ANSWER, project=scope.project.code, request=scope.request_id) as attempt:
        settled, cohort = _settle(vault, asked, decide, attempt, rows=None)
        if settled is None:
            attempt.opens(cohort.people, project=scope.project.code, request=scope.request_id, detail=scope.detail())
            rows = _rows(cohort, asked.alleles, open_calls(scope, cohort.people))
            settled, _ = _settle(vault, asked, decide, attempt, rows=(cohort.digest, rows))
        if settled is None:
            raise RefusedError("consent_changed", "who takes part changed while the table was made", hint="ask again")
    return _told(vault, asked, settled)


def _settle(
    vault: UnlockedVault, asked: _Question, decide: Decide, attempt: Attempt, *, rows: _Rows | None
) -> tuple[_TableSettled | None, CountedCohort]:
    """Decide, hold and commit in one transaction; None where the table is not worked out of this cohort yet, and nothing was changed."""
    scope, dataset_id = asked.scope, asked.scope.dataset.dataset_id
    with vault.books.write() as tx:
        when = moment(vault, tx)
        cohort = counted_cohorts.cohort(vault, tx, scope, decide, when)
        held = _hold(vault, tx, asked, cohort)
        table, charged, left = held.stored, 0, held.budgets
        if table is None:
            if rows is None or rows[0] != cohort.digest:
                return None, cohort
            charged, left = held.price, budgets.charge(vault, tx, left, dataset_id, held.price)
            table = frequency_tables.keep(
                vault,
                tx,
                StoredTable(
                    project_id=scope.project.project_id,
                    dataset_id=dataset_id,
                    panel_id=asked.panel.panel_id,
                    made=to_micros(vault.clock()),
                    cohort=_table_cohort(cohort),
                    n=len(cohort.people),
                    gone=0,
                    alleles=tuple(asked.names),
                    rows=tuple(rows[1]),
                    price=charged,
                ),
            )
        tx.flush()
        intent = attempt.intent or _intent(vault, tx, scope, table)
        fields = _entry(scope, cohort, table, charged)
        entry = vault.trail.append(tx, Action.TABLE_ANSWER, Outcome.DONE, refers=intent, flags=when.flags, **fields)
        return _TableSettled(table, entry, charged, left), cohort


def _hold(vault: UnlockedVault, tx: Transaction, asked: _Question, cohort: CountedCohort) -> _TableHeld:
    """Approval, earlier tables, strength and price of a question. Raises RefusedError, IntegrityError as ``answer``."""
    project, dataset_id = asked.scope.project, asked.scope.dataset.dataset_id
    price = table_approvals.price_of(vault, tx, project, asked.panel)
    mine = budgets.of_project(vault, tx, project, dataset_id)
    this, known = _table_cohort(cohort), frequency_tables.all_of(vault, tx)
    for one in reversed(known):
        if (one.project_id, one.panel_id) == (project.project_id, asked.panel.panel_id) and one.serves(this):
            return _TableHeld(price, one, mine)
    frequency_tables.require_apart(known, this, dataset_id)
    strength = frequency_tables.together(vault, tx, project, dataset_id, asked=asked.names, people=this.people)
    frequency_tables.require_within(strength, project.declaration.disclosure.mu)
    budgets.require(mine, price)
    return _TableHeld(price, None, mine)


def _table_cohort(cohort: CountedCohort) -> TableCohort:
    return TableCohort(frozenset(cohort.people), cohort.calls, cohort.masks)


def _rows(cohort: CountedCohort, asked: Sequence[Allele], read: Read) -> list[tuple[str, str]]:
    """Alleles that are shown, with their frequencies as written."""
    from vault.access.disclosure import allele_copies  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command

    found = allele_copies.count(asked, read, people=len(cohort.people))
    floor = frequency_tables.floor_of(len(cohort.people))
    rows = []
    for at, allele in enumerate(asked):
        if not cohort.masks_allele(allele) and found.shown(at):
            copies, called, _, _ = found.of(at)
            rows.append((allele.text, tables.written(copies, called, floor)))
    return rows


def _intent(vault: UnlockedVault, tx: Transaction, scope: AccessScope, table: StoredTable) -> str:
    """Entry that names the people of a table that is given again, for which no block has to be opened; its event id."""
    people, project = sorted(table.cohort.people), scope.project.code
    fields: dict[str, Any] = {"project": project, "request": scope.request_id, "detail": scope.detail()}
    return vault.trail.append(tx, Action.TABLE_ANSWER, Outcome.INTENT, subjects=people, **fields).event_id


def _entry(scope: AccessScope, cohort: CountedCohort, table: StoredTable, charged: Micronats) -> dict[str, Any]:
    """Fields of the entry of a table; what it cost and shows is sealed. It names nobody, as that of counts, and the file by its digest."""
    shown = len(table.rows or ())
    detail: dict[str, Any] = {
        **scope.detail(),
        **scope.project.recipient_detail(),
        "cohort": cohort.digest.hex(),
        "charged": nats.text(charged),
        "made": rfc3339(from_micros(table.made)),
        "counts": {"subjects": table.n, "alleles": len(table.alleles), "shown": shown},
    }
    return {
        "project": scope.project.code,
        "request": scope.request_id,
        "asserted_for": scope.asserted_for,
        "purpose": ",".join(scope.project.declaration.purpose.use_kinds),
        "consent": cohort.decided.head.entry(),
        "counts": banded({"subjects": table.n, "alleles": len(table.alleles)}),
        "blobs": [sha256(frequency_files.text(table.rows or ()).encode())],
        "detail": detail,
    }


def _told(vault: UnlockedVault, asked: _Question, settled: _TableSettled) -> FrequencyTable:
    scope, panel, table = asked.scope, asked.panel, settled.table
    spent = {
        one.scope.value: {"nats": nats.number(one.spent), "factor": nats.factor(one.spent), "left": nats.number(one.left)}
        for one in settled.left
        if one.scope is not BudgetScope.WORLD
    }
    return FrequencyTable(
        request=scope.request_id,
        project=scope.project.code,
        dataset=scope.dataset.name,
        assembly=scope.dataset.assembly,
        panel=panel.name,
        panel_version=panel.version,
        panel_sha256=panel.sha256,
        n_band=spoken(table.n),
        step=f"{float(tables.step(frequency_tables.floor_of(table.n))):g}",
        asked=len(table.alleles),
        rows=table.rows or (),
        made=rfc3339(from_micros(table.made)),
        charged=nats.number(settled.charged),
        spent=spent,
        receipt=publication.receive(vault, settled.entry.index),
    )
