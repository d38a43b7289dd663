"""The application: routes behind the boundary, and one way in which anything that is no data is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from vault.access.spool import FOLDER, prepare
from vault.errors import GenovaultError
from vault.server import system
from vault.server.boundary import Boundary
from vault.server.console import frame, routes, visits
from vault.server.console.sessions import Sessions
from vault.server.health import Health
from vault.server.htsget import answers as htsget_answers
from vault.server.htsget import routes as htsget
from vault.server.htsget.origins import Preflights
from vault.server.htsget.routes import Streaming
from vault.server.metrics import Metrics
from vault.server.oidc import routes as oidc_routes
from vault.server.oidc.oidc_login import OidcLogin
from vault.server.panels import engine, genotypes
from vault.server.panels.held_views import HeldViews
from vault.server.panels.quick_route import QuickRoute
from vault.server.panels.waiting import HeadWatch
from vault.server.problems import MEDIA_TYPE, HttpProblem, at_boundary, problem_of
from vault.server.researchers import asking, deliveries, notices, receipts
from vault.server.researchers.extract_jobs import ExtractJobs
from vault.server.researchers.spooled_files import Downloads
from vault.server.seal import Seal

_TITLES = {404: "there is nothing here", 405: "this method is not for this address"}
SWEEP_SECONDS = 60.0  # between two looks at what the spool still holds
_ROOMS = (system, engine, genotypes, asking, receipts, deliveries, notices, htsget)
_FOR_ALL = ("/v1/sys/", "/variants/service-info")  # addresses that take no token
_BOUNDS = ("le", "ge", "lt", "gt", "max_length", "min_length", "expected")  # what we wrote, of the context of a fault in a body
_FORMLESS = (401, 403, 404)  # answers that must not tell by their time what they do not tell by their words


class ProblemBody(BaseModel):
    """RFC 9457 problem. ``code`` names its kind; ``type`` is the same as a URN."""

    type: str
    title: str
    status: int
    code: str


_ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {"description": what, "content": {MEDIA_TYPE: {"schema": ProblemBody.model_json_schema()}}}
    for status, what in (
        (400, "The question is none."),
        (401, "A valid access token is needed."),
        (403, "Refused, whatever the reason."),
        (404, "There is nothing at this address."),
        (405, "This method is not for this address."),
        (408, "The body came too slowly."),
        (413, "The body, or the answer, is too large."),
        (415, "A body is application/json."),
        (429, "Too many requests of one token or source: Retry-After says how long to wait."),
        (503, "Sealed, or a store does not answer; nothing was released."),
    )
}


def application(
    seal: Seal,
    sessions: Sessions | None = None,
    *,
    spool: Path | None = None,
    origins: Sequence[str] = (),
    address: str | None = None,
    oidc: OidcLogin | None = None,
) -> FastAPI:
    """The ASGI application over one seal, which it closes at its end. Nothing of a request is printed or kept but by the vault's log.

    ``sessions``: of the console; ``spool``: folder of extracts, else in the vault's; ``oidc``: login of researchers by a provider. ``origins``: of pages that may ask htsget in a browser, and read its answers where ``Origins`` is around it all.
    ``address``: of the server for its clients, where it is not the one they use. Raises UnavailableError as ``spool.prepare``.
    """
    extracts, downloads = ExtractJobs(seal, prepare(spool or seal.folder / FOLDER)), Downloads()
    streaming = Streaming(address)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(extracts))
        async with console.running():
            yield
        await streaming.tell(seal)
        app.state.health.close()
        sweeping.cancel()
        for ending in (extracts.close, downloads.close, seal.close):
            await asyncio.to_thread(ending)

    app = FastAPI(
        title="genovault",
        version="1",  # of the interface, as in its addresses
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,  # a redirect would repeat the host that was sent
        responses=_ANSWERS,
    )
    described = app.openapi

    def openapi() -> dict[str, Any]:
        """The description with who needs a token, and without the framework's own answer to a malformed body, which is never given."""
        document = described()
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, operation in ((path, one) for path, several in document["paths"].items() for one in several.values()):
            operation["responses"].pop("422", None)
            if not path.startswith(_FOR_ALL):
                operation["security"] = [{"token": []}]
        htsget_answers.describe(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign] # how FastAPI lets a description be completed
    app.state.seal, app.state.attempts, app.state.metrics, app.state.health = seal, asyncio.Lock(), Metrics(), Health(seal)
    app.state.unsealing = set()
    app.state.extracts, app.state.downloads = extracts, downloads
    app.state.watch, app.state.held = HeadWatch(seal), HeldViews()
    app.state.streaming = streaming
    for room in _ROOMS:
        app.include_router(room.routes)
    console = routes.hang_in(app, seal, sessions)
    oidc_routes.hang_in(app, oidc)
    app.add_middleware(QuickRoute)
    app.add_middleware(Boundary)
    app.add_middleware(Preflights, allowed=origins)
    app.add_exception_handler(HttpProblem, _tell)
    app.add_exception_handler(GenovaultError, _tell)
    app.add_exception_handler(RequestValidationError, _tell)
    app.add_exception_handler(HTTPException, _tell)
    app.add_exception_handler(Exception, _tell)
    return app


async def _sweep(extracts: ExtractJobs) -> None:
    while True:
        await asyncio.to_thread(extracts.sweep)
        await asyncio.sleep(SWEEP_SECONDS)


async def _tell(request: Request, error: Exception) -> Response:
    problem = _problem(error)
    if problem.status == 405:
        problem.headers["Allow"] = _methods(request)
    if problem.status in _FORMLESS:
        await at_boundary(request)
    if request.url.path.startswith(f"{frame.PREFIX}/"):
        return visits.problem_page(problem)
    return htsget_answers.response_at(request.scope["path"], problem)


def _methods(request: Request) -> str:
    """Methods of all routes of the address; the framework names those of the first alone."""
    every = [*(route for room in _ROOMS for route in room.routes.routes), *request.app.router.routes]
    here = [route for route in every if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for route in here for method in route.methods or ()}))


def _problem(error: Exception) -> HttpProblem:
    if isinstance(error, HttpProblem):
        return error
    if isinstance(error, GenovaultError):
        return problem_of(error)
    if isinstance(error, RequestValidationError):
        # The place and the kind of the first fault; never the value, which the framework would repeat.
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if not isinstance(part, str) or part.isidentifier())[:100]
        bound = next((f" {kept}" for name, kept in first.get("ctx", {}).items() if name in _BOUNDS), "")
        return HttpProblem(400, "body_malformed", f"{place or 'the body'}: {first['type']}{bound}")
    if isinstance(error, HTTPException):
        title = _TITLES.get(error.status_code, "this cannot be answered")
        return HttpProblem(error.status_code, "not_served", title, dict(error.headers or {}))
    return HttpProblem(500, "internal_error", "something went wrong here; nothing was released")
