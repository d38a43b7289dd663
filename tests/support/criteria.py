"""Criteria packs and their panels, for vaults of tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.support import vaults
from vault import gate
from vault.access import criteria_packs
from vault.access.criteria_packs import KeptPack
from vault.genotypes.catalog import datasets, panels
from vault.genotypes.catalog.panels import Panel
from vault.genotypes.loci import parse_loci
from vault.session.unlocked_vault import UnlockedVault


def document(loci: Mapping[str, str], *criteria: tuple[str, Mapping[str, Any]], **changes: Any) -> dict[str, Any]:
    """A pack over loci ("22:1000:A:G" by name) with criteria by id."""
    listed = [{"id": name, "title": f"Criterion {name}", "expression": dict(expression)} for name, expression in criteria]
    found = {"name": "small", "version": 1, "source": "made up", "panel": "exact", "assembly": "GRCh38", "loci": dict(loci)}
    return found | {"criteria": listed} | changes


def as_text(pack: Mapping[str, Any]) -> bytes:
    """JSON, which is YAML."""
    return json.dumps(pack).encode()


def exact_panel(s: UnlockedVault, *alleles: str, name: str = "exact", dataset: str = "cohort") -> Panel:
    """A panel of these alleles, in its next version."""
    rows = "".join(f"{allele.replace(':', chr(9))}\n" for allele in alleles)
    loci = parse_loci(f"contig\tpos\tref\talt\n{rows}".encode(), name="loci")
    return panels.create(s, name, loci, dataset_id=datasets.by_name(s, dataset).dataset_id)


def approved(s: UnlockedVault, pack: dict[str, Any]) -> KeptPack:
    """A pack that the one steward has added and approved."""
    added = criteria_packs.add(s, pack)
    return criteria_packs.approve(s, added.pack.label).kept


CARRIER = document({"a": "22:1000:A:G"}, ("carrier", {"carries": "a"}))

COMMANDS: dict[str, tuple[str, str | None]] = {
    "criteria lint": ("criteria lint pack.yaml", None),
    "criteria add": ("criteria add pack.yaml", "criteria.add"),
    "criteria approve": ("criteria approve held", "criteria.approve"),
    "criteria retire": ("criteria retire held --reason x", "criteria.retire"),
    "criteria list": ("criteria list", "criteria.show"),
    "criteria show": ("criteria show known", "criteria.show"),
    "match run": ("match run --project match --dataset cohort --panel exact --criteria known@1", "view.match.intent"),
}
"""Commands and their acts, in a vault that was filled."""


def fill(s: UnlockedVault) -> None:
    """A panel, a pack that is approved for it and one that waits, and a project that may ask."""
    vaults.approve(
        s, "match", "cohort", kinds=["matching"], purpose={"use_kinds": ["hmb"], "action": "matching", "commitments": ["no_reid"]}
    )
    exact_panel(s, "22:1000:A:G")
    approved(s, CARRIER | {"name": "known"})
    criteria_packs.add(s, CARRIER | {"name": "held"})


def functions(s: UnlockedVault) -> dict[str, Callable[[], object]]:
    """What each act's own function does, in a vault that was filled."""
    return {
        "criteria.add": lambda: criteria_packs.add(s, CARRIER),
        "criteria.approve": lambda: criteria_packs.approve(s, "held"),
        "criteria.retire": lambda: criteria_packs.retire(s, "held", reason="x"),
        "criteria.show": lambda: criteria_packs.show(s, "known"),
        "view.match.intent": lambda: gate.match(s, project="match", dataset="cohort", panel="exact", criteria="known@1"),
    }
