"""Pseudonyms and the people who have them: whose one is, among those that left, and what a person is called where they are.

Every pseudonym that is not one gets one answer: mistyped, another project's, or of nobody who left. Callers of ``owner_of`` hold what
they do against the signatures of two people (``resolutions``).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from vault.access import left_sets, projects, release_names
from vault.access.projects import Project
from vault.access.release_holders import held_at
from vault.audit.actions import Action, Outcome
from vault.errors import InputError
from vault.ids import SubjectId
from vault.session.reasons import require_reason
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ProjectRow
from vault.subjects import bech32m
from vault.subjects.references import resolve


@dataclass(frozen=True)
class NamedAt:
    """Pseudonym of a person in a release or holding; None where nobody can tell any more."""

    ref: str
    pseudonym: str | None


def names_of(vault: UnlockedVault, reference: str, *, project: str, reason: str) -> list[NamedAt]:
    """Pseudonyms of a person in everything of a project that left with them, so that a researcher can be told which record to drop.

    Raises:
        InputError: ``subject_unknown``, ``subject_ambiguous``, ``project_unknown``, ``reason_missing``; ``not_released``: nothing of the project has the person.
    """
    with vault.trail.attempting(Action.PSEUDONYM_NAME, project=code_known(vault, project)):
        said, own = require_reason(reason), projects.load(vault, project)
        subject = resolve(vault, reference)
        with vault.books.read() as tx:
            held = [one for one in held_at(vault, tx, subject) if one.project.code == own.code]
        if not held:
            raise InputError("not_released", f"nothing of project {own.code} has this person", hint="genovault release holdings")
        vault.trail.record(Action.PSEUDONYM_NAME, Outcome.DONE, project=own.code, subjects=[subject], detail={"reason": said})
        found = [
            NamedAt(one.ref, name or None)
            for one in held
            for name in release_names.names_told(vault, one.project, one.release_id, [one.subject], version=one.names)
        ]
    return sorted(set(found), key=lambda one: (one.ref, one.pseudonym or ""))


def owner_of(vault: UnlockedVault, project: Project, pseudonym: str) -> SubjectId:
    """The person of a pseudonym that left. Raises InputError ``pseudonym_unknown``, whatever is wrong with it."""
    try:
        bech32m.check(project.code, pseudonym)
    except InputError:
        raise _unknown_pseudonym(project.code) from None
    seen: dict[tuple[str, int], set[SubjectId]] = {}
    for code, left in left_sets.everything(vault):
        if code != project.code:
            continue
        tried = seen.setdefault((release_names.domain_of(project, left.release_id), left.names), set())
        people = [one for one in vault.subject_keys.owners_of(vault.trail.log.subjects_of(left.digest)) if one not in tried]
        tried.update(people)
        named = release_names.names_told(vault, project, left.release_id, people, version=left.names)
        for subject, name in zip(people, named, strict=True):
            if name == pseudonym:
                return subject
    raise _unknown_pseudonym(project.code)


def code_known(vault: UnlockedVault, project: str) -> str | None:
    """A project's code where there is one: what somebody mistyped does not go into an entry."""
    with vault.books.read() as tx:
        return tx.scalars(select(ProjectRow.code).where(ProjectRow.code == project)).first()


def _unknown_pseudonym(code: str) -> InputError:
    return InputError(
        "pseudonym_unknown", f"nothing of project {code} that left has this pseudonym", hint="copy it whole, with its prefix"
    )
