"""Reads of a panel: views of a panel alone, of everybody or of some people, and what changed since one was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from policies.purposes import PseudonymScope
from vault.access import askable, projects, publication, release_names
from vault.access.scope import AccessScope, scope_of_view
from vault.access.told import told
from vault.audit.actions import Action, Outcome
from vault.audit.bands import banded
from vault.audit.entry import Prepared, is_handle
from vault.audit.guarded_entries import Guard, Then
from vault.audit.log import Appended
from vault.consent import release_decisions
from vault.errors import GenovaultError, RefusedError, UnavailableError
from vault.gate import clearances, decision, views
from vault.gate.clearances import TRIES, Clearance
from vault.gate.guards import AFRESH, INDIFFERENT, STALE
from vault.gate.settling import rows_digest
from vault.ids import SubjectId
from vault.session.moments import moment
from vault.session.unlocked_vault import UnlockedVault
from vault.views.settled_sites import columns_of
from vault.views.sites_digest import sites_digest
from vault.views.view import View


@dataclass(frozen=True)
class PanelRead:
    """Answer of one read of a panel.

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

    ``sites_changed``: the sites, or rows of people who stay, may be others than those of before; a read tells. ``unnamed``: somebody is to be dropped
    whom nothing can name any more, so that everybody's rows are to be replaced. ``people``: sets that the log keeps, whose symmetric difference is
    everybody permitted now: what the next question begins at, with ``rows``; ``now``: digest of everybody permitted.
    """

    added: tuple[str, ...]
    dropped: tuple[str, ...]
    sites_changed: bool
    unnamed: bool
    people: tuple[bytes, ...]
    now: bytes
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


class ReadWatch:
    """Looks, while a read is being sent, whether all in it may still be given: anew where anything that decides has changed, or a minute has passed."""

    def __init__(self, read: PanelRead, *, project: str, dataset: str, panel: str) -> None:
        self._read, self._place = read, {"project": project, "dataset": dataset, "panel": panel}
        self._seen: tuple[bytes, datetime] | None = None

    def require(self, vault: UnlockedVault) -> None:
        """Opens no block; a refusal is an entry.

        Raises:
            RefusedError: ``consent_changed``: somebody in it left, or their rows are others now; and, as the errors below, what ``read_panel`` raises.
            InputError, IntegrityError, UnavailableError.
        """
        state, now = vault.books.state(), vault.clock()
        if self._seen is not None and self._seen[0] == state and now < self._seen[1]:
            return
        _require_still(vault, **self._place, read=self._read)
        self._seen = None if state is None else (state, now + AFRESH)


def _require_still(vault: UnlockedVault, *, project: str, dataset: str, panel: str, read: PanelRead) -> None:
    known = clearances.cached(vault, project=project, dataset=dataset, panel=panel)
    if known is not None and (known.people, known.rows) == (read.people, read.rows) and _stands(vault, known):
        return
    with vault.trail.attempting(Action.VIEW_READ, project=_handle(project)):
        scope = scope_of_view(vault, project=project, dataset=dataset, panel=panel, regions=())
        decision.ready_decision_classes(vault)
        with vault.books.read() as tx:
            when = moment(vault, tx)
            decided = decision.decide(vault, tx, scope, when)
            limits = release_decisions.limits(tx, scope, decided, when)
        before, lost = _people_of(vault, (read.people,))
        left = sorted(before - set(decided.permitted))
        names, shown = set(_names(vault, scope, left).values()), set(read.view.pseudonyms)
        anew = bool(left) and scope.project.declaration.pseudonyms is PseudonymScope.RELEASE  # names of the read are others
        if lost or anew or "" in names or not shown.isdisjoint(names) or rows_digest(vault, scope, decided, limits) != read.rows:
            raise RefusedError("consent_changed", "what this read was of has changed while it was sent", hint="ask again")


@dataclass(frozen=True)
class GuardedRead:
    """A read that is cleared, and not logged yet: its entry, what that rests on, and what is written with it (``guarded_entries``)."""

    vault: UnlockedVault
    clearance: Clearance
    columns: Sequence[int] | None
    entry: Prepared
    then: Then | None

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Conditions that have to hold in the transaction that appends the entry."""
        return (self.clearance.guard,)

    def given(self, appended: Appended, view: View | None = None) -> PanelRead:
        """Open the blocks, once the entry is durable. ``view``: of everybody, where it was settled for this read.

        Raises:
            IntegrityError, UnavailableError: as ``OpenPanel.view``; that it failed is another entry.
        """
        self.clearance.noted(self.columns)
        panel = self.clearance.panel
        try:
            shown = view if view is not None and self.columns is None else panel.view(self.columns)
        except BaseException:
            clearances.drop_panel(self.vault, self.clearance)
            raise
        one = self.clearance
        return PanelRead(shown, one.sites_id, appended.index, one.people, one.rows)

    def failed(self, appended: Appended, error: GenovaultError) -> None:
        """Say that no answer came about."""
        reasons = {error.code: 1}
        self.vault.trail.record(
            Action.VIEW_READ,
            Outcome.FAILED,
            refers=appended.event_id,
            project=self.clearance.scope.project.code,
            reasons=reasons,
        )


def tidy(vault: UnlockedVault) -> None:
    """Let go of the clearances that hold no more, and of what was opened for them. Raises UnavailableError as a read of the books."""
    clearances.tidy(vault)


def cleared_read(
    vault: UnlockedVault, *, project: str, dataset: str, panel: str, pseudonyms: Sequence[str] | None = None
) -> GuardedRead | None:
    """A read under a clearance that is kept, to be logged by whoever asks; None where there is none, and ``read_panel`` makes one."""
    found = clearances.cached(vault, project=project, dataset=dataset, panel=panel)
    return None if found is None else _ready(vault, found, pseudonyms)


def _ready(vault: UnlockedVault, clearance: Clearance, pseudonyms: Sequence[str] | None) -> GuardedRead:
    columns = clearance.columns(pseudonyms)
    return GuardedRead(vault, clearance, columns, clearance.entry(vault, columns), clearance.then(vault, columns))


def _read(vault: UnlockedVault, project: str, dataset: str, panel: str, pseudonyms: Sequence[str] | None) -> PanelRead:
    with vault.trail.attempting(Action.VIEW_READ, project=_handle(project)) as attempt:
        known = clearances.cached(vault, project=project, dataset=dataset, panel=panel)
        if known is None and not _guarded(vault, project):
            return _by_release(vault, project, dataset, panel, pseudonyms)
        for _ in range(TRIES):
            clearance, view = clearances.current(vault, project=project, dataset=dataset, panel=panel)
            ready = _ready(vault, clearance, pseudonyms)
            try:
                appended = vault.trail.record_guarded(ready.entry, guards=ready.guards, then=ready.then)
            except UnavailableError as error:
                if error.code != STALE:
                    raise
                continue  # what is decided now says why, if it refuses
            attempt.intent = appended.event_id
            read = ready.given(appended, view)
            return read if vault.person is not None or not vault.trail.signs else _with_receipt(vault, read)
        raise RefusedError("consent_changed", "what decides changed again and again while the view was made", hint="ask again")


def _with_receipt(vault: UnlockedVault, read: PanelRead) -> PanelRead:
    return replace(read, view=replace(read.view, receipt=publication.receive(vault, read.entry)))


def _guarded(vault: UnlockedVault, project: str) -> bool:
    """False where each read is a release: it names people anew, or nothing in the books says what changed."""
    return vault.books.upgraded and projects.load(vault, project).declaration.pseudonyms is not PseudonymScope.RELEASE


def _handle(project: str) -> str | None:
    return project if is_handle(project) else None


def _by_release(vault: UnlockedVault, project: str, dataset: str, panel: str, pseudonyms: Sequence[str] | None) -> PanelRead:
    """A read as a view that is a release, of which those who are named are shown."""
    made, access, outcome = views.made(vault, project, dataset, panel=panel, regions=())
    named = made if pseudonyms is None else _among(made, frozenset(pseudonyms))
    rows = rows_digest(vault, access.scope, access.decided, access.limits)
    return PanelRead(named, sites_digest(made.sites, made.assembly), outcome.index, access.intent.subject_set, rows)


def _among(view: View, names: frozenset[str]) -> View:
    """Those columns of a view that have one of the names."""
    columns = np.array([at for at, name in enumerate(view.pseudonyms) if name in names], np.int64)
    codes, escapes = columns_of(view.codes, view.escapes, columns)
    return replace(view, pseudonyms=tuple(view.pseudonyms[at] for at in columns.tolist()), codes=codes, escapes=escapes)


def _changes(
    vault: UnlockedVault, project: str, dataset: str, panel: str, *, since_people: Sequence[bytes], since_rows: str
) -> PanelChanges:
    with vault.trail.attempting(Action.VIEW_CHANGES, project=project):
        known = clearances.cached(vault, project=project, dataset=dataset, panel=panel)
        if known is not None and (tuple(since_people), since_rows) == ((known.people,), known.rows) and _stands(vault, known):
            return PanelChanges((), (), False, False, (known.people,), known.people, known.rows)
        scope = scope_of_view(vault, project=project, dataset=dataset, panel=panel, regions=())
        if scope.project.declaration.pseudonyms is PseudonymScope.RELEASE:
            raise RefusedError("names_not_kept", "the project names people anew in each release")
        decision.ready_decision_classes(vault)
        with vault.books.read() as tx:
            when = moment(vault, tx)
            decided = decision.decide(vault, tx, scope, when)
            limits = release_decisions.limits(tx, scope, decided, when)
        rows = rows_digest(vault, scope, decided, limits)
        before, lost = _people_of(vault, since_people)
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
        unnamed = lost or not all(names.values())
        digest = vault.trail.log.set_of(vault.subject_keys.tokens(decided.permitted))
    return PanelChanges(added, dropped, bool(told_of) or unnamed or since_rows != rows, unnamed, people, digest, rows)


def _stands(vault: UnlockedVault, known: Clearance) -> bool:
    """True if nothing of what a clearance rests on has changed. Raises IntegrityError as ``AuthenticBooks.marks``."""
    with vault.books.read() as tx:
        now, then, in_time = vault.books.marks(tx), known.on.marks, known.guard.in_time(tx)
    changed = {name for name in now.keys() | then.keys() if now.get(name) != then.get(name)}
    return bool(now) and in_time and changed <= INDIFFERENT


def _people_of(vault: UnlockedVault, sets: Sequence[bytes]) -> tuple[set[SubjectId], bool]:
    """Symmetric difference of sets that the log keeps; and True if somebody of them was erased, whom nothing can name any more."""
    people: set[SubjectId] = set()
    lost = False
    for digest in sets:
        tokens = vault.trail.log.subjects_of(digest)
        owners = set(vault.subject_keys.owners_of(tokens))
        lost = lost or len(owners) < len(tokens)
        people ^= owners
    return people, lost


def _names(vault: UnlockedVault, scope: AccessScope, people: Sequence[SubjectId]) -> dict[SubjectId, str]:
    """Names of people in the project; empty for those whom nobody can name any more."""
    version = release_names.newest_version(vault, scope.project)
    return dict(zip(people, release_names.names_told(vault, scope.project, "", people, version=version), strict=True))
