"""Cohort of a project and dataset that is counted: everybody whose consent permits the project's purpose now, never a subset of the asker's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from policies.disclosure import cells
from policies.disclosure.alleles import Allele
from vault.access.scope import AccessScope
from vault.consent import release_decisions
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

Decide = Callable[[Transaction, AccessScope, Moment], Decided]
"""The gate's decision, in a transaction."""

_PLACES: Cache[tuple[object, tuple[SubjectId, ...], bytes] | None] = Cache(lambda: None)  # of the cohort last asked


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
        RefusedError: ``cohort_too_small``; as ``decide`` and ``release_decisions.limits``.
    """
    decided = decide(tx, scope, when)
    hidden = release_decisions.limits(tx, scope, decided, when).hidden
    if len(decided.permitted) < cells.FLOOR:
        raise RefusedError("cohort_too_small", f"fewer than {cells.FLOOR} people take part: nothing is counted")
    known = vault.caches.get(_PLACES)
    if known is None or known[0] is not decided.members or known[1] != decided.permitted:
        known = decided.members, decided.permitted, decided.members.places(decided.permitted)
        vault.caches.put(_PLACES, known)
    masks = sha256(repr((hidden.masks, hidden.only)).encode())
    said = (scope.project.project_id, scope.dataset.dataset_id, len(decided.permitted), fitting(b"".join(decided.permitted)))
    digest = sha256(encode_context("genovault/cohort/v1", *said, known[2], masks))
    return CountedCohort(decided, hidden, known[2], masks, digest)
