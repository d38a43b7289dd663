"""People of a project check as a board reads them: a row for each, named as stewards name them, with verdict and all reasons in words."""

from __future__ import annotations

from collections.abc import Mapping

from policies.term_matching import Effect
from vault.audit.actions import Action, Outcome
from vault.consent.project_check import Judged
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects.identities import open_identities

COLUMNS = ("mrn", "sample_id", "released", "reasons", "codes")
RELEASED = {Effect.PERMIT: "yes", Effect.DENY: "no", Effect.REVIEW: "a steward must rule"}


def rows(vault: UnlockedVault, code: str, people: Mapping[SubjectId, Judged]) -> list[tuple[str, ...]]:
    """Rows of ``COLUMNS``, by record number and sample. An entry of the log names everybody before the identities are opened.

    Raises:
        IntegrityError: as ``open_identities``. UnavailableError: ``branch_closed``.
    """
    with vault.trail.attempting(Action.PROJECT_CHECK):
        vault.trail.record(
            Action.PROJECT_CHECK, Outcome.DONE, project=code, subjects=list(people), detail={"listed": len(people)}
        )
        identities = open_identities(vault, people)
    named = sorted((identities[subject].mrn, ";".join(identities[subject].samples), subject) for subject in people)
    return [(mrn, samples, *_verdict(people[subject])) for mrn, samples, subject in named]


def _verdict(found: Judged) -> tuple[str, str, str]:
    words = "; ".join(text for _, _, text in found.reasons)
    codes = "; ".join(f"{code} [{about}]" if about else code for code, about, _ in found.reasons)
    return RELEASED[found.outcome], words, codes
