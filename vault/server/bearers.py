"""Bearers: who a request is from, by its access token, looked up at every request."""

from __future__ import annotations

from starlette.requests import Request

from policies.token_scopes import TokenScope
from vault.access import access_tokens
from vault.access.access_tokens import Authenticated
from vault.server.problems import refused, unauthenticated
from vault.session.unlocked_vault import UnlockedVault


def token_of(request: Request) -> str:
    """Text of the token in the Authorization header. Raises HttpProblem 401."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or access_tokens.parse(text.strip()) is None:
        raise unauthenticated()
    return text.strip()


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
