"""Risk of an exact frequency table, worked out for the stewards who are to approve a panel for it (docs/design/disclosure.md §3)."""

from __future__ import annotations

from dataclasses import dataclass

from policies.disclosure import membership, nats, tables
from policies.disclosure.nats import Micronats
from vault.access.disclosure import frequency_tables, questions, table_approvals
from vault.access.projects import Project
from vault.access.scope import AccessScope
from vault.audit.actions import Action, Outcome
from vault.consent import counted_cohorts
from vault.consent.counted_cohorts import Decide
from vault.errors import RefusedError
from vault.genotypes.catalog.panels import Panel
from vault.session.moments import moment
from vault.session.unlocked_vault import UnlockedVault
from vault.tables.answers import OpenCalls


@dataclass(frozen=True)
class TableRisk:
    """Assessment of an exact table of a panel, for the stewards who approve it: never to be handed on.

    ``alleles``: that the panel names; ``shown`` of them now. ``most``: alleles that all tables may name together. ``mu``: of this table beside all
    that were given; ``power``: share of the members whom the test then finds, of 0.05 of others. ``largest``, ``p95``: Λ of the member whom this
    table gives away most, and that 95 of 100 do not reach, against the other members; ``found``: how often the test finds the first.
    """

    n: int
    alleles: int
    shown: int
    most: int
    mu: float
    power: float
    largest: float
    p95: float
    found: float
    price: Micronats

    @property
    def covered(self) -> bool:
        """True if the price covers the member who is given away most."""
        return tables.covered(self.largest, self.price)


def assess(vault: UnlockedVault, scope: AccessScope, panel: Panel, *, decide: Decide, open_calls: OpenCalls) -> TableRisk:
    """Work out what a table would tell; blocks are opened, and nothing is given.

    Raises:
        RefusedError: as ``counted_cohorts.cohort``; ``answered_before``. IntegrityError: as reading.
    """
    import numpy as np  # noqa: PLC0415 - with the kernels that count, not with every command

    from vault.access.disclosure import allele_copies  # noqa: PLC0415 - as above
    from vault.views.member_evidence import member_evidence  # noqa: PLC0415 - as above

    asked, project, dataset_id = questions.of_table(scope.dataset, panel), scope.project, scope.dataset.dataset_id
    with vault.trail.attempting(Action.TABLE_ASSESS, project=project.code) as attempt:
        with vault.books.write() as tx:
            table_approvals.require_unanswered(tx, project)
            cohort = counted_cohorts.cohort(vault, tx, scope, decide, moment(vault, tx))
            people = frozenset(cohort.people)
            mu = max(frequency_tables.together(vault, tx, project, dataset_id, asked=[one.text for one in asked], people=people))
        attempt.opens(cohort.people, project=project.code, detail=scope.detail())
        found = allele_copies.count(asked, open_calls(scope, cohort.people), people=len(people))
        rows = [at for at, allele in enumerate(asked) if not cohort.masks_allele(allele) and found.shown(at)]
        evidence = member_evidence(found.copies[rows], called=found.called[rows])
        done = attempt.closing({"project": project.code, "detail": scope.detail()})
        vault.trail.record(Action.TABLE_ASSESS, Outcome.DONE, **done)
    largest, n = float(evidence.max(initial=0.0)), len(people)
    return TableRisk(
        n=n,
        alleles=len(asked),
        shown=len(rows),
        most=tables.most_alleles(n, project.declaration.disclosure.mu),
        mu=mu,
        power=membership.power_at(mu),
        largest=largest,
        p95=float(np.quantile(evidence, 0.95)),
        found=membership.power_against(largest),
        price=tables.price(len(asked), frequency_tables.floor_of(n)),
    )


def require_safe(risk: TableRisk, project: Project) -> None:
    """Refuse to approve what could not be given, or what gives somebody away beyond its price.

    Raises:
        RefusedError: ``too_many_sites``, ``nothing_shown``, ``member_exposed``.
    """
    frequency_tables.require_within((risk.mu, risk.mu), project.declaration.disclosure.mu)
    if not risk.shown:
        raise RefusedError("nothing_shown", "no allele of this panel is common enough to be shown", hint="ask for counts")
    if not risk.covered:
        raise RefusedError(
            "member_exposed",
            f"one member is given away by {risk.largest / 2:.2f} nats, and the table costs {nats.number(risk.price):g}",
            hint="take alleles that are more common",
        )
