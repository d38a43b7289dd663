"""Requests of a person whom a service serves: their own, of the one project that their token is for.

Own is what they submitted, and what a steward submitted for them. Another person's, another project's and one that is not there are one refusal,
with an entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies import request_files
from policies.errors import PolicyInputError
from policies.request_files import RequestFile
from vault.access import askable, projects, requests
from vault.access.request_files import take_in
from vault.access.request_records import APPROVED, SUBMITTED, Request, rows
from vault.access.told import told
from vault.audit.actions import Action, Outcome
from vault.errors import InputError, RefusedError
from vault.session.reasons import require_reason
from vault.session.unlocked_vault import UnlockedVault


def listed(vault: UnlockedVault, project: str) -> list[Request]:
    """Own requests of a project, newest first; the look is logged. Raises RefusedError ``refused``."""

    def look() -> list[Request]:
        with vault.trail.attempting(Action.REQUEST_SHOW, project=project):
            found = all_of(vault, project)
            vault.trail.record(Action.REQUEST_SHOW, Outcome.DONE, project=project)
        return found

    return told(vault, look)


def shown(vault: UnlockedVault, project: str, request_id: str) -> Request:
    """One own request; the look is logged. Raises RefusedError ``refused``."""

    def look() -> Request:
        with vault.trail.attempting(Action.REQUEST_SHOW, project=project):
            found = require(vault, project, request_id)
            vault.trail.record(Action.REQUEST_SHOW, Outcome.DONE, project=project, request=request_id)
        return found

    return told(vault, look)


def ask(vault: UnlockedVault, project: str, document: Mapping[str, Any]) -> tuple[Request, bool]:
    """Submit what a request file (request/1) asks for, in the name of whoever is served; and whether that is a new request.

    What is asked for word for word again, while the first waits or is approved, is the first: an answer may have been lost.

    Raises:
        InputError: ``document_rejected``, without the words of the file; names as ``askable.require_names``. RefusedError: ``refused``.
    """
    if document.get("project") != project:  # whatever else is wrong with it
        told(vault, lambda: _refuse(vault, project))
    try:
        asked = request_files.parse_request(document)
    except PolicyInputError as error:
        places = "; ".join(f"{one.place or 'the request'}: {one.code}" for one in error.problems[:5])
        raise InputError("document_rejected", f"this is no request: {places}", hint="docs/formats/request.md") from None
    return told(vault, lambda: _ask(vault, project, asked, document), form=lambda: _require_names(vault, asked))


def take_back(vault: UnlockedVault, project: str, request_id: str, reason: str) -> Request:
    """Withdraw an own request.

    Raises:
        InputError: ``reason_missing``, ``reason_too_long``. RefusedError: ``refused``: also of one that a steward submitted, or that has ended.
    """
    require_reason(reason)

    def back() -> Request:
        with vault.trail.attempting(Action.REQUEST_WITHDRAW, project=project):
            require(vault, project, request_id)
        return requests.withdraw(vault, request_id, reason)

    return told(vault, back)


def require(vault: UnlockedVault, project: str, request_id: str) -> Request:
    """An own request of a project, which names whoever is served. Callers log. Raises RefusedError ``not_yours``, InputError ``project_unknown``."""
    askable.visible_project(vault, project)
    with vault.books.read() as tx:
        found = rows(vault, tx, request_id)
    if not found or not is_own(vault, project, found[0]):
        raise RefusedError("not_yours", "there is no such request of this person in this project")
    return found[0]


def is_own(vault: UnlockedVault, project: str, request: Request) -> bool:
    """True if a request is of this project, and was submitted by whoever is served, or for them."""
    return request.project == project and vault.principal in (request.submitted_by, request.spec.submitted_for)


def all_of(vault: UnlockedVault, project: str) -> list[Request]:
    """Own requests of a project, which names whoever is served, newest first. Callers log. Raises InputError ``project_unknown``."""
    askable.visible_project(vault, project)
    return ever_of(vault, project)


def ever_of(vault: UnlockedVault, project: str) -> list[Request]:
    """Own requests of a project, newest first, whether or not it stands and names whoever is served: for what they still owe. Raises as ``all_of``."""
    project_id = projects.load(vault, project).project_id
    with vault.books.read() as tx:
        return [one for one in rows(vault, tx, project=project_id) if is_own(vault, project, one)]


def _refuse(vault: UnlockedVault, project: str) -> None:
    with vault.trail.attempting(Action.REQUEST_SUBMIT, project=project):
        raise RefusedError("not_yours", "the request is of another project, or for somebody else")


def _ask(vault: UnlockedVault, project: str, asked: RequestFile, document: Mapping[str, Any]) -> tuple[Request, bool]:
    with vault.trail.attempting(Action.REQUEST_SUBMIT, project=project):
        if asked.person not in ("", vault.principal):
            raise RefusedError("not_yours", "the request is for somebody else")
        digest = asked.digest()
        for one in all_of(vault, project):
            if one.spec.file_sha256 == digest and one.state in (SUBMITTED, APPROVED):
                return one, False
        _require_names(vault, asked)
    return take_in(vault, document), True


def _require_names(vault: UnlockedVault, asked: RequestFile) -> None:
    places = (*asked.regions, *asked.genes)
    askable.require_names(vault, asked.project, asked.dataset, panel=asked.panel, regions=places)
