"""Question of a stored request for counts, presence or frequencies: checked when it is submitted, with its price."""

from __future__ import annotations

from dataclasses import replace

from policies.purposes import RequestKind
from vault.access.disclosure import questions, table_approvals
from vault.access.projects import Project
from vault.access.request_records import Spec
from vault.errors import InputError
from vault.genotypes.catalog import panels
from vault.genotypes.catalog.datasets import Dataset
from vault.session.unlocked_vault import UnlockedVault


def checked(vault: UnlockedVault, project: Project, dataset: Dataset, kind: RequestKind, spec: Spec) -> Spec:
    """The question as it is recorded: alleles trimmed, a panel in its newest version, and what it costs.

    Raises:
        InputError, RefusedError: as ``_of_alleles`` or ``_of_table``.
    """
    return (
        _of_table(vault, project, dataset, spec)
        if kind is RequestKind.FREQUENCIES
        else _of_alleles(vault, project, dataset, spec)
    )


def _of_alleles(vault: UnlockedVault, project: Project, dataset: Dataset, spec: Spec) -> Spec:
    """Of counts or presence.

    Raises:
        InputError: ``alleles_missing``: regions or genes, or neither alleles nor a panel; ``panel_unknown``; as ``questions.of_scope``.
        RefusedError: as ``questions.of_project``.
    """
    if spec.regions or spec.genes:
        raise InputError("alleles_missing", "counts are of alleles, or of a panel's", hint="name alleles, or one panel")
    asked = questions.read_alleles(spec.alleles)
    questions.require_one_source(asked, spec.panel)
    panel = None if spec.panel is None else panels.of_dataset(vault, spec.panel, dataset)
    epsilon = questions.of_project(project, spec.epsilon)
    asking = questions.of_scope(dataset, panel, asked, kind=RequestKind.COUNTS, epsilon=epsilon)
    return replace(
        spec,
        alleles=tuple(one.text for one in asked),
        panel_version=None if panel is None else panel.version,
        epsilon=epsilon,
        n_alleles=len(asking.alleles),
    )


def _of_table(vault: UnlockedVault, project: Project, dataset: Dataset, spec: Spec) -> Spec:
    """Of an exact table: a panel that is approved.

    Raises:
        InputError: ``panel_missing``: anything but one panel; ``panel_unknown``; as ``questions.of_table``. RefusedError: ``table_not_approved``.
    """
    if spec.panel is None or spec.regions or spec.genes or spec.alleles or spec.epsilon:
        raise InputError(
            "panel_missing", "exact frequencies are of one approved panel", hint="--panel NAME, and nothing beside it"
        )
    panel = panels.of_dataset(vault, spec.panel, dataset)
    asked = questions.of_table(dataset, panel)
    with vault.books.read() as tx:
        price = table_approvals.price_of(vault, tx, project, panel)
    return replace(spec, panel_version=panel.version, n_alleles=len(asked), nats=price)
