"""Clearances: decisions on a panel's view that are kept, with what was settled and opened for them, and used again while their guard holds.

The decision is that of every access (``decision``), by principal, project and panel. What a cohort's view shows is settled once, on everybody's
calls, behind an intent of its own (``panel.settle``) and charged then; it is kept as long as people, parts, names and masks are the same. What is
kept holds keys of people: whatever concerns one of them, or an erasure of anybody, lets go of it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from vault.access import holdings, read_terms
from vault.access.read_terms import ReadTerms
from vault.access.scope import AccessScope, scope_of_view
from vault.audit.actions import Action, Outcome
from vault.audit.bands import banded
from vault.audit.entry import ObjectRef, Prepared
from vault.audit.guarded_entries import Then
from vault.audit.log import Appended
from vault.audit.log_head import read_head
from vault.errors import RefusedError, UnavailableError
from vault.gate import decision, frozen_decisions
from vault.gate.blocks import OpenPanel
from vault.gate.guards import ClearanceGuard, Marks
from vault.gate.settling import SETTLED_ON, DecidedOn, basis_of, charged, decide, rows_digest, settle
from vault.ids import AuditToken
from vault.session.caches import Cache
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.views.sites_digest import sites_digest
from vault.views.view import View

TRIES = 4  # to decide on what stands still
MOST = 64  # clearances kept
MOST_PEOPLE = 250_000  # whose keys are kept, of all settled panels together

_Key = tuple[str, str, str, str, str]  # principal, role, project, dataset, panel


@dataclass(eq=False, repr=False)
class Clearance:
    """A frozen decision for one principal, with the panel that was opened for it. ``tokens``: of the people in the order of the view;
    ``held``: columns that the principal's holding has already, under these terms.
    """

    scope: AccessScope
    on: DecidedOn
    panel: OpenPanel
    sites_id: str
    guard: ClearanceGuard
    terms: ReadTerms
    tokens: Sequence[AuditToken]
    people: bytes
    rows: str
    held: set[int] = field(default_factory=set)
    kept: bool = False  # the terms are in the books

    def __post_init__(self) -> None:
        self.column = {name: at for at, name in enumerate(self.panel.names)}
        self._sorted = sorted(self.tokens)  # as entries name them
        said = {**self.terms.asked, **self.scope.recipient_detail(), "obligations": sorted(self.on.decided.obligations.names())}
        bits = self.panel.bits
        self._said: dict[str, Any] = {**said, "bits": {"mean": round(bits.mean), "largest": round(bits.largest)}}
        self._fields: dict[str, Any] = {
            "project": self.scope.project.code,
            "purpose": ",".join(self.scope.project.declaration.purpose.use_kinds),
            "obj": ObjectRef(read_terms.KIND, self.terms.terms_id),
            "flags": self.on.when.flags,
            "consent": self.on.decided.head.entry(),
        }

    def columns(self, pseudonyms: Sequence[str] | None) -> list[int] | None:
        """Places in the view of those who are named, in its order; None for everybody."""
        if pseudonyms is None:
            return None
        return sorted({at for name in pseudonyms if (at := self.column.get(name)) is not None})  # type: ignore[call-overload]

    def entry(self, vault: UnlockedVault, columns: Sequence[int] | None) -> Prepared:
        """The entry of a read of some people, or of everybody."""
        tokens = self._sorted if columns is None else [self.tokens[at] for at in columns]
        counts = {"subjects": len(tokens), "sites": len(self.panel.sites.sites)}
        detail = {**self._said, "counts": counts}
        return vault.trail.prepare(
            Action.VIEW_READ, Outcome.DONE, tokens=tokens, counts=banded(counts), detail=detail, **self._fields
        )

    def then(self, vault: UnlockedVault, columns: Sequence[int] | None) -> Then | None:
        """Rows written with the entry, for those new to the principal's holding; None for nobody."""
        mine = range(len(self.tokens)) if columns is None else columns
        if not len(mine) or (self.kept and self.held.issuperset(mine)):
            return None

        def note(tx: Transaction, read: Appended) -> None:
            holdings.note_read(tx, vault, self.terms, read)

        return note

    def noted(self, columns: Sequence[int] | None) -> None:
        """Remember what ``then`` has written, once it is durable."""
        mine = range(len(self.tokens)) if columns is None else columns
        if len(mine):
            self.kept = True
            self.held.update(mine)


_KEPT: Cache[OrderedDict[_Key, Clearance]] = Cache(OrderedDict)
_PANELS: Cache[OrderedDict[bytes, tuple[Marks, OpenPanel]]] = Cache(OrderedDict)
_LOCK: Cache[threading.RLock] = Cache(threading.RLock)


def cached(vault: UnlockedVault, *, project: str, dataset: str, panel: str) -> Clearance | None:
    """The clearance that is kept for whoever acts; None where there is none, or it is to be made anew."""
    found = vault.caches.get(_KEPT).get(_key(vault, project, dataset, panel))
    return None if found is None or found.guard.expired else found


def current(vault: UnlockedVault, *, project: str, dataset: str, panel: str) -> tuple[Clearance, View | None]:
    """A clearance for whoever acts, kept or made now, and the view of everybody where it was settled just now.

    Raises:
        RefusedError, InputError, IntegrityError: as ``scope_of_view``, ``decision.decide`` and ``release_limits.limits``; ``too_many_bits``.
        UnavailableError: the log, or a store.
    """
    with vault.caches.get(_LOCK):
        found = cached(vault, project=project, dataset=dataset, panel=panel)
        if found is not None:
            return found, None
        drop(vault, _key(vault, project, dataset, panel))
        made, view = _made(vault, scope_of_view(vault, project=project, dataset=dataset, panel=panel, regions=()))
        kept = vault.caches.get(_KEPT)
        kept[_key(vault, project, dataset, panel)] = made
        while len(kept) > MOST:
            kept.popitem(last=False)
        return made, view


def tidy(vault: UnlockedVault) -> None:
    """Let go of clearances that hold no more, and of what was opened for nobody's clearance any more."""
    frozen_decisions.tidy(vault)
    kept = vault.caches.get(_KEPT)
    if not kept and not vault.caches.get(_PANELS):
        return
    with vault.caches.get(_LOCK):
        with vault.books.unwatched.read() as tx:
            head = read_head(tx)
            for key, one in list(kept.items()):
                try:
                    one.guard.check(tx, head)
                except UnavailableError:
                    drop(vault, key)
        used = {id(one.panel) for one in kept.values()}
        panels = vault.caches.get(_PANELS)
        for basis in [basis for basis, (_, panel) in panels.items() if id(panel) not in used]:
            del panels[basis]


def drop(vault: UnlockedVault, key: _Key) -> None:
    """Let go of a clearance; absent is fine."""
    found = vault.caches.get(_KEPT).pop(key, None)
    if found is not None:
        found.guard.dropped = True


def drop_panel(vault: UnlockedVault, clearance: Clearance) -> None:
    """Let go of a clearance whose blocks could not be read, and of what was settled for it."""
    with vault.caches.get(_LOCK):
        clearance.guard.dropped = True
        panels = vault.caches.get(_PANELS)
        for basis in [basis for basis, (_, one) in panels.items() if one is clearance.panel]:
            del panels[basis]


def _key(vault: UnlockedVault, project: str, dataset: str, panel: str) -> _Key:
    return vault.principal, vault.role.value, project, dataset, panel


def _made(vault: UnlockedVault, scope: AccessScope) -> tuple[Clearance, View | None]:
    view: View | None = None
    settled: bytes | None = None
    for _ in range(TRIES):
        decision.ready_decision_classes(vault)
        with vault.books.read() as tx:
            on = decide(vault, tx, scope)
        basis = basis_of(scope, on)
        _let_go(vault, on.marks)
        panel = vault.caches.get(_PANELS).get(basis, (None, None))[1]
        if panel is None:
            settled_on, panel, view = settle(vault, scope)
            settled = basis_of(scope, settled_on)
            _keep(vault, settled, settled_on.marks, panel)
            continue
        if not charged(vault, scope, on, panel):
            continue
        return _cleared(vault, scope, on, panel), view if basis == settled else None
    raise RefusedError("consent_changed", "what decides changed again and again while the view was made", hint="ask again")


def _keep(vault: UnlockedVault, basis: bytes, marks: Marks, panel: OpenPanel) -> None:
    panels = vault.caches.get(_PANELS)
    panels[basis] = marks, panel
    while len(panels) > 1 and sum(len(one.names) for _, one in panels.values()) > MOST_PEOPLE:
        panels.popitem(last=False)


def _let_go(vault: UnlockedVault, marks: Marks) -> None:
    """Let go of everything that was settled before an erasure, or another change of what holds people's calls."""
    panels = vault.caches.get(_PANELS)
    gone = [basis for basis, (then, _) in panels.items() if any(then.get(name) != marks.get(name) for name in SETTLED_ON)]
    for basis in gone:
        _, panel = panels.pop(basis)
        kept = vault.caches.get(_KEPT)
        for key in [key for key, one in kept.items() if one.panel is panel]:
            drop(vault, key)


def _cleared(vault: UnlockedVault, scope: AccessScope, on: DecidedOn, panel: OpenPanel) -> Clearance:
    people = on.decided.permitted
    token_of = vault.subject_keys.token_of_each(people)
    tokens = [token_of[one] for one in panel.people]
    panel_id = b"" if scope.panel is None else scope.panel.panel_id
    asked = {**scope.detail(), "profile": on.limits.rules.profile, "profile_sha256": on.limits.rules.sha256}
    terms = read_terms.of(scope, panel_id, names=on.names, asked=asked, obligations=on.decided.obligations.as_dict())
    guard = ClearanceGuard(vault, marks=on.marks, head=on.decided.head, people=frozenset(people), made=on.when.at, until=on.until)
    sites = sites_digest(panel.sites.sites, panel.sites.assembly)
    rows = rows_digest(vault, scope, on.decided, on.limits)
    found = Clearance(scope, on, panel, sites, guard, terms, tokens, on.people, rows)
    found.kept, found.held = _held(vault, terms, tokens)
    return found


def _held(vault: UnlockedVault, terms: ReadTerms, tokens: Sequence[AuditToken]) -> tuple[bool, set[int]]:
    """Presence of the terms in the books, and columns of those whom the principal's holding has."""
    with vault.books.read() as tx:
        own = {"project_id": terms.project_id, "holder": vault.principal, "panel_id": terms.panel_id, "names": terms.names}
        sets = holdings.sets_of(tx, **own)  # type: ignore[arg-type]
        kept = bool(read_terms.by_ids(tx, vault, [terms.terms_id]))
    known = vault.trail.log.everybody_in(sets)
    return kept, {at for at, token in enumerate(tokens) if token in known}
