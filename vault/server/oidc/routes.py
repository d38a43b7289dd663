"""Routes of login by an OpenID provider: away to it, and back. Its end is a session of the console."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from policies.token_scopes import TokenScope
from vault.access import access_tokens, askable, outside_identities
from vault.access.token_bindings import NOWHERE, ShownFrom
from vault.errors import GenovaultError
from vault.server.admission import SOURCE
from vault.server.console import forms, frame
from vault.server.console.login import LOGIN
from vault.server.console.sessions import ActedFor, Reach
from vault.server.console.visits import Console
from vault.server.limits import WaitingLine
from vault.server.oidc.id_tokens import Subject
from vault.server.oidc.oidc_login import OidcLogin
from vault.server.oidc.settings import CALLBACK
from vault.server.problems import BEGUN, HttpProblem
from vault.server.seal import Seal

APART = 1.0  # seconds: the step at which failures are told
SCOPES = frozenset({TokenScope.READ, TokenScope.REQUEST, TokenScope.EXTRACT, TokenScope.DOWNLOAD})  # what a page may do
AT_ONCE = 4  # logins that talk to the provider
QUEUE = 64  # of those that wait for it, too
OF_ONE = 4  # of them from one address of another machine

_COOKIE = "genovault-login"
_HOST = "__Host-"
_ANSWER = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


@dataclass(frozen=True)
class OidcDoor:
    """Login by one provider, and the line of those who talk to it."""

    login: OidcLogin
    line: WaitingLine


def hang_in(app: FastAPI, login: OidcLogin | None) -> None:
    """Add the routes to an application, if it has a provider."""
    app.state.oidc = None if login is None else OidcDoor(login, WaitingLine(AT_ONCE, QUEUE, share=OF_ONE))
    if login is not None:
        places = (LOGIN, _begin), (CALLBACK, _finish)
        app.router.routes.extend(Route(path, page, methods=["GET"], include_in_schema=False) for path, page in places)


def holder(seal: Seal, subject: Subject, wanted: str) -> ActedFor:
    """Holder for an identity, within one of its projects: ``wanted``, else the first. Both are looked up at every request.

    Raises:
        RefusedError: ``token_refused``: also where no project names them, or not this one; as ``Seal.standing``.
    """

    def act(_: ShownFrom) -> Reach:
        vault = seal.standing()
        own = vault.acting(outside_identities.holder(vault, subject.issuer, subject.subject))
        codes = [one.code for one in askable.visible_projects(own)]
        if not codes or wanted not in ("", *codes):
            raise access_tokens.refused()
        return Reach(own, wanted or codes[0], SCOPES)

    who = act(NOWHERE).vault
    return ActedFor(who.principal, who.role, act, f"{subject.issuer} {subject.subject}")


async def _begin(request: Request) -> Response:
    """Send the browser to the provider, with a cookie that ties what comes back to it."""
    forms.require_private(request)
    door: OidcDoor = request.app.state.oidc
    async with door.line.turn(_source(request)):
        begun = await asyncio.to_thread(door.login.begin, request.query_params.get("project", "")[:64])
    answer = RedirectResponse(begun.url, 303, _ANSWER)
    secure = forms.is_secure(request)
    # Lax: the provider's redirect is another site's, and the cookie has to come back with it.
    answer.set_cookie(_name(secure), begun.binder, max_age=600, path="/", secure=secure, httponly=True, samesite="lax")
    return answer


async def _finish(request: Request) -> Response:
    """Take the browser back and begin a session. Whatever does not hold is told alike, at a step of a second."""
    forms.require_private(request)
    door: OidcDoor = request.app.state.oidc
    console: Console = request.app.state.console
    query, secure = forms.fields(request.url.query), forms.is_secure(request)
    binder = request.cookies.get(_name(secure), "")

    def enter() -> str:
        back = door.login.finish(console.seal.standing(), query, binder)
        return console.sessions.begin(holder(console.seal, back.subject, back.project))

    try:
        async with door.line.turn(_source(request)):
            session_id = await asyncio.to_thread(enter)
    except (HttpProblem, GenovaultError) as error:
        code = (
            error.code
            if isinstance(error, HttpProblem) and (error.status >= 500 or error.code == "logins_busy")
            else "login_refused"
        )
        await _at_step(request)
        answer = frame.to(f"/login?said={code}")
    else:
        # A page, and no redirect: the session's cookie is Strict, and a chain of redirects that another site began does not carry it.
        answer = frame.html("entered.html", title="You are logged in")
        answer.headers["Refresh"] = f"0; url={frame.PREFIX}/"
        if earlier := forms.session_id(request):
            await asyncio.to_thread(console.sessions.end, earlier)
        forms.set_session(request, answer, session_id)
    answer.delete_cookie(_name(secure), path="/", secure=secure, httponly=True, samesite="lax")
    return answer


def _name(secure: bool) -> str:  # noqa: FBT001 - a cookie is, or is not
    return f"{_HOST if secure else ''}{_COOKIE}"


def _source(request: Request) -> str:
    return str(request.scope.get("state", {}).get(SOURCE, ""))


async def _at_step(request: Request) -> None:
    begun: float = request.scope.get("state", {}).get(BEGUN, time.monotonic())
    await asyncio.sleep(APART - (time.monotonic() - begun) % APART)
