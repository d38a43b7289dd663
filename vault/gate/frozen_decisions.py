"""Decisions that are kept: made once for a program's question, and used again while nothing that they rest on has changed.

    question  who asks (principal, role, in whose name), and what: project, dataset, loci, kind
    decision  made afresh in the transaction of an access, as ever; kept there with what the books' heads were (``guards``)
    again     looked at when the question is asked, whose scope is loaded anew where it does not hold; and in each transaction that rests on it

What is decided is what would be decided anew, to the head of the ledger that an entry names: an event of anybody of the dataset ends it, whomever it
permits. Refusals are never kept. Budgets, tickets, tokens and requests are not part of it: whoever charges or serves them looks them up. What is opened
under a decision (names, openers of people's blocks) is kept with it, and goes with it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from vault.access.release_limits import ReleaseLimits
from vault.access.scope import AccessScope, narrowed, scope_of_view
from vault.consent.cohort_decisions import Decided
from vault.gate import decision
from vault.gate.guards import UNDECIDING, ClearanceGuard, Marks, differing
from vault.genotypes.catalog import parts
from vault.session.caches import Cache
from vault.session.moments import Moment, moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction

MOST = 64  # decisions kept
MOST_PEOPLE = 250_000  # whose keys are kept, of all of them together

T = TypeVar("T")


@dataclass(eq=False, repr=False)
class FrozenDecision:
    """A decision on an access and its limits. ``guard``: None for one that serves this access alone."""

    decided: Decided
    limits: ReleaseLimits
    guard: ClearanceGuard | None = None
    _opened: dict[str, Any] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def holds(self, tx: Transaction, when: Moment) -> bool:
        """True in a transaction that would decide the same."""
        return self.guard is not None and self.guard.holds(tx, when)

    def now(self) -> Decided:
        """The decision, on the ledger's head at which it was last found to hold."""
        head = self.decided.head if self.guard is None else self.guard.head
        return self.decided if head == self.decided.head else replace(self.decided, head=head)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Thing that is made once under the decision and goes with it, by its name."""
        with self._lock:
            if name not in self._opened:
                self._opened[name] = make()
            return cast("T", self._opened[name])

    def drop(self) -> None:
        """Let go of it, and of what was opened under it; who is at work with that ends by a look of their own."""
        if self.guard is not None:
            self.guard.dropped = True
        self._opened = {}


@dataclass(eq=False, repr=False)
class AskedScope:
    """A question on its way to its decision. ``key``: None where nothing is kept; ``marks``: heads of the books before its scope was loaded."""

    scope: AccessScope
    key: tuple[str, ...] | None = None
    marks: Marks = field(default_factory=dict)
    kept: FrozenDecision | None = None

    def decide(self, vault: UnlockedVault, tx: Transaction, when: Moment) -> FrozenDecision:
        """The kept decision where it holds in this transaction; else one that is made now, and kept. Raises as ``decision.with_limits``."""
        if self.kept is not None and self.kept.holds(tx, when):
            return self.kept
        marks = vault.books.marks(tx) if self.key is not None else {}
        decided, limits = decision.with_limits(vault, tx, self.scope, when)
        if self.key is None or not marks or not self.marks or differing(marks, self.marks) - _indifferent(self.scope) - _EVENTS:
            return FrozenDecision(decided, limits)
        guard = ClearanceGuard(
            vault,
            marks=marks,
            head=decided.head,
            people=frozenset(decided.subjects),
            made=when.at,
            until=decision.holds_until(vault, tx, self.scope, decided, when),
            indifferent=_indifferent(self.scope),
        )
        self.kept = _keep(vault, self.key, replace(self.scope, regions=()), FrozenDecision(decided, limits, guard))
        return self.kept


_EVENTS = frozenset({"consent_batch"})  # what they change is decided behind the scope
KEPT: Cache[OrderedDict[tuple[str, ...], tuple[AccessScope, FrozenDecision]]] = Cache(OrderedDict)
"""Decisions by their questions, each with the scope that was loaded for it, without regions."""

_LOCK: Cache[threading.RLock] = Cache(threading.RLock)


def ask(
    vault: UnlockedVault,
    *question: object,
    load: Callable[[], AccessScope],
    narrow: Callable[[AccessScope, FrozenDecision], AccessScope] = lambda scope, _: scope,
) -> AskedScope:
    """A question of whoever acts, with the decision that is kept for it, if it stands.

    Args:
        question: all that its scope depends on, but for the regions: who may be shown is the same wherever one looks.
        load: loads the scope, in the order in which what is wrong with it is told.
        narrow: takes up the regions in a scope that was loaded before.

    Raises:
        InputError, RefusedError, IntegrityError: as ``load`` and ``narrow``.
    """
    key = vault.principal, vault.role.value, str(vault.person is not None), repr(question)
    found = vault.caches.get(KEPT).get(key)
    with vault.books.read() as tx:
        marks = vault.books.marks(tx)
        when = moment(vault, tx)
        if found is None or not found[1].holds(tx, when):
            _sweep(vault, tx, when)
            found = None
    if found is not None:
        return AskedScope(narrow(*found), key, marks, found[1])
    scope = load()
    decision.ready_decision_classes(vault)
    kept = scope.request_id is None and not scope.asked  # a request's state and its places are of each access
    return AskedScope(scope, key if kept else None, marks)


def view(vault: UnlockedVault, project: str, dataset: str, *, panel: str | None, regions: tuple[str, ...]) -> AskedScope:
    """The question for a view that a program asks for. Raises as ``scope_of_view``."""
    return ask(
        vault,
        *("view", project, dataset, panel),
        load=lambda: scope_of_view(vault, project=project, dataset=dataset, panel=panel, regions=regions),
        narrow=lambda scope, frozen: narrowed(vault, scope, regions, contigs=contigs(vault, scope, frozen)),
    )


def contigs(vault: UnlockedVault, scope: AccessScope, frozen: FrozenDecision) -> list[str]:
    """Contigs of the scope's dataset."""
    return frozen.once("contigs", lambda: parts.contigs(vault, scope.dataset.dataset_id))


def once(vault: UnlockedVault, scope: AccessScope) -> AskedScope:
    """A question whose decision serves one access."""
    decision.ready_decision_classes(vault)
    return AskedScope(scope)


def tidy(vault: UnlockedVault) -> None:
    """Let go of decisions that hold no more, and of what was opened under them. Raises UnavailableError as a read of the books."""
    if vault.caches.get(KEPT):
        with vault.books.read() as tx:
            _sweep(vault, tx, moment(vault, tx))


def _sweep(vault: UnlockedVault, tx: Transaction, when: Moment) -> None:
    for key, (_, one) in list(vault.caches.get(KEPT).items()):
        if not one.holds(tx, when):
            drop(vault, key)


def drop(vault: UnlockedVault, key: tuple[str, ...]) -> None:
    """Let go of a decision; absent is fine."""
    with vault.caches.get(_LOCK):
        found = vault.caches.get(KEPT).pop(key, None)
    if found is not None:
        found[1].drop()


def _keep(vault: UnlockedVault, key: tuple[str, ...], scope: AccessScope, made: FrozenDecision) -> FrozenDecision:
    with vault.caches.get(_LOCK):
        kept = vault.caches.get(KEPT)
        drop(vault, key)
        kept[key] = scope, made
        while len(kept) > MOST or (len(kept) > 1 and sum(len(one.decided.permitted) for _, one in kept.values()) > MOST_PEOPLE):
            drop(vault, next(iter(kept)))
    return made


def _indifferent(scope: AccessScope) -> frozenset[str]:
    """Heads that a decision on this scope does not rest on."""
    return UNDECIDING - ({"criteria_pack"} if scope.criteria is not None else set()) - ({"recipient"} if scope.readers else set())
