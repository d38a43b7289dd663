"""Decision and limits of one release, at the moment of it: what the gate and the check of a project both go by."""

from __future__ import annotations

from vault.access import delivery, leftovers, reference_data, release_limits, view_profiles
from vault.access.release_limits import ReleaseLimits
from vault.access.scope import AccessScope
from vault.consent import cohort_decisions
from vault.consent.cohort_decisions import Decided
from vault.genotypes.catalog import declared_assays
from vault.session.moments import Moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction


def decide(vault: UnlockedVault, tx: Transaction, scope: AccessScope, when: Moment) -> Decided:
    """Decide each subject of the scope's dataset; of a release that is made anew or goes on, those of its people alone. Raises IntegrityError as ``cohort_decisions.decide``."""
    declared = scope.project.declaration
    left = view_profiles.leaves_out(tx, declared)
    decided = cohort_decisions.decide(vault, tx, declared.purpose, [scope.dataset.dataset_id], legal_at=when.at, leave_out=left)
    if scope.stopped is not None:
        return decided.among(scope.stopped)
    return decided if scope.reissue is None else decided.among(scope.reissue.people)


def limits(tx: Transaction, scope: AccessScope, decided: Decided, when: Moment, *, permitted: int | None = None) -> ReleaseLimits:
    """Apply the limits of project and consents. Raises RefusedError as ``release_limits.limits`` and ``view_profiles.rules``.

    Args:
        permitted: number of subjects of the release, where that is settled; else as decided.
    """
    assembly = scope.dataset.assembly
    places, tags = reference_data.catalogue(tx, assembly), reference_data.tagged_sites(tx, assembly)
    rules = view_profiles.rules(tx, scope.project.declaration)
    with when.explaining():
        return release_limits.limits(
            scope.project.declaration,
            decided.obligations,
            rules,
            permitted=len(decided.permitted) if permitted is None else permitted,
            places=places,
            tags=tags,
            asked=scope.asked,
            now=when.at,
        )


def basis(vault: UnlockedVault, scope: AccessScope, decided: Decided, limits: ReleaseLimits) -> str:
    """Digest in hex of what settles the bytes of an extract that is decided so (``leftovers.basis``)."""
    envelope = delivery.envelope(vault, scope.readers)
    return leftovers.basis(
        scope,
        limits,
        people=decided.permitted,
        places=decided.members.places(decided.permitted),
        parts=list(decided.members.parts),
        obligations=decided.obligations.as_dict(),
        assayed=declared_assays.of_dataset(vault, scope.dataset.dataset_id),
        writer=b"" if envelope is None else envelope.writer.public,
    )
