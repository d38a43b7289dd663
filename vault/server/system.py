"""Routes of the server itself: alive, ready, sealed or not."""

from __future__ import annotations

import asyncio
import base64
import binascii

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from vault.crypto.keystore import Factor, KeyFileFactor, PassphraseFactor
from vault.crypto.primitives import KEY_BYTES
from vault.crypto.secret import Secret
from vault.errors import GenovaultError
from vault.server.bodies import SealStatus, Unsealing
from vault.server.problems import HttpProblem
from vault.server.seal import Seal

routes = APIRouter()

_ATTEMPTS_APART = 1.0  # seconds between two attempts to unseal, whoever makes them


@routes.get("/livez", include_in_schema=False)
async def livez() -> Response:
    """Answer while the process runs."""
    return Response(status_code=204)


@routes.get("/readyz", include_in_schema=False)
async def readyz(request: Request) -> Response:
    """Answer 204 where an access could be logged and answered, 503 where not, with the reason."""
    seal: Seal = request.app.state.seal
    if seal.is_sealed:
        return JSONResponse({"sealed": True}, 503)
    try:
        await seal.run(lambda vault: vault.trail.log.size())
    except (GenovaultError, HttpProblem):
        return JSONResponse({"audit": "unavailable"}, 503)
    return Response(status_code=204)


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
    async with request.app.state.attempts:
        await asyncio.sleep(_ATTEMPTS_APART)
        await asyncio.to_thread(seal.unseal, factor)
    return Response(status_code=204)


@routes.post("/v1/sys/seal", status_code=204)
async def seal_now(request: Request, asked: Unsealing) -> Response:
    """Drop the keys; whoever could unseal may."""
    _require_private(request)
    seal: Seal = request.app.state.seal
    factor = _factor(asked)
    async with request.app.state.attempts:
        await asyncio.sleep(_ATTEMPTS_APART)
        if not await asyncio.to_thread(seal.opens, factor):
            raise HttpProblem(403, "cannot_unlock", "this does not open the service's slot")
        await asyncio.to_thread(seal.seal)
    return Response(status_code=204)


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
