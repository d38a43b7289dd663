"""Projects and panels that a principal may ask of, listed for those who may see them.

Stewards see all. An engine or a researcher sees the approved projects that name it among their people, and the panels of their datasets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vault.access import asked_regions, projects
from vault.access.projects import Project
from vault.access.scope import UNINFORMED_ROLES
from vault.audit.actions import Action, Outcome
from vault.errors import InputError
from vault.genotypes.catalog import datasets, panels, parts
from vault.genotypes.catalog.panels import Panel
from vault.session.unlocked_vault import UnlockedVault


@dataclass(frozen=True)
class ListedProject:
    """A project by its code: state (``approved`` is what views need), title, and the datasets that it may ask of."""

    code: str
    state: str
    title: str
    datasets: tuple[str, ...]


@dataclass(frozen=True)
class ListedPanel:
    """A panel in its newest version, and how many loci it names."""

    name: str
    version: int
    dataset: str
    loci: int


def list_projects(vault: UnlockedVault) -> list[ListedProject]:
    """Projects that the principal may see, by code; the listing is logged. Raises RefusedError ``not_authorised``."""
    with vault.trail.attempting(Action.PROJECT_SHOW):
        found = visible_projects(vault)
        vault.trail.record(Action.PROJECT_SHOW, Outcome.DONE)
    return [ListedProject(one.code, one.state, one.declaration.title, tuple(one.declaration.datasets)) for one in found]


def list_panels(vault: UnlockedVault) -> list[ListedPanel]:
    """Newest versions of the panels that the principal may see, by name; logged. Raises RefusedError ``not_authorised``."""
    with vault.trail.attempting(Action.PANEL_SHOW):
        newest = {panel.name: panel for panel in visible_panels(vault)}  # versions ascend
        vault.trail.record(Action.PANEL_SHOW, Outcome.DONE)
    return [ListedPanel(panel.name, panel.version, panel.dataset, len(panel.loci)) for panel in newest.values()]


def visible_projects(vault: UnlockedVault) -> list[Project]:
    """Projects that the principal may see, by code. Callers log the look."""
    every = projects.list_all(vault)
    if vault.role not in UNINFORMED_ROLES:
        return every
    return [one for one in every if one.state == projects.APPROVED and vault.principal in one.declaration.purpose.people]


def visible_project(vault: UnlockedVault, code: str) -> Project:
    """One project that the principal may see. Raises InputError ``project_unknown``. Callers log the look."""
    for project in visible_projects(vault):
        if project.code == code:
            return project
    raise InputError("project_unknown", f"there is no project {code}", hint="genovault project list")


def visible_panels(vault: UnlockedVault) -> list[Panel]:
    """All versions of the panels that the principal may see, by name. Callers log the look."""
    every = panels.list_all(vault)
    if vault.role not in UNINFORMED_ROLES:
        return every
    datasets = {name for project in visible_projects(vault) for name in project.declaration.datasets}
    return [panel for panel in every if panel.dataset in datasets]


def visible_panel(vault: UnlockedVault, name: str) -> Panel:
    """The newest version of one panel that the principal may see. Raises InputError ``panel_unknown``. Callers log the look."""
    versions = [panel for panel in visible_panels(vault) if panel.name == name]
    if not versions:
        raise InputError("panel_unknown", f"there is no panel {name}", hint="genovault panel list")
    return versions[-1]


def require_names(vault: UnlockedVault, project: str, dataset: str, *, panel: str | None, regions: Sequence[str]) -> None:
    """Say which name a question spells wrongly, of those that the principal may list: nothing is said of another's project.

    Raises:
        InputError: ``dataset_unknown``, ``panel_unknown``, ``contig_not_held``; ``gene_unknown``.
    """
    own = {one.code: one.declaration.datasets for one in visible_projects(vault)}
    if project not in own:
        return
    if dataset not in own[project]:
        raise InputError("dataset_unknown", f"project {project} has no dataset {dataset:.64}: {', '.join(own[project])}")
    held = datasets.by_name(vault, dataset)
    named = sorted({item.name for item in visible_panels(vault) if item.dataset_id == held.dataset_id})
    if panel is not None and panel not in named:
        raise InputError("panel_unknown", f"dataset {dataset} has no panel {panel:.64}: {', '.join(named) or 'none'}")
    if regions:
        positions = asked_regions.in_positions(vault, held, regions)
        asked_regions.require_present(asked_regions.read_regions(positions), held, parts.contigs(vault, held.dataset_id))
