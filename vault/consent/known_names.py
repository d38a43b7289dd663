"""Names in what is recorded, held against what exists: a no that names nothing would be confirmed and stop nothing.

An unknown name is refused with those of its own kind that are like it, never with a wider one. Whoever means it all the same says so
(``as_written``); nothing is guessed either way. Places have a look-up of their own (``named_places``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from sqlalchemy import select

from policies import consent
from policies.consent import ConsentEvent, Scope, ScopeKind
from policies.errors import PolicyInputError
from policies.purposes import ASKED, REQUIRED_POLICY, Topic, UseKind
from vault.access import projects
from vault.consent import forms
from vault.errors import InputError
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ProjectRow
from vault.storage.database import Transaction
from vault.subjects.countries import COUNTRIES

MOST = 5  # names that a hint lists


def require_scope(vault: UnlockedVault, scope: Scope, history: Sequence[ConsentEvent]) -> None:
    """Refuse the scope of a withdrawal that names nothing. ``history``: the person's events, whose questions a module names.

    Raises:
        InputError: ``name_unknown``.
    """
    if scope.kind in {ScopeKind.EVERYTHING, ScopeKind.LOCI}:
        return
    if scope.kind is ScopeKind.MODULE:
        own = {answer.module for event in history for answer in event.answers if answer.module}
        if scope.value not in own:
            raise _unknown("no question that this person answered", scope.kind, scope.value, own)
        return
    known = _recipients(vault) if scope.kind is ScopeKind.RECIPIENT else set[str]()
    known |= ASKED if scope.kind is ScopeKind.POLICY else set()
    known |= _PURPOSES if scope.kind is ScopeKind.PURPOSE else set()
    known |= _asked(vault, scope.kind) | {
        reach.value
        for event in history
        for answer in event.answers
        if (reach := consent.answer_scope(answer.policy)).kind is scope.kind
    }
    if scope.value not in known:
        raise _unknown(_MISSING[scope.kind], scope.kind, scope.value, known)


def project_codes(tx: Transaction) -> frozenset[str]:
    """Codes of all projects, drafts and closed ones too."""
    return frozenset(tx.scalars(select(ProjectRow.code)))


def require_projects(event: ConsentEvent, codes: frozenset[str]) -> None:
    """Refuse an answer limited to a project (DUO PS) that is not here. The code is not repeated: a sheet may be shifted.

    Raises:
        PolicyInputError: ``project_unknown``, at the question.
    """
    for answer in event.answers:
        for alternative in answer.terms.alternatives if answer.terms is not None else ():
            for modifier in alternative.modifiers:
                unknown = [code for code in modifier.params if modifier.code == "PS" and code not in codes]
                if unknown:
                    close = _alike(unknown[0], codes)
                    meant = f": did you mean {', '.join(close)}?" if close else ""
                    place = answer.module.partition("/")[2]
                    raise PolicyInputError("project_unknown", f"names a project that is not here{meant}", place)


_PURPOSES = {"commercial", *map(str, UseKind), *map(str, REQUIRED_POLICY), *map(str, Topic)}
_MISSING = {
    ScopeKind.POLICY: "no policy that a form or a project asks for",
    ScopeKind.PURPOSE: "no purpose that a project can declare",
    ScopeKind.RECIPIENT: "no recipient that a project has",
}


def _asked(vault: UnlockedVault, kind: ScopeKind) -> set[str]:
    """Names of one kind that a form's question grants."""
    reaches = [
        consent.answer_scope(policy)
        for form in forms.list_all(vault)
        for question in form.questions
        for policy in question.policies
    ]
    return {reach.value for reach in reaches if reach.kind is kind}


def _recipients(vault: UnlockedVault) -> set[str]:
    """Every country and project, and the organisations that projects declare, as scopes write them."""
    declared = projects.list_all(vault)
    organisations = {project.declaration.purpose.organisation.id for project in declared} - {""}
    return {
        *(f"country:{code}" for code in COUNTRIES),
        *(f"project:{project.code}" for project in declared),
        *organisations,
        *(f"org:{name}" for name in organisations),
    }


def _alike(name: str, known: Iterable[str]) -> list[str]:
    by_lower = {_plain(one): one for one in sorted(known)}
    return [by_lower[one] for one in get_close_matches(_plain(name), by_lower, n=MOST, cutoff=0.6)]


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _unknown(missing: str, kind: ScopeKind, name: str, known: set[str]) -> InputError:
    close = _alike(name, known) or (sorted(known) if len(known) <= MOST else [])
    meant = f"did you mean {', '.join(f'{kind}:{one}' for one in close)}? " if close else ""
    return InputError(
        "name_unknown",
        f"the scope names {missing}: nothing would be withdrawn",
        hint=f"{meant}--as-written records it letter by letter",
    )
