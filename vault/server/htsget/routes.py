"""Routes of htsget 1.3: tickets for regions and panels, blocks, and what the service is."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from policies.token_scopes import TokenScope
from vault import gate
from vault.audit.actions import Action, Outcome
from vault.audit.bands import banded
from vault.errors import GenovaultError, RefusedError
from vault.server.bearers import admitted, ticket_of, token_of
from vault.server.htsget import questions
from vault.server.htsget.answers import DESCRIBED, HtsgetJson, HtsgetProblem, TicketBody, response_at, service_info, ticket
from vault.server.htsget.block_streams import MEDIA_TYPE, StreamedBlock
from vault.server.htsget.probes import Probes, is_probe
from vault.server.htsget.questions import RegionsAsked
from vault.server.problems import HttpProblem
from vault.server.seal import Seal, seal_of
from vault.session.unlocked_vault import UnlockedVault

MOST_STREAMS = 16  # under way at a time: each holds a window of genotypes

routes = APIRouter(default_response_class=HtsgetJson, responses=DESCRIBED)

Code = Annotated[str, Path(min_length=1, max_length=64)]

_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_TICKET: dict[int | str, dict[str, Any]] = {200: {"model": TicketBody, "description": "A ticket."}}
_BLOCK: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}, "description": "Whole BGZF members."}
}


class Streaming:
    """State of htsget in one server: its ``address``, as clients reach it, where that is not the one they use; room for streams; probes not told yet."""

    def __init__(self, address: str | None) -> None:
        self.address, self.room = address, asyncio.Semaphore(MOST_STREAMS)
        self._probes = Probes()
        self._telling: set[asyncio.Task[None]] = set()

    def probed(self, seal: Seal) -> None:
        """Count a look for an index; those of a minute are told by one entry, which nobody waits for."""
        number = self._probes.note()
        if number:
            task = asyncio.get_running_loop().create_task(self.tell(seal, number))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def tell(self, seal: Seal, number: int | None = None) -> None:
        """Log a number of probes, or those that are not told yet, if there are any and the log can be reached."""
        told = self._probes.take() if number is None else number
        if told and not seal.is_sealed:
            counts = banded({"probes": told})
            with suppress(GenovaultError, HttpProblem):
                await seal.run(lambda vault: vault.trail.record(Action.STREAM_PROBE, Outcome.DONE, counts=counts))


@routes.get("/variants/service-info", responses={200: {"description": "GA4GH service-info 1.0."}})
async def info(request: Request) -> Response:
    """Tell what this service is. No token is needed."""
    return HtsgetJson(service_info(_address(request)))


@routes.get("/variants/{project}/{dataset}", responses=_TICKET, openapi_extra=questions.IN_QUERY)
async def variants(request: Request, project: Code, dataset: Code) -> Response:
    """Give a ticket for a region of a dataset, or all of it. Scope ``stream``."""
    return await _given(request, project, dataset, None, None)


@routes.get("/variants/{project}/{dataset}/{panel}", responses=_TICKET, openapi_extra=questions.IN_QUERY)
async def panel_variants(request: Request, project: Code, dataset: Code, panel: Code) -> Response:
    """Give a ticket for a panel, or the part of it in a region. Scope ``stream``."""
    return await _given(request, project, dataset, panel, None)


@routes.post("/variants/{project}/{dataset}", responses=_TICKET)
async def post_variants(request: Request, project: Code, dataset: Code, asked: RegionsAsked) -> Response:
    """Give a ticket for several regions of a dataset, as a union. Scope ``stream``."""
    return await _given(request, project, dataset, None, asked)


@routes.post("/variants/{project}/{dataset}/{panel}", responses=_TICKET)
async def post_panel_variants(request: Request, project: Code, dataset: Code, panel: Code, asked: RegionsAsked) -> Response:
    """Give a ticket for the parts of a panel in several regions. Scope ``stream``."""
    return await _given(request, project, dataset, panel, asked)


@routes.get("/blocks/{number}", responses=_BLOCK)
async def block(request: Request, number: Annotated[str, Path(max_length=20)]) -> Response:
    """Give a block of a ticket: 0 is the header, 1 the records behind it. The ticket's headers are sent along."""
    shown = ticket_of(request)
    seal = seal_of(request)
    if number == "0":
        return Response(
            await seal.run(lambda vault: gate.stream_header(vault, shown.text, shown.shown_from)), media_type=MEDIA_TYPE
        )
    if number != "1":
        raise HttpProblem(404, "not_served", "there is nothing here")
    room = _streaming(request).room
    if room.locked():
        raise HttpProblem(503, "streams_full", "too many streams are under way", {"Retry-After": "5"})
    await room.acquire()
    try:
        stream = await seal.run(lambda vault: gate.stream_body(vault, shown.text, shown.shown_from))
    except BaseException:
        room.release()
        raise
    return StreamedBlock(seal, stream, room)


async def _given(request: Request, project: str, dataset: str, panel: str | None, asked: RegionsAsked | None) -> Response:
    """A ticket, for what the address asks or, where there is one, the body."""
    seal, streaming = seal_of(request), _streaming(request)
    if asked is None and is_probe(request.scope["path"], request.url.query):
        streaming.probed(seal)
        return response_at(request.scope["path"], HttpProblem(404, "not_served", "there is no index"))
    question = (
        questions.of_query(request, project, dataset, panel)
        if asked is None
        else questions.of_body(request, asked, project, dataset, panel)
    )
    address, token = _address(request), token_of(request)

    def work(vault: UnlockedVault) -> str:
        own, who = admitted(vault, token, Action.STREAM_TICKET, TokenScope.STREAM)
        with own.trail.attempting(Action.STREAM_TICKET, project=who.project):
            if project != who.project:
                raise RefusedError("not_yours", "the token is for another project")
        return gate.stream_ticket(own, question, accessor=who.accessor)[0].reveal().decode()

    return ticket(await seal.run(work), kind=question.kind, header_only=question.header_only, address=address)


def _streaming(request: Request) -> Streaming:
    found: Streaming = request.app.state.streaming
    return found


def _address(request: Request) -> str:
    """Address of this server as the client may use it: the one it was given, or the one that the client used."""
    given = _streaming(request).address
    if given is not None:
        return given
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise HtsgetProblem("InvalidInput", "the request names no host")
    return f"{request.url.scheme}://{host}"
