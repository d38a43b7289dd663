"""Reads of a panel: views of a panel alone, of everybody or of some people, and what changed since one was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from policies.purposes import PseudonymScope
from vault.access import askable, release_names
from vault.access.scope import AccessScope, scope_of_view
from vault.access.told import told
from vault.audit.actions import Action, Outcome
from vault.audit.bands import banded
from vault.consent import release_decisions
from vault.errors import RefusedError
from vault.gate import decision, views
from vault.ids import SubjectId
from vault.session.moments import moment
from vault.session.unlocked_vault import UnlockedVault
from vault.views.sites_digest import sites_digest
from vault.views.view import View


@dataclass(frozen=True)
class PanelRead:
    """What one read of a panel gave.

    ``view``: of those who were asked for, or everybody. ``sites_id``: digest of its sites, which are those of the whole cohort. ``entry``: number of
    the log's entry. ``people``: digest of everybody permitted, 32 bytes: what a cursor rests on.
    """

    view: View
    sites_id: str
    entry: int
    people: bytes


@dataclass(frozen=True)
class PanelChanges:
    """Difference between the people and sites of an earlier read and those of now, by pseudonyms in no order that tells anything.

    ``sites_changed``: the sites may be others than those of before; a read tells. ``people`` and ``sites_id``: what the next question begins at.
    """

    added: tuple[str, ...]
    dropped: tuple[str, ...]
    sites_changed: bool
    people: bytes
    sites_id: str


def read_panel(
    vault: UnlockedVault, *, project: str, dataset: str, panel: str, pseudonyms: Sequence[str] | None = None
) -> PanelRead:
    """Give the calls of a panel, of everybody permitted or of those of them who are named; whoever is unknown or not permitted is left out.

    Somebody's row is the same whoever else is asked for: sites, masks and the smallest group are of the whole cohort.

    Raises:
        RefusedError, InputError, IntegrityError, UnavailableError: as ``views.view``.
    """
    return told(
        vault,
        lambda: _read(vault, project, dataset, panel, pseudonyms),
        form=lambda: askable.require_names(vault, project, dataset, panel=panel, regions=()),
    )


def changes(
    vault: UnlockedVault, *, project: str, dataset: str, panel: str, since_people: bytes, since_sites: str
) -> PanelChanges:
    """Tell who came and who is to be dropped since a read, by its ``people`` and ``sites_id``. Opens no block.

    Raises:
        RefusedError, InputError, IntegrityError, UnavailableError: as ``read_panel``.
    """
    return told(
        vault,
        lambda: _changes(vault, project, dataset, panel, since_people=since_people, since_sites=since_sites),
        form=lambda: askable.require_names(vault, project, dataset, panel=panel, regions=()),
    )


def _read(vault: UnlockedVault, project: str, dataset: str, panel: str, pseudonyms: Sequence[str] | None) -> PanelRead:
    made, access, outcome = views.made(vault, project, dataset, panel=panel, regions=())
    named = made if pseudonyms is None else _among(made, frozenset(pseudonyms))
    return PanelRead(named, sites_digest(made.sites, made.assembly), outcome.index, access.intent.subject_set)


def _among(view: View, names: frozenset[str]) -> View:
    """Those columns of a view that have one of the names."""
    columns = np.array([at for at, name in enumerate(view.pseudonyms) if name in names], np.int64)
    place = np.full(len(view.pseudonyms), -1, np.int64)
    place[columns] = np.arange(len(columns))
    escapes = view.escapes.take(np.flatnonzero(place[view.escapes.sample] >= 0))
    return replace(
        view,
        pseudonyms=tuple(view.pseudonyms[at] for at in columns.tolist()),
        codes=np.ascontiguousarray(view.codes[:, columns]),
        escapes=replace(escapes, sample=place[escapes.sample]),
    )


def _changes(
    vault: UnlockedVault, project: str, dataset: str, panel: str, *, since_people: bytes, since_sites: str
) -> PanelChanges:
    with vault.trail.attempting(Action.VIEW_CHANGES, project=project):
        scope = scope_of_view(vault, project=project, dataset=dataset, panel=panel, regions=())
        if scope.project.declaration.pseudonyms is PseudonymScope.RELEASE:
            raise RefusedError("names_not_kept", "the project names people anew in each release")
        decision.ready_decision_classes(vault)
        with vault.books.read() as tx:
            when = moment(vault, tx)
            decided = decision.decide(vault, tx, scope, when)
            release_decisions.limits(tx, scope, decided, when)
        before = set(vault.subject_keys.owners_of(vault.trail.log.subjects_of(since_people)))
        now = set(decided.permitted)
        names = _names(vault, scope, sorted(now ^ before))
        people = vault.trail.log.set_of(vault.subject_keys.tokens(decided.permitted))
        added, dropped = (tuple(sorted(names[one] for one in some if names[one])) for some in (now - before, before - now))
        if added or dropped:
            counts = banded({"added": len(added), "dropped": len(dropped)})
            told_of = sorted(now ^ before)
            vault.trail.record(Action.VIEW_CHANGES, Outcome.DONE, subjects=told_of, project=scope.project.code, counts=counts)
    return PanelChanges(added, dropped, since_people != people, people, since_sites)


def _names(vault: UnlockedVault, scope: AccessScope, people: Sequence[SubjectId]) -> dict[SubjectId, str]:
    """Names of people in the project; empty for those whom nobody can name any more."""
    version = release_names.newest_version(vault, scope.project)
    return dict(zip(people, release_names.names_told(vault, scope.project, "", people, version=version), strict=True))
