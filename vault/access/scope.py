"""Scope of an access: project, dataset and loci, loaded, and covered by the project's declaration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from policies.loci import END, Interval
from policies.purposes import RequestKind
from vault.access import asked_regions, delivery, projects, requests
from vault.access.projects import Project
from vault.access.recipients import RecipientKey
from vault.access.request_records import ENDED, Request
from vault.audit.entry import is_handle
from vault.crypto.keystore import Role
from vault.crypto.primitives import sha256
from vault.errors import InputError, RefusedError
from vault.genotypes.catalog import datasets, panels, parts
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.panels import Panel
from vault.genotypes.loci import Locus
from vault.genotypes.panel_loci import LocusIndex
from vault.genotypes.store.selections import PanelLoci, Selection
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault

UNINFORMED_ROLES = (Role.RESEARCHER, Role.ENGINE, Role.SERVICE)  # they learn that an access was refused and no reason


@dataclass(frozen=True)
class Reissue:
    """A release that is made anew: its id, and the people in it, of whom alone somebody is released."""

    replaces: str
    people: frozenset[SubjectId] = field(repr=False)


@dataclass(frozen=True)
class AccessScope:
    """Project, dataset, and a panel, regions, both as a union, or (neither) the whole dataset.

    ``regions`` holds the positions of ``genes`` too. ``asked``: places of which something must be left to show, for a release; a view may as well be empty.
    """

    project: Project
    dataset: Dataset
    panel: Panel | None
    regions: tuple[str, ...]
    request_id: str | None = None
    asserted_for: str | None = None  # user named by the submitting steward; unverified
    asked: tuple[Interval, ...] = ()
    genes: tuple[str, ...] = ()  # as a request named them
    criteria: str | None = None  # NAME@VERSION of the pack that is asked in place
    readers: tuple[RecipientKey, ...] = ()  # whom an extract is sealed for; empty: in the clear
    reissue: Reissue | None = None
    stopped: frozenset[SubjectId] | None = field(default=None, repr=False)  # the people of an extract that goes on

    def selection(self) -> Selection:
        """Selection of the sites to read."""
        if not self.regions:
            return Selection() if self.panel is None else Selection(panel=PanelLoci(self.panel.panel_id, self.panel.index))
        intervals = asked_regions.read_regions(self.regions).intervals
        if self.panel is None:
            return Selection(regions=intervals)
        union = LocusIndex([*self.panel.loci, *(Locus(place, is_region=True) for place in intervals)])
        # Read from the chunks: under an id of its own no blocks were made for it.
        return Selection(panel=PanelLoci(sha256(self.panel.panel_id + repr(intervals).encode()), union))

    def detail(self) -> dict[str, Any]:
        """Sealed detail of the intent's entry, for auditors."""
        panel = None if self.panel is None else f"{self.panel.name} version {self.panel.version}"
        shown = self.regions[:1000]  # the request holds all of them
        asked = {
            "dataset": self.dataset.name,
            "panel": panel,
            "regions": list(shown),
            "n_regions": len(self.regions),
            "project_version": self.project.version,
        }
        if self.criteria is not None:
            asked["criteria"] = self.criteria
        if self.reissue is not None:
            asked["replaces"] = self.reissue.replaces
        return {**asked, "sealed_for": {key.name: key.fingerprint for key in self.readers}} if self.readers else asked

    def recipient_detail(self) -> dict[str, Any]:
        """Recipients and title, as ``Project.recipient_detail``; of a sealed extract those who can open it."""
        detail = self.project.recipient_detail()
        return {**detail, "recipients": [key.name for key in self.readers]} if self.readers else detail


def scope_of_request(vault: UnlockedVault, request_id: str, *, recipients: Sequence[str] = ()) -> AccessScope:
    """Load the scope of a stored request, to be sealed for the project's recipients, or for these of them.

    Raises:
        InputError, RefusedError, IntegrityError: as ``requests.to_be_served``, ``scope_of_view`` and ``delivery.readers``. RefusedError:
            ``kind_not_served``.
    """
    request = requests.to_be_served(vault, request_id)
    if request.kind is not RequestKind.RECORDS:
        raise RefusedError("kind_not_served", f"this request is for {request.kind.value}", hint="genovault request result")
    spec = request.spec
    if vault.person is not None and vault.principal not in (request.submitted_by, spec.submitted_for):
        raise RefusedError("not_yours", "this request is another person's")
    panel = None if spec.panel is None else panels.by_name(vault, spec.panel, version=spec.panel_version)
    project, dataset = projects.load(vault, request.project), datasets.by_name(vault, request.dataset)
    person = spec.submitted_for if spec.submitted_for and is_handle(spec.submitted_for) else None
    scope = AccessScope(project, dataset, panel, spec.regions, request_id, person, genes=spec.genes)
    _require_open(vault, scope)
    with vault.books.read() as tx:
        readers = delivery.readers(vault, tx, project.declaration, chosen=recipients)
    return replace(_with_asked(vault, scope), readers=readers)


def scope_of_waiting(vault: UnlockedVault, request: Request) -> AccessScope:
    """Load the scope that a request would have if it were approved now. It names no request: none is served by it.

    Raises:
        InputError: ``request_state``: it was denied, withdrawn or has expired. RefusedError, InputError: as ``scope_of_view``.
    """
    if request.state in ENDED:
        raise InputError("request_state", f"request {request.request_id} is {request.state}", hint="genovault request list")
    if request.kind is not RequestKind.RECORDS:
        found = scope_of_counts(
            vault, project=request.project, dataset=request.dataset, kind=request.kind, panel=request.spec.panel, request=request
        )
        return replace(found, request_id=None)
    spec = request.spec
    panel = None if spec.panel is None else panels.by_name(vault, spec.panel, version=spec.panel_version)
    project, dataset = projects.load(vault, request.project), datasets.by_name(vault, request.dataset)
    scope = AccessScope(project, dataset, panel, spec.regions, genes=spec.genes)
    _require_open(vault, scope)
    return _with_asked(vault, scope)


def scope_of_counts(
    vault: UnlockedVault, *, project: str, dataset: str, kind: RequestKind, panel: str | None, request: Request | None = None
) -> AccessScope:
    """Load the scope of a question for counts or presence: of a program, or of a stored request, which is named beside what it says.

    Raises:
        InputError, RefusedError: as ``scope_of_view``.
    """
    version = None if request is None else request.spec.panel_version
    found = None if panel is None else panels.by_name(vault, panel, version=version)
    person = None if request is None else request.spec.submitted_for
    own = None if request is None else request.request_id
    scope = AccessScope(projects.load(vault, project), datasets.by_name(vault, dataset), found, (), own, person)
    _require_open(vault, scope, kind)
    return scope


def scope_of_matching(
    vault: UnlockedVault,
    *,
    project: str,
    dataset: str,
    panel: str,
    criteria: str,
    kinds: Sequence[RequestKind] = (RequestKind.MATCHING,),
) -> AccessScope:
    """Load the scope of a pack that is asked in place of a panel's genotypes. ``kinds``: that the project has to declare.

    Raises:
        InputError, RefusedError: as ``scope_of_view``.
    """
    found, held = panels.by_name(vault, panel), datasets.by_name(vault, dataset)
    scope = AccessScope(projects.load(vault, project), held, found, (), criteria=criteria)
    for kind in kinds:
        _require_open(vault, scope, kind)
    return scope


def scope_of_view(
    vault: UnlockedVault, *, project: str, dataset: str, panel: str | None, regions: tuple[str, ...]
) -> AccessScope:
    """Load the scope of a view that a program asks for.

    Raises:
        InputError: ``project_unknown``, ``dataset_unknown``, ``panel_unknown``; of the regions as ``_require_declared``.
        RefusedError: ``project_not_approved``, ``outside_project``, ``not_of_project``.
    """
    asked_regions.require_form(regions)
    found = None if panel is None else panels.by_name(vault, panel)
    held = datasets.by_name(vault, dataset)
    scope = AccessScope(projects.load(vault, project), held, found, asked_regions.in_positions(vault, held, regions))
    _require_open(vault, scope)
    return scope


def narrowed(vault: UnlockedVault, scope: AccessScope, regions: tuple[str, ...], *, contigs: Sequence[str]) -> AccessScope:
    """The scope of the same view of other regions, of a dataset with ``contigs``.

    Raises:
        InputError: of the regions as ``scope_of_view``.
    """
    asked_regions.require_form(regions)
    found = replace(scope, regions=asked_regions.in_positions(vault, scope.dataset, regions))
    _require_regions(found, lambda: contigs)
    return found


def scope_of_check(
    vault: UnlockedVault, project: Project, dataset: str, *, panel: str | None, regions: tuple[str, ...]
) -> AccessScope:
    """Load the scope that a request to be submitted would have, whatever the project's state.

    Raises:
        InputError: as ``scope_of_view``. RefusedError: ``outside_project``: the declaration does not name the dataset.
    """
    asked_regions.require_form(regions)
    found = None if panel is None else panels.by_name(vault, panel)
    held = datasets.by_name(vault, dataset)
    scope = AccessScope(project, held, found, asked_regions.in_positions(vault, held, regions))
    _require_declared(vault, scope)
    return _with_asked(vault, scope)


def _with_asked(vault: UnlockedVault, scope: AccessScope) -> AccessScope:
    if scope.panel is not None:  # its loci are shown as missing where they are hidden
        return scope
    if scope.regions:
        return replace(scope, asked=asked_regions.read_regions(scope.regions).intervals)
    contigs = sorted(parts.contigs(vault, scope.dataset.dataset_id))
    return replace(scope, asked=tuple(Interval(name, 0, END) for name in contigs))


def _require_open(vault: UnlockedVault, scope: AccessScope, kind: RequestKind = RequestKind.RECORDS) -> None:
    """Refuse a scope that its project does not cover now, or of which an engine or a served person asks that the project does not name.

    Raises:
        RefusedError: ``not_of_project``, ``project_not_approved``. RefusedError, InputError: as ``_require_declared``.
    """
    project = scope.project
    served = vault.role is Role.ENGINE or vault.person is not None
    if served and vault.principal not in project.declaration.purpose.people:
        raise RefusedError("not_of_project", f"project {project.code} does not name {vault.principal} among its people")
    if project.state != projects.APPROVED:
        raise RefusedError("project_not_approved", f"project {project.code} is {project.state}")
    require_kind(project, kind)
    _require_declared(vault, scope)


def require_kind(project: Project, kind: RequestKind = RequestKind.RECORDS) -> None:
    """Refuse a project that does not declare a kind of request. Raises RefusedError ``outside_project``."""
    if kind not in project.declaration.kinds:
        raise RefusedError("outside_project", f"the project does not declare {kind} among its kinds of request")


def _require_declared(vault: UnlockedVault, scope: AccessScope) -> None:
    """Refuse what the project's declaration does not name, and loci that are not of the dataset.

    Raises:
        RefusedError: ``outside_project``.
        InputError: ``panel_unknown``; ``document_rejected``, ``assembly_mismatch``, ``contig_not_held``: of the regions.
    """
    project, dataset, panel = scope.project, scope.dataset, scope.panel
    if dataset.name not in project.declaration.datasets:
        raise RefusedError("outside_project", f"the project does not declare the dataset {dataset.name}")
    if panel is not None and panel.dataset_id != dataset.dataset_id:
        raise InputError("panel_unknown", f"panel {panel.name} is not of this dataset", hint="genovault panel list")
    _require_regions(scope, lambda: parts.contigs(vault, dataset.dataset_id))


def _require_regions(scope: AccessScope, contigs: Callable[[], Sequence[str]]) -> None:
    if scope.regions:
        regions = asked_regions.read_regions(scope.regions)
        asked_regions.require_own(regions, scope.dataset)
        asked_regions.require_present(regions, scope.dataset, contigs())
