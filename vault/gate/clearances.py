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
from datetime import datetime
from typing import Any

from vault.access import holdings, read_terms, release_names
from vault.access.disclosure import released_sites
from vault.access.read_terms import ReadTerms
from vault.access.release_limits import ReleaseLimits
from vault.access.scope import AccessScope, scope_of_view
from vault.audit.actions import Action, Outcome
from vault.audit.bands import banded
from vault.audit.entry import ObjectRef, Prepared
from vault.audit.guarded_entries import Then
from vault.audit.log import Appended
from vault.consent import cohort_decisions, release_decisions
from vault.consent.cohort_decisions import Decided
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.errors import RefusedError
from vault.gate import blocks, decision
from vault.gate.blocks import OpenPanel
from vault.gate.guards import ClearanceGuard, Marks
from vault.genotypes.catalog import declared_assays
from vault.ids import AuditToken
from vault.session.caches import Cache
from vault.session.moments import Moment, moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.views.sites_digest import sites_digest
from vault.views.view import View

TRIES = 4  # to decide on what stands still
MOST = 64  # clearances kept
MOST_PEOPLE = 250_000  # whose keys are kept, of all settled panels together
_SETTLED_ON = ("dataset", "part", "personal_part", "erasure", "erasing_chunk")  # collections that the calls of a view rest on

_Key = tuple[str, str, str, str, str]  # principal, role, project, dataset, panel


@dataclass(frozen=True)
class _DecidedOn:
    """A decision, and what it was made on."""

    decided: Decided
    limits: ReleaseLimits
    marks: Marks
    when: Moment
    until: datetime | None
    names: int
    people: bytes  # digest of everybody permitted, as entries name them


@dataclass(eq=False, repr=False)
class Clearance:
    """A frozen decision for one principal, with the panel that was opened for it. ``tokens``: of the people in the order of the view;
    ``held``: columns that the principal's holding has already, under these terms.
    """

    scope: AccessScope
    on: _DecidedOn
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
        tokens = self.tokens if columns is None else [self.tokens[at] for at in columns]
        counts = {"subjects": len(tokens), "sites": len(self.panel.sites.sites)}
        detail = {**self._said, "counts": counts}
        return vault.trail.prepare(
            Action.VIEW_READ, Outcome.DONE, tokens=tokens, counts=banded(counts), detail=detail, **self._fields
        )

    def then(self, vault: UnlockedVault, columns: Sequence[int] | None) -> Then | None:
        """What is written with the entry: who is new to the principal's holding; None for nobody."""
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
            on = _decide(vault, tx, scope)
        basis = _basis(scope, on)
        _let_go(vault, on.marks)
        panel = vault.caches.get(_PANELS).get(basis, (None, None))[1]
        if panel is None:
            settled, view = _settle(vault, scope)
            continue
        if not _charged(vault, scope, on, panel):
            continue
        return _cleared(vault, scope, on, panel), view if basis == settled else None
    raise RefusedError("consent_changed", "what decides changed again and again while the view was made", hint="ask again")


def _decide(vault: UnlockedVault, tx: Transaction, scope: AccessScope) -> _DecidedOn:
    when = moment(vault, tx)
    decided = decision.decide(vault, tx, scope, when)
    limits = release_decisions.limits(tx, scope, decided, when)
    ends = cohort_decisions.holds_until(vault, tx, decided, legal_at=when.at), scope.project.declaration.expires
    until = min((end for end in ends if end is not None), default=None)
    names, people = release_names.newest_version(vault, scope.project), vault.subject_keys.tokens(decided.permitted)
    return _DecidedOn(decided, limits, vault.books.marks(tx), when, until, names, vault.trail.log.set_of(people))


def _basis(scope: AccessScope, on: _DecidedOn) -> bytes:
    """Digest of what settles a panel's view, 32 bytes: project, panel, names, people, what is hidden, and what the calls are read from."""
    names = [*_SETTLED_ON, *(["linkage_decision"] if on.limits.rules.linkage is not None else [])]
    marks = [on.marks.get(name, (0, b"")) for name in names]
    hidden = repr((on.limits.hidden.masks, on.limits.hidden.only, on.limits.excluded, on.limits.rules)).encode()
    own = scope.project.project_id, scope.dataset.dataset_id, b"" if scope.panel is None else scope.panel.panel_id
    people = sha256(b"".join(on.decided.permitted))
    return sha256(
        encode_context("genovault/settled-panel/v1", *own, on.names, people, sha256(hidden), *(m for one in marks for m in one))
    )


def _let_go(vault: UnlockedVault, marks: Marks) -> None:
    """Let go of everything that was settled before an erasure, or another change of what holds people's calls."""
    panels = vault.caches.get(_PANELS)
    gone = [basis for basis, (then, _) in panels.items() if any(then.get(name) != marks.get(name) for name in _SETTLED_ON)]
    for basis in gone:
        _, panel = panels.pop(basis)
        kept = vault.caches.get(_KEPT)
        for key in [key for key, one in kept.items() if one.panel is panel]:
            drop(vault, key)


def _settle(vault: UnlockedVault, scope: AccessScope) -> tuple[bytes, View]:
    """Open everybody's blocks behind an intent, settle what the view shows, and charge it; the basis, and the view."""
    code, panel_id = scope.project.code, b"" if scope.panel is None else scope.panel.panel_id
    about = ObjectRef("panel", panel_id.hex())
    with vault.trail.attempting(Action.PANEL_SETTLE, project=code) as attempt:
        with vault.books.write() as tx:
            on = _decide(vault, tx, scope)
            decided = on.decided
            fields = decision.decision_fields(decided.tally, decided.head, scope.detail())
            intent = vault.trail.append(
                tx,
                Action.PANEL_SETTLE,
                Outcome.INTENT,
                subjects=list(decided.permitted),
                project=code,
                obj=about,
                flags=on.when.flags,
                **fields,
            )
            attempt.intent = intent.event_id
        under = release_names.naming(vault, scope.project, "")
        names = dict(zip(decided.permitted, release_names.names(vault, under, decided.permitted), strict=True))
        panel, view = blocks.settle_panel(vault, scope, on.limits, decided, names)
        with vault.books.write() as tx:
            left = _charge(vault, tx, scope, on, panel)
            counts = {"subjects": len(decided.permitted), "sites": len(view.sites)}
            detail = {"counts": counts, "bits": {"cumulative": -(-left // 1000)}}
            vault.trail.append(
                tx,
                Action.PANEL_SETTLE,
                Outcome.DONE,
                refers=intent.event_id,
                project=code,
                obj=about,
                counts=banded(counts),
                detail=detail,
            )
    basis = _basis(scope, on)
    panels = vault.caches.get(_PANELS)
    panels[basis] = on.marks, panel
    while len(panels) > 1 and sum(len(one.names) for _, one in panels.values()) > MOST_PEOPLE:
        panels.popitem(last=False)
    return basis, view


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


def _limits(scope: AccessScope, on: _DecidedOn) -> tuple[int | None, ...]:
    return scope.project.declaration.disclosure.max_bits, on.decided.obligations.max_bits


def _charge(vault: UnlockedVault, tx: Transaction, scope: AccessScope, on: _DecidedOn, panel: OpenPanel) -> int:
    dataset_id, own = scope.dataset.dataset_id, f"rdp-{sha256(_basis(scope, on))[:8].hex()}"
    return released_sites.charge(
        vault, tx, scope.project, panel.bits, release_id=own, dataset_id=dataset_id, limits=_limits(scope, on)
    )


def _charged(vault: UnlockedVault, scope: AccessScope, on: _DecidedOn, panel: OpenPanel) -> bool:
    """True if everything that the view tells is charged, and may leave; else charge it, which changes what the decision rests on.

    Raises:
        RefusedError: ``too_many_bits``.
    """
    with vault.books.read() as tx:
        if not released_sites.adds(vault, tx, scope.project, panel.bits, limits=_limits(scope, on)):
            return True
    with vault.books.write() as tx:
        _charge(vault, tx, scope, on, panel)
    return False


def _cleared(vault: UnlockedVault, scope: AccessScope, on: _DecidedOn, panel: OpenPanel) -> Clearance:
    people = on.decided.permitted
    under = release_names.naming(vault, scope.project, "")
    own = dict(zip(release_names.names(vault, under, people), people, strict=True))
    token_of = vault.subject_keys.token_of_each(people)
    tokens = [token_of[own[name]] for name in panel.names]
    panel_id = b"" if scope.panel is None else scope.panel.panel_id
    asked = {**scope.detail(), "profile": on.limits.rules.profile, "profile_sha256": on.limits.rules.sha256}
    terms = read_terms.of(scope, panel_id, names=on.names, asked=asked, obligations=on.decided.obligations.as_dict())
    guard = ClearanceGuard(vault, marks=on.marks, head=on.decided.head, people=frozenset(people), made=on.when.at, until=on.until)
    sites = sites_digest(panel.sites.sites, panel.sites.assembly)
    rows = rows_digest(vault, scope, on.decided, on.limits)
    found = Clearance(scope, on, panel, sites, guard, terms, tokens, on.people, rows)
    found.held = _held(vault, terms, tokens)
    return found


def _held(vault: UnlockedVault, terms: ReadTerms, tokens: Sequence[AuditToken]) -> set[int]:
    """Columns of those whom the principal's holding has already."""
    with vault.books.read() as tx:
        own = {"project_id": terms.project_id, "holder": vault.principal, "panel_id": terms.panel_id, "names": terms.names}
        sets = holdings.sets_of(tx, **own)  # type: ignore[arg-type]
    known = {token for digest in sets for token in vault.trail.log.subjects_of(digest)}
    return {at for at, token in enumerate(tokens) if token in known}
