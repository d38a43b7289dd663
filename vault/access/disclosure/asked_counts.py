"""What a stored request for counts or presence asks: checked when it is submitted, with its price."""

from __future__ import annotations

from dataclasses import replace

from policies.disclosure import noise
from policies.purposes import RequestKind
from vault.access.disclosure import questions
from vault.access.request_records import Spec
from vault.errors import InputError
from vault.genotypes.catalog import panels
from vault.genotypes.catalog.datasets import Dataset
from vault.session.unlocked_vault import UnlockedVault


def checked(vault: UnlockedVault, dataset: Dataset, spec: Spec) -> Spec:
    """The question as it is recorded: alleles trimmed, a panel in its newest version, and what it costs.

    Raises:
        InputError: ``alleles_missing``: regions or genes, or neither alleles nor a panel; ``panel_unknown``; as ``questions.of_scope``.
    """
    if spec.regions or spec.genes:
        raise InputError("alleles_missing", "counts are of alleles, or of a panel's", hint="name alleles, or one panel")
    asked = questions.read_alleles(spec.alleles)
    questions.require_one_source(asked, spec.panel)
    panel = None if spec.panel is None else panels.of_dataset(vault, spec.panel, dataset)
    epsilon = spec.epsilon or noise.DEFAULT
    asking = questions.of_scope(dataset, panel, asked, kind=RequestKind.COUNTS, epsilon=epsilon)
    return replace(
        spec,
        alleles=tuple(one.text for one in asked),
        panel_version=None if panel is None else panel.version,
        epsilon=epsilon,
        n_alleles=len(asking.alleles),
    )
