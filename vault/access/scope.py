"""Scope of an access: project, dataset and loci, loaded, and covered by the project's declaration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policies.purposes import RequestKind
from vault.access import asked_regions, projects, requests
from vault.access.projects import Project
from vault.audit.entry import is_handle
from vault.crypto.keystore import Role
from vault.errors import InputError, RefusedError
from vault.genotypes.catalog import datasets, panels
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.panels import Panel
from vault.genotypes.store.selections import PanelLoci, Selection
from vault.session.unlocked_vault import UnlockedVault

UNINFORMED_ROLES = (Role.RESEARCHER, Role.ENGINE)  # they learn that an access was refused and no reason


@dataclass(frozen=True)
class AccessScope:
    """Project, dataset, and a panel, regions, or (neither) the whole dataset."""

    project: Project
    dataset: Dataset
    panel: Panel | None
    regions: tuple[str, ...]
    request_id: str | None = None
    asserted_for: str | None = None  # user named by the submitting steward; unverified

    def selection(self) -> Selection:
        """Selection of the sites to read."""
        if self.panel is not None:
            return Selection(panel=PanelLoci(self.panel.panel_id, self.panel.index))
        if not self.regions:
            return Selection()
        return Selection(regions=asked_regions.read_regions(self.regions).intervals)

    def detail(self) -> dict[str, Any]:
        """Sealed detail of the intent's entry, for auditors."""
        panel = None if self.panel is None else f"{self.panel.name} version {self.panel.version}"
        shown = self.regions[:1000]  # the request holds all of them
        return {"dataset": self.dataset.name, "panel": panel, "regions": list(shown), "n_regions": len(self.regions)}


def scope_of_request(vault: UnlockedVault, request_id: str) -> AccessScope:
    """Load the scope of a stored request.

    Raises:
        InputError: ``request_unknown``. RefusedError: ``request_denied``, ``kind_not_served``, and as ``scope_of_view``.
    """
    request = requests.load(vault, request_id)
    if request.state != requests.OPEN:
        raise RefusedError("request_denied", f"request {request_id} was denied")
    if request.kind is not RequestKind.RECORDS:
        raise RefusedError("kind_not_served", f"this version releases records, not {request.kind.value}")
    spec = request.spec
    panel = None if spec.panel is None else panels.by_name(vault, spec.panel, version=spec.panel_version)
    project, dataset = projects.load(vault, request.project), datasets.by_name(vault, request.dataset)
    person = spec.submitted_for if spec.submitted_for and is_handle(spec.submitted_for) else None
    return _require_covered(vault, AccessScope(project, dataset, panel, spec.regions, request_id, person))


def scope_of_view(
    vault: UnlockedVault, *, project: str, dataset: str, panel: str | None, regions: tuple[str, ...]
) -> AccessScope:
    """Load the scope of a view that a program asks for.

    Raises:
        InputError: ``project_unknown``, ``dataset_unknown``, ``panel_unknown``, ``loci_twice``.
        RefusedError: ``project_not_approved``, ``outside_project``, ``not_of_project``.
    """
    if panel is not None and regions:
        raise InputError("loci_twice", "a view is of a panel or of regions, not of both")
    found = None if panel is None else panels.by_name(vault, panel)
    return _require_covered(vault, AccessScope(projects.load(vault, project), datasets.by_name(vault, dataset), found, regions))


def _require_covered(vault: UnlockedVault, scope: AccessScope) -> AccessScope:
    """Return the scope if the project's declaration covers it and, for an engine, names the engine.

    Raises:
        RefusedError: ``not_of_project``, ``project_not_approved``, ``outside_project``.
        InputError: ``panel_unknown``; ``document_rejected``, ``assembly_mismatch``, ``contig_not_held``: of the regions.
    """
    project, dataset, panel = scope.project, scope.dataset, scope.panel
    if vault.role is Role.ENGINE and vault.principal not in project.declaration.purpose.people:
        raise RefusedError("not_of_project", f"project {project.code} does not name {vault.principal} among its people")
    if project.state != projects.APPROVED:
        raise RefusedError("project_not_approved", f"project {project.code} is {project.state}")
    if dataset.name not in project.declaration.datasets or RequestKind.RECORDS not in project.declaration.kinds:
        raise RefusedError("outside_project", "the project does not declare this dataset or kind of request")
    if panel is not None and panel.dataset_id != dataset.dataset_id:
        raise InputError("panel_unknown", f"panel {panel.name} is not of this dataset", hint="genovault panel list")
    if scope.regions:
        regions = asked_regions.read_regions(scope.regions)
        asked_regions.require_own(regions, dataset)
        if vault.role not in UNINFORMED_ROLES:  # to the others, what is not there and what they may not see look alike
            asked_regions.require_present(vault, regions, dataset)
    return scope
