"""Bearers: who a request is from, by its access token, looked up at every request."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request

from policies.token_scopes import TokenScope
from vault.access import access_tokens, stream_tickets, token_texts
from vault.access.access_tokens import Authenticated
from vault.access.token_bindings import ShownFrom, plain_address
from vault.audit.actions import Action
from vault.errors import RefusedError
from vault.server.connections import ADDRESS, CERTIFICATE
from vault.server.problems import refused, unauthenticated
from vault.session.unlocked_vault import UnlockedVault


@dataclass(frozen=True)
class ShownToken:
    """Text of an access token, or of a ticket, and from where it is shown."""

    text: str = field(repr=False)
    shown_from: ShownFrom


def shown_from(request: Request) -> ShownFrom:
    """Origin of a request: the certificate of its own connection, and its address, or the one that a trusted proxy names."""
    state = request.scope.get("state", {})
    return ShownFrom(state.get(CERTIFICATE, ""), plain_address(state.get(ADDRESS, "")))


def token_of(request: Request) -> ShownToken:
    """The token in the Authorization header. Raises HttpProblem 401."""
    shown = shown_token(request)
    if shown is None:
        raise unauthenticated()
    return shown


def shown_token(request: Request) -> ShownToken | None:
    """The token in the Authorization header, whether it holds or not; None where there is none."""
    text = _shown(request)
    return None if token_texts.parse(text) is None else ShownToken(text, shown_from(request))


def ticket_of(request: Request) -> ShownToken:
    """A stream's ticket in the Authorization header. Raises HttpProblem 401."""
    text = _shown(request)
    if not stream_tickets.is_ticket(text):
        raise unauthenticated()
    return ShownToken(text, shown_from(request))


def _shown(request: Request) -> str:
    """Whatever is shown as a bearer; empty for anything else."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def acting(
    vault: UnlockedVault, token: ShownToken, scope: TokenScope, project: str | None = None
) -> tuple[UnlockedVault, Authenticated]:
    """The vault for the bearer of a token, and who that is.

    Raises:
        RefusedError: ``token_refused``. HttpProblem 403: the token is not good for this act, or not for this project.
    """
    who = access_tokens.authenticate(vault, token.text, token.shown_from)
    if scope not in who.scopes or project not in (None, who.project):
        raise refused()
    return vault.acting(who.person), who


def admitted(
    vault: UnlockedVault, token: ShownToken, act: Action, *scopes: TokenScope, project: str | None = None
) -> tuple[UnlockedVault, Authenticated]:
    """The vault for the bearer of a token that has one of the scopes, and who that is; a token that has none, or is of another project, is refused with
    an entry.

    Raises:
        RefusedError: ``token_refused``; ``scope_missing``; ``not_of_project``; ``not_authorised``: a service may not do this for anybody of the bearer's role.
    """
    who = access_tokens.authenticate(vault, token.text, token.shown_from)
    own = vault.acting(who.person)
    with own.trail.attempting(act, project=who.project):
        if who.scopes.isdisjoint(scopes):
            raise RefusedError("scope_missing", "the token is not good for this act")
        if project not in {None, who.project}:
            raise RefusedError("not_of_project", "the token is of another project")
    return own, who
