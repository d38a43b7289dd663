"""Bearers: who a request is from, by its access token, looked up at every request."""

from __future__ import annotations

from starlette.requests import Request

from policies.token_scopes import TokenScope
from vault.access import access_tokens, stream_tickets
from vault.access.access_tokens import Authenticated
from vault.audit.actions import Action
from vault.errors import RefusedError
from vault.server.problems import refused, unauthenticated
from vault.session.unlocked_vault import UnlockedVault


def token_of(request: Request) -> str:
    """Text of the token in the Authorization header. Raises HttpProblem 401."""
    text = shown_token(request)
    if text is None:
        raise unauthenticated()
    return text


def shown_token(request: Request) -> str | None:
    """Text of the token in the Authorization header, whether it holds or not; None where there is none."""
    text = _shown(request)
    return None if access_tokens.parse(text) is None else text


def ticket_of(request: Request) -> str:
    """Text of a stream's ticket in the Authorization header. Raises HttpProblem 401."""
    text = _shown(request)
    if not stream_tickets.is_ticket(text):
        raise unauthenticated()
    return text


def _shown(request: Request) -> str:
    """Whatever is shown as a bearer; empty for anything else."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def acting(
    vault: UnlockedVault, token: str, scope: TokenScope, project: str | None = None
) -> tuple[UnlockedVault, Authenticated]:
    """The vault for the bearer of a token, and who that is.

    Raises:
        RefusedError: ``token_refused``. HttpProblem 403: the token is not good for this act, or not for this project.
    """
    who = access_tokens.authenticate(vault, token)
    if scope not in who.scopes or project not in (None, who.project):
        raise refused()
    return vault.acting(who.person), who


def admitted(
    vault: UnlockedVault, token: str, act: Action, *scopes: TokenScope, project: str | None = None
) -> tuple[UnlockedVault, Authenticated]:
    """The vault for the bearer of a token that has one of the scopes, and who that is; a token that has none, or is of another project, is refused with
    an entry.

    Raises:
        RefusedError: ``token_refused``; ``scope_missing``; ``not_of_project``; ``not_authorised``: a service may not do this for anybody of the bearer's role.
    """
    who = access_tokens.authenticate(vault, token)
    own = vault.acting(who.person)
    with own.trail.attempting(act, project=who.project):
        if who.scopes.isdisjoint(scopes):
            raise RefusedError("scope_missing", "the token is not good for this act")
        if project not in {None, who.project}:
            raise RefusedError("not_of_project", "the token is of another project")
    return own, who
