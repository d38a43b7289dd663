"""Reads of a panel: views of a panel alone, of everybody or of some people, and what changed since one was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from policies.purposes import PseudonymScope
from vault.access import askable, release_names
from vault.access.release_limits import ReleaseLimits
from vault.access.scope import AccessScope, scope_of_view
from vault.access.told import told
from vault.audit.actions import Action, Outcome
from vault.audit.bands import banded
from vault.consent import release_decisions
from vault.consent.cohort_decisions import Decided
from vault.crypto.primitives import sha256
from vault.errors import RefusedError
from vault.gate import decision, views
from vault.genotypes.catalog import declared_assays
from vault.ids import AuditToken, SubjectId
from vault.session.moments import moment
from vault.session.unlocked_vault import UnlockedVault
from vault.views.sites_digest import sites_digest
from vault.views.view import View


@dataclass(frozen=True)
class PanelRead:
    """What one read of a panel gave.

    ``view``: of those who were asked for, or everybody. ``sites_id``: digest of its sites, which are those of the whole cohort. ``entry``: number of
    the log's entry. ``people``: digest of everybody permitted, 32 bytes, whose set the log keeps; ``rows``: digest of what settles somebody's row,
    whoever else is there (``rows_digest``). Both are what a cursor rests on.
    """

    view: View
    sites_id: str
    entry: int
    people: bytes
    rows: str


@dataclass(frozen=True)
class PanelChanges:
    """Difference between the people and sites of an earlier read and those of now, by pseudonyms in no order that tells anything.

    ``sites_changed``: the sites, or rows of people who stay, may be others than those of before; a read tells. ``people``: sets that the log keeps, whose
    symmetric difference is everybody permitted now: what the next question begins at, with ``rows``.
    """

    added: tuple[str, ...]
    dropped: tuple[str, ...]
    sites_changed: bool
    people: tuple[bytes, ...]
    rows: str


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
    vault: UnlockedVault, *, project: str, dataset: str, panel: str, since_people: Sequence[bytes], since_rows: str
) -> PanelChanges:
    """Tell who came and who is to be dropped since a read, by its ``people`` and ``rows``, or since earlier changes. Opens no block.

    What is told is an entry that names those of whom it is told.

    Raises:
        RefusedError, InputError, IntegrityError, UnavailableError: as ``read_panel``.
    """
    return told(
        vault,
        lambda: _changes(vault, project, dataset, panel, since_people=since_people, since_rows=since_rows),
        form=lambda: askable.require_names(vault, project, dataset, panel=panel, regions=()),
    )


def _read(vault: UnlockedVault, project: str, dataset: str, panel: str, pseudonyms: Sequence[str] | None) -> PanelRead:
    made, access, outcome = views.made(vault, project, dataset, panel=panel, regions=())
    named = made if pseudonyms is None else _among(made, frozenset(pseudonyms))
    rows = rows_digest(vault, access.scope, access.decided, access.limits)
    return PanelRead(named, sites_digest(made.sites, made.assembly), outcome.index, access.intent.subject_set, rows)


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
    vault: UnlockedVault, project: str, dataset: str, panel: str, *, since_people: Sequence[bytes], since_rows: str
) -> PanelChanges:
    with vault.trail.attempting(Action.VIEW_CHANGES, project=project):
        scope = scope_of_view(vault, project=project, dataset=dataset, panel=panel, regions=())
        if scope.project.declaration.pseudonyms is PseudonymScope.RELEASE:
            raise RefusedError("names_not_kept", "the project names people anew in each release")
        decision.ready_decision_classes(vault)
        with vault.books.read() as tx:
            when = moment(vault, tx)
            decided = decision.decide(vault, tx, scope, when)
            limits = release_decisions.limits(tx, scope, decided, when)
        rows = rows_digest(vault, scope, decided, limits)
        tokens: set[AuditToken] = set()
        for digest in since_people:
            tokens ^= set(vault.trail.log.subjects_of(digest))
        before = set(vault.subject_keys.owners_of(sorted(tokens)))
        now = set(decided.permitted)
        told_of = sorted(now ^ before)
        names = _names(vault, scope, told_of)
        added, dropped = (tuple(sorted(names[one] for one in some if names[one])) for some in (now - before, before - now))
        people = tuple(since_people)
        if told_of:
            counts = banded({"added": len(added), "dropped": len(dropped)})
            entry = vault.trail.record(
                Action.VIEW_CHANGES, Outcome.DONE, subjects=told_of, project=scope.project.code, counts=counts
            )
            people = (*people, entry.subject_set)
    return PanelChanges(added, dropped, bool(told_of) or since_rows != rows, people, rows)


def rows_digest(vault: UnlockedVault, scope: AccessScope, decided: Decided, limits: ReleaseLimits) -> str:
    """Digest in hex of what settles the calls that a panel shows of somebody permitted, whoever else is: panel, parts, masks, rules."""
    assayed = declared_assays.of_dataset(vault, scope.dataset.dataset_id)
    panel, hidden = scope.panel, limits.hidden
    said = (
        f"{scope.project.project_id.hex()} {scope.dataset.dataset_id.hex()} {scope.dataset.assembly}",
        "" if panel is None else f"{panel.panel_id.hex()} {panel.version}",
        "".join(sorted(part.hex() for part in decided.members.parts)),
        repr(sorted(decided.obligations.as_dict().items())),
        repr((hidden.masks, hidden.only, hidden.assembly, limits.rules)),
        f"{assayed.everything} {assayed.text()}",
    )
    return sha256(b"".join(sha256(one.encode()) for one in said)).hex()


def _names(vault: UnlockedVault, scope: AccessScope, people: Sequence[SubjectId]) -> dict[SubjectId, str]:
    """Names of people in the project; empty for those whom nobody can name any more."""
    version = release_names.newest_version(vault, scope.project)
    return dict(zip(people, release_names.names_told(vault, scope.project, "", people, version=version), strict=True))
