"""Routes of requests: a researcher asks, looks, and takes back; own ones of the token's project alone."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from policies.token_scopes import TokenScope
from vault.access import own_requests
from vault.audit.actions import Action
from vault.server.bearers import admitted, token_of
from vault.server.bodies import PLAIN
from vault.server.problems import refused
from vault.server.researchers.request_bodies import RequestAsked, RequestBody, RequestsBody, WithdrawalAsked, request_body
from vault.server.seal import seal_of
from vault.session.unlocked_vault import UnlockedVault

routes = APIRouter(prefix="/v1/requests")

PAGE = 100  # requests of one answer

RequestId = Annotated[str, Path(min_length=1, max_length=64, pattern=PLAIN)]

_LOOKS = (TokenScope.REQUEST, TokenScope.READ, TokenScope.EXTRACT)


@routes.get("")
async def listed(request: Request, before: Annotated[str | None, Query(min_length=1, max_length=64)] = None) -> RequestsBody:
    """List own requests, newest first, 100 at a time. Scope ``request``, ``read`` or ``extract``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> RequestsBody:
        own, who = admitted(vault, token, Action.REQUEST_SHOW, *_LOOKS)
        found = own_requests.listed(own, who.project)
        if before is not None:
            at = next((i for i, one in enumerate(found) if one.request_id == before), None)
            if at is None:
                raise refused()
            found = found[at + 1 :]
        more = found[PAGE - 1].request_id if len(found) > PAGE else None
        return RequestsBody(requests=[request_body(one) for one in found[:PAGE]], next=more)

    return await seal_of(request).run(work)


@routes.get("/{request_id}")
async def shown(request: Request, request_id: RequestId) -> RequestBody:
    """Show one own request, and its state now. Scope ``request``, ``read`` or ``extract``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> RequestBody:
        own, who = admitted(vault, token, Action.REQUEST_SHOW, *_LOOKS)
        return request_body(own_requests.shown(own, who.project, request_id))

    return await seal_of(request).run(work)


@routes.post("", status_code=201, responses={200: {"model": RequestBody, "description": "It was asked before, and still waits."}})
async def ask(request: Request, response: Response, asked: RequestAsked) -> RequestBody:
    """Ask, by a request/1. The same words again are the same request while it waits or is approved: that is 200. Scope ``request``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> tuple[RequestBody, bool]:
        own, who = admitted(vault, token, Action.REQUEST_SUBMIT, TokenScope.REQUEST)
        found, is_new = own_requests.ask(own, who.project, asked.document())
        entry = own.trail.newest
        return request_body(found, entry=entry.index if is_new and entry is not None else None), is_new

    body, is_new = await seal_of(request).run(work)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/requests/{body.request}"
    return body


@routes.post("/{request_id}/withdraw")
async def withdraw(request: Request, request_id: RequestId, asked: WithdrawalAsked) -> RequestBody:
    """Take an own request back: nothing is served under it any more. Scope ``request``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> RequestBody:
        own, who = admitted(vault, token, Action.REQUEST_WITHDRAW, TokenScope.REQUEST)
        found = own_requests.take_back(own, who.project, request_id, asked.reason)
        entry = own.trail.newest
        return request_body(found, entry=None if entry is None else entry.index)

    return await seal_of(request).run(work)
