"""Visits: one request for a page of somebody who is logged in, from cookie to answer. What goes wrong becomes a page, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policies import authority
from policies.errors import PolicyInputError
from policies.token_scopes import TokenScope
from vault.access.scope import UNINFORMED_ROLES
from vault.audit.actions import Action, Outcome
from vault.errors import GenovaultError, InputError, IntegrityError, RefusedError, UnavailableError, UsageError
from vault.server.bearers import shown_from
from vault.server.console import forms, frame
from vault.server.console.frame import Answer, Download, Redirection
from vault.server.console.messages import MESSAGES
from vault.server.console.sections import act_of, sections
from vault.server.console.sessions import ConsoleSession, Reach, SessionEndedError, Sessions
from vault.server.problems import HttpProblem, problem_of
from vault.server.researchers.extract_jobs import ExtractJobs
from vault.server.seal import Seal
from vault.session.unlocked_vault import UnlockedVault

WORKERS = 8  # threads: more than one person has sessions, whose requests are answered one at a time
SWEEP_SECONDS = 30.0


class Console:
    """State that the pages share: the sessions, the service's seal, and threads of their own."""

    def __init__(self, seal: Seal, sessions: Sessions) -> None:
        self.seal, self.sessions = seal, sessions
        self.pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="console")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """End sessions that are over while the server runs, and all of them at its end."""
        sweeping = asyncio.create_task(self._sweep())
        try:
            yield
        finally:
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping
            await asyncio.to_thread(self.sessions.close)
            self.pool.shutdown(wait=True)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await asyncio.to_thread(self.sessions.sweep)


@dataclass(frozen=True)
class Visit:
    """One request: the vault of whoever asks, their session, what their address and form say, and the service's seal.

    ``project``, ``scopes``: as ``Reach`` has them.
    """

    vault: UnlockedVault
    session: ConsoleSession
    query: Mapping[str, str]
    form: Mapping[str, str]
    place: Mapping[str, str]
    seal: Seal
    extracts: ExtractJobs
    project: str | None = None  # the only one that may be seen; None: as the role says
    scopes: frozenset[TokenScope] | None = None

    def has(self, *scopes: TokenScope) -> bool:
        """True if the visitor needs no token, or has one with any of the scopes."""
        return self.scopes is None or not self.scopes.isdisjoint(scopes)

    def require(self, act: Action, *scopes: TokenScope) -> None:
        """Refuse a token without any of the scopes, with an entry. Raises RefusedError ``scope_missing``."""
        with self.vault.trail.attempting(act, project=self.project):
            if not self.has(*scopes):
                raise RefusedError("scope_missing", "the token is not good for this act")

    def number(self, name: str) -> int:
        """A number in the address. Raises HttpProblem 404."""
        text = self.place[name]
        if not (text.isascii() and text.isdecimal() and len(text) < 16):
            raise HttpProblem(404, "not_served", "there is nothing here")
        return int(text)

    @contextmanager
    def looking(self, act: Action, **fields: Any) -> Iterator[None]:
        """Log a look as the command line does: as done when the block ends, before anything is shown; refused or failed where it does not."""
        with self.vault.trail.attempting(act, **fields):
            yield
            self.vault.trail.record(act, Outcome.DONE, **fields)

    def sign(self) -> None:
        """Sign the newest entries, by the visitor's key or the service's; where neither can, what was signed before remains."""
        try:
            self.vault.trail.checkpoint()
        except UnavailableError:
            with suppress(UnavailableError, HttpProblem):
                self.seal.standing().trail.checkpoint()


Handler = Callable[[Visit], Answer]


def page(path: str, *, get: Handler | None = None, post: Handler | None = None, served: bool = False) -> Route:
    """A route under the prefix for whoever is logged in. ``post`` takes forms of this session's own pages alone.

    ``served``: also for those whom the service acts for; its handlers keep to ``Visit.project``. Other pages are refused to them, whatever the act's roles.
    """
    handlers = {"GET": get, "HEAD": get, "POST": post}

    async def endpoint(request: Request) -> Response:
        handler = handlers[request.method]
        return await _visited(request, handler, served=served) if handler is not None else _not_found(request)

    methods = [method for method, handler in handlers.items() if handler is not None]
    return Route(frame.PREFIX + path, endpoint, methods=methods, name=f"console{path}", include_in_schema=False)


async def _visited(request: Request, handler: Handler, *, served: bool) -> Response:
    console: Console = request.app.state.console
    given = forms.session_id(request)
    session = console.sessions.find(given)
    if session is None:
        return ended(request) if given else frame.to("/login")
    if request.method == "POST":
        forms.require_same_origin(request)
    body = forms.fields(await request.body())
    if request.method == "POST":
        forms.require_token(body, session.form_token)
    query = forms.fields(request.url.query)

    def work(reach: Reach) -> Response:
        place = dict(request.path_params)
        extracts = request.app.state.extracts
        visit = Visit(reach.vault, session, query, body, place, console.seal, extracts, reach.project, reach.scopes)
        try:
            if reach.vault.person is not None and not served:
                _refuse(visit, request.url.path)
            return _answer(visit, handler(visit), request.url.path)
        except (GenovaultError, PolicyInputError) as error:
            return _failed(visit, error, request.url.path, sent=request.method == "POST")

    loop = asyncio.get_running_loop()
    try:
        async with session.turn:
            return await loop.run_in_executor(console.pool, session.run, work, shown_from(request))
    except SessionEndedError:
        await asyncio.to_thread(console.sessions.end, given)
        return ended(request)


def _refuse(visit: Visit, path: str) -> NoReturn:
    """Refuse a page that is for nobody without keys of their own, with an entry. Raises RefusedError ``not_authorised``."""
    with visit.vault.trail.attempting(act_of(path.removeprefix(frame.PREFIX)), project=visit.project):
        raise RefusedError("not_authorised", "this page is for those who unlock the vault themselves")


def _answer(visit: Visit, answer: Answer, path: str) -> Response:
    if isinstance(answer, Redirection):
        return frame.to(f"{answer.to}?said={answer.said}" if answer.said else answer.to)
    if isinstance(answer, Download):
        return frame.file(answer)
    said = MESSAGES.get(visit.query.get("said", ""), "")
    return frame.html(answer.template, answer.status, title=answer.title, said=said, **_around(visit, path), **answer.shown)


def _around(visit: Visit, path: str) -> dict[str, Any]:
    """Frame of every page: visitor, place, and pages that may be visited."""
    session = visit.session
    shown = [one for one in sections(allowed(visit)) if visit.has(*one.scopes)]
    here = path.removeprefix(frame.PREFIX)
    return {
        "session": session,
        "sections": shown,
        "here": next((one.path for one in shown if here == one.path or here.startswith(f"{one.path}/")), ""),
        "origin": visit.vault.trail.origin,
    }


def allowed(visit: Visit) -> Callable[[Action], bool]:
    """Acts that the visitor's role may do, here."""
    may, role = authority.may if visit.vault.person is None else authority.may_for, visit.session.role.value
    return lambda act: may(role, act.value)


def _failed(visit: Visit, error: GenovaultError | PolicyInputError, path: str, *, sent: bool) -> Response:
    """Page of an error, ``sent`` of a form: in full for those who see everything, the one answer of the interface for everybody else."""
    problem = HttpProblem(400, error.code, str(error)) if isinstance(error, PolicyInputError) else problem_of(error)
    hint = ""
    if visit.session.role not in UNINFORMED_ROLES and isinstance(error, GenovaultError):
        problem, hint = HttpProblem(_status(error), error.code, error.message), error.hint
    title = "This was not done" if sent else "This cannot be shown"
    return frame.html(
        "failed.html", problem.status, title=title, said="", problem=problem, hint=hint, sent=sent, **_around(visit, path)
    )


def _status(error: GenovaultError) -> int:
    kinds = ((InputError, 400), (UsageError, 400), (RefusedError, 403), (UnavailableError, 503), (IntegrityError, 500))
    return next((status for kind, status in kinds if isinstance(error, kind)), 500)


def ended(request: Request) -> Response:
    """Lead somebody whose session is over to the login, without its cookie."""
    answer = frame.to("/login?said=ended")
    forms.forget_session(request, answer)
    return answer


def problem_page(problem: HttpProblem) -> Response:
    """Page of a problem that arose before anybody was known."""
    answer = frame.html("problem.html", problem.status, title="This cannot be answered", problem=problem)
    answer.headers.update(problem.headers)
    return answer


def _not_found(_: Request) -> Response:
    return problem_page(HttpProblem(404, "not_served", "there is nothing here"))
