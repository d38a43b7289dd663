"""Reads of a few people under a clearance that is kept: answered without a thread that waits, and without a statement of their own before the entry's.

Who asks was looked up before, and the decision was made before; the transaction that appends the entry finds that all of it still holds, or the
request goes the long way, which says what is different now. Only what is given is given here; nothing is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request

from policies.token_scopes import TokenScope
from vault import gate
from vault.access import access_tokens
from vault.errors import GenovaultError, UnavailableError
from vault.gate import PanelRead
from vault.server.bearers import ShownToken
from vault.server.seal import LOCK_SECONDS, seal_of
from vault.session.unlocked_vault import UnlockedVault

T = TypeVar("T")

MOST_PEOPLE = 128  # of one such read: opening more takes a turn of its own


async def quick_read(
    request: Request,
    token: ShownToken,
    place: tuple[str, str, str],
    pseudonyms: list[str],
    answered: Callable[[UnlockedVault, PanelRead], T],
) -> T | None:
    """The answer that is made of a read, or None where it has to go the long way. ``place``: project, dataset and panel.

    Raises:
        UnavailableError: ``log_unavailable``: the log did not answer in time, and nothing is given.
    """
    seal = seal_of(request)
    vault = seal.unlocked
    known = None if vault is None else access_tokens.remembered(vault, token.text, token.shown_from)
    if vault is None or known is None or len(pseudonyms) > MOST_PEOPLE:
        return None
    who, standing = known
    project, dataset, panel = place
    if TokenScope.ENGINE not in who.scopes or project != who.project:
        return None
    own = vault.acting(who.person)
    ready = gate.cleared_read(own, project=project, dataset=dataset, panel=panel, pseudonyms=pseudonyms)
    if ready is None:
        return None
    try:
        future = own.trail.post(ready.entry, guards=(*ready.guards, standing), then=ready.then)
        appended = await asyncio.wait_for(future, LOCK_SECONDS)
    except TimeoutError:
        raise UnavailableError("log_unavailable", "the audit log did not answer in time, so nothing is given") from None
    except GenovaultError as error:
        if error.code in {gate.STALE, access_tokens.STATE_CHANGED}:
            return None
        raise

    def opened() -> T | None:
        try:
            read = ready.given(appended)
        except GenovaultError as error:
            ready.failed(appended, error)
            return None
        return answered(own, read)

    return await seal.beside(opened)
