"""Cohort of a project and dataset that is counted: everybody whose consent permits the project's purpose now, never a subset of the asker's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from policies.disclosure import cells
from policies.disclosure.alleles import Allele
from vault.access.release_limits import ReleaseLimits
from vault.access.scope import AccessScope
from vault.consent.cohort_decisions import Decided
from vault.crypto.context import encode_context, fitting
from vault.crypto.primitives import sha256
from vault.errors import RefusedError
from vault.ids import SubjectId
from vault.session.caches import Cache
from vault.session.moments import Moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.views.hidden_places import HiddenPlaces

Decide = Callable[[Transaction, AccessScope, Moment], tuple[Decided, ReleaseLimits]]
"""The gate's decision and its limits, in a transaction."""

_LAST: Cache[tuple[AccessScope, CountedCohort] | None] = Cache(lambda: None)  # last asked


@dataclass(frozen=True)
class CountedCohort:
    """People, the places that are masked for them, and digests of 32 bytes.

    ``calls``: of which parts hold their calls; ``masks``: of the masked places; ``digest``: of project, dataset, people and both.
    """

    decided: Decided
    hidden: HiddenPlaces
    calls: bytes
    masks: bytes
    digest: bytes

    @property
    def people(self) -> tuple[SubjectId, ...]:
        """Whoever takes part."""
        return self.decided.permitted

    def masks_allele(self, allele: Allele) -> bool:
        """True if any base of an allele's REF is masked."""
        return self.hidden.hides(allele.contig, allele.position, allele.position + len(allele.ref) - 1)


def cohort(vault: UnlockedVault, tx: Transaction, scope: AccessScope, decide: Decide, when: Moment) -> CountedCohort:
    """People of project and dataset as of now.

    Raises:
        RefusedError: ``cohort_too_small``; as ``decide``.
    """
    decided, limits = decide(tx, scope, when)
    if len(decided.permitted) < cells.FLOOR:
        raise RefusedError("cohort_too_small", f"fewer than {cells.FLOOR} people take part: nothing is counted")
    last = vault.caches.get(_LAST)
    if last is not None and _alike(last, scope, decided, limits.hidden):
        return replace(last[1], decided=decided)
    places = decided.members.places(decided.permitted)
    masks = sha256(repr((limits.hidden.masks, limits.hidden.only)).encode())
    said = (scope.project.project_id, scope.dataset.dataset_id, len(decided.permitted), fitting(b"".join(decided.permitted)))
    digest = sha256(encode_context("genovault/cohort/v1", *said, places, masks))
    found = CountedCohort(decided, limits.hidden, places, masks, digest)
    vault.caches.put(_LAST, (scope, found))
    return found


def _alike(last: tuple[AccessScope, CountedCohort], scope: AccessScope, decided: Decided, hidden: HiddenPlaces) -> bool:
    """True if a cohort that was found before is of the same project, dataset, people, parts and places."""
    before, found = last
    same = (before.project.project_id, before.dataset.dataset_id) == (scope.project.project_id, scope.dataset.dataset_id)
    return same and found.decided.members is decided.members and found.people == decided.permitted and found.hidden == hidden
