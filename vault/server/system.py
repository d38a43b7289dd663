"""Routes of the server itself: alive, ready, sealed or not."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from vault.crypto.keystore import Factor, KeyFileFactor, PassphraseFactor
from vault.crypto.primitives import KEY_BYTES
from vault.crypto.secret import Secret
from vault.errors import GenovaultError, UnavailableError
from vault.ids import utc_now
from vault.server.admission import SOURCE
from vault.server.bodies import AuditHealth, HealthBody, SealStatus, Unsealing
from vault.server.metrics import MEDIA_TYPE
from vault.server.problems import HttpProblem
from vault.server.researchers.extract_jobs import ExtractJobs
from vault.server.seal import Seal
from vault.storage.timestamps import rfc3339

routes = APIRouter()

_UNHEALTHY = {501: "There is no vault.", 503: "Sealed, or a store does not answer: the body says which."}
_ATTEMPTS_APART = 1.0  # seconds between two attempts to unseal, whoever makes them


@routes.head("/livez", include_in_schema=False)
@routes.get("/livez", include_in_schema=False)
async def livez() -> Response:
    """Answer while the process runs."""
    return Response(status_code=204)


@routes.head("/readyz", include_in_schema=False)
@routes.get("/readyz", include_in_schema=False)
async def readyz(request: Request) -> Response:
    """Answer 204 where an access could be logged and answered, 503 where not, with the reason."""
    found = await _health(request)
    if found.sealed:
        return JSONResponse({"sealed": True}, 503)
    away = [name for name, state in _states(found).items() if state != "ok"]
    return JSONResponse(dict.fromkeys(away, "unavailable"), 503) if away else Response(status_code=204)


@routes.head("/v1/sys/health", include_in_schema=False)
@routes.get("/v1/sys/health", responses={code: {"model": HealthBody, "description": what} for code, what in _UNHEALTHY.items()})
async def health(request: Request) -> HealthBody:
    """Tell whether the server is unsealed and its stores answer: 200, else 501 without a vault and 503 with the reason."""
    found = await _health(request)
    whole = not found.sealed and set(_states(found).values()) == {"ok"}
    status = 200 if whole else 503 if found.initialized else 501
    return JSONResponse(found.model_dump(exclude_none=True), status)  # type: ignore[return-value] # of that model, with a status of its own


@routes.get("/v1/sys/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Give figures of the process to whoever operates it on this machine: of no project or person, and no count below 20."""
    _require_local(request)
    found = await _health(request)
    seal: Seal = request.app.state.seal
    gauges: dict[str, float] = {"sealed": found.sealed, "waiting": seal.waiting}
    gauges |= {f"{name}_available": state == "ok" for name, state in _states(found).items() if not found.sealed}
    if found.audit is not None and found.audit.last_checkpoint_age_s is not None:
        gauges["last_checkpoint_age_seconds"] = found.audit.last_checkpoint_age_s
    return PlainTextResponse(request.app.state.metrics.text(gauges), media_type=MEDIA_TYPE)


@routes.get("/v1/sys/seal-status")
async def seal_status(request: Request) -> SealStatus:
    """Tell whether the server holds keys."""
    return SealStatus(sealed=request.app.state.seal.is_sealed)


@routes.post("/v1/sys/unseal", status_code=204)
async def unseal(request: Request, asked: Unsealing) -> Response:
    """Open the service's slot. Attempts are logged, and made one at a time."""
    _require_private(request)
    seal: Seal = request.app.state.seal
    factor = _factor(asked)
    async with _attempt(request):
        try:
            await asyncio.to_thread(seal.unseal, factor)
        except UnavailableError as error:
            if error.code == "cannot_unlock":  # nothing is away: the operator is to look at what was typed
                raise _cannot_unlock() from None
            raise
    with suppress(GenovaultError, HttpProblem):  # else at the next sweep
        await asyncio.to_thread(_go_on, request.app.state.extracts, seal)
    return Response(status_code=204)


@routes.post("/v1/sys/seal", status_code=204)
async def seal_now(request: Request, asked: Unsealing) -> Response:
    """Drop the keys; whoever could unseal may."""
    _require_private(request)
    seal: Seal = request.app.state.seal
    factor = _factor(asked)
    async with _attempt(request):
        if not await asyncio.to_thread(seal.opens, factor):
            raise _cannot_unlock()
        await asyncio.to_thread(seal.seal)
    return Response(status_code=204)


def _cannot_unlock() -> HttpProblem:
    return HttpProblem(403, "cannot_unlock", "this does not open the service's slot")


@asynccontextmanager
async def _attempt(request: Request) -> AsyncIterator[None]:
    """One attempt at a time, a second apart; one address has one of them waiting. Raises HttpProblem 429."""
    waiting: set[str] = request.app.state.unsealing
    source = request.scope["state"].get(SOURCE, "")
    if source in waiting:
        raise HttpProblem(429, "too_many_requests", "one attempt at a time", {"Retry-After": "2"})
    waiting.add(source)
    try:
        async with request.app.state.attempts:
            await asyncio.sleep(_ATTEMPTS_APART)
            yield
    finally:
        waiting.discard(source)


def _go_on(extracts: ExtractJobs, seal: Seal) -> None:
    extracts.resume(seal.standing())


async def _health(request: Request) -> HealthBody:
    seal: Seal = request.app.state.seal
    now = rfc3339(utc_now())
    try:
        looked = await request.app.state.health.look()
    except HttpProblem:
        return HealthBody(initialized=seal.initialized, sealed=True, time=now)
    age = None if looked.checkpoint_age is None else round(looked.checkpoint_age, 1)
    return HealthBody(
        initialized=True,
        sealed=False,
        database=_state(looked.database),
        audit=AuditHealth(state=_state(looked.audit), last_checkpoint_age_s=age),
        storage=_state(looked.storage),
        time=now,
    )


def _states(found: HealthBody) -> dict[str, str | None]:
    return {"database": found.database, "audit": None if found.audit is None else found.audit.state, "storage": found.storage}


def _state(answers: bool) -> Literal["ok", "unavailable"]:  # noqa: FBT001 - the state's only cause
    return "ok" if answers else "unavailable"


def _require_local(request: Request) -> None:
    """Refuse who comes from another machine, also through a proxy on this one, which says so. Raises HttpProblem 404."""
    through = {"forwarded", "x-forwarded-for", "x-real-ip", "via"} & set(request.headers)
    if request.scope["state"].get(SOURCE, "unknown") or through:
        raise HttpProblem(404, "not_served", "there is nothing here")


def _require_private(request: Request) -> None:
    """Factors come over TLS, or a Unix socket, alone. Raises HttpProblem 403."""
    over_socket = request.client is None
    if not over_socket and request.url.scheme != "https":
        raise HttpProblem(403, "channel_not_private", "a factor is sent over TLS or the Unix socket")


def _factor(asked: Unsealing) -> Factor:
    if (asked.passphrase is None) == (asked.key is None):
        raise HttpProblem(400, "factor_needed", "give a passphrase or a key, one of the two")
    if asked.passphrase is not None:
        return PassphraseFactor.from_text(asked.passphrase)
    try:
        key = base64.b64decode(asked.key or "", validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise HttpProblem(400, "key_malformed", f"a key is {KEY_BYTES} bytes as base64")
    return KeyFileFactor(Secret(key))
