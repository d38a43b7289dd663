"""Downloads: releases of a researcher's own requests, and their files, as the interface sends them."""

from __future__ import annotations

import asyncio
from functools import partial
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from policies.token_scopes import TokenScope
from vault.access import own_releases
from vault.access.own_releases import OwnRelease
from vault.access.token_bindings import ShownFrom
from vault.audit.actions import Action
from vault.errors import RefusedError
from vault.extracts.release_folder import RECEIPT_NAME
from vault.server.bearers import shown_from
from vault.server.console import cells, forms, frame
from vault.server.console.frame import Answer, Badge, ConsolePage, Link
from vault.server.console.sessions import GONE, ActedFor
from vault.server.console.visits import Console, Visit, ended
from vault.server.problems import refused
from vault.server.researchers import deliveries
from vault.server.researchers.deliveries import Fetcher
from vault.session.unlocked_vault import UnlockedVault

_KINDS = {"ready": "good", "making": "off", "waiting": "off", "refused": "bad", "failed": "bad", "stopped": "bad"}


def listed(visit: Visit) -> Answer:
    """Releases of own requests, newest first, with the files that the server keeps."""
    visit.require(Action.RELEASE_DOWNLOAD, TokenScope.DOWNLOAD, TokenScope.EXTRACT)
    found: list[OwnRelease] = []
    if visit.project is not None:
        found = own_releases.listed(visit.vault, visit.project, visit.extracts.folder)
    can_fetch = visit.has(TokenScope.DOWNLOAD)
    shown = [(one, Badge(one.state, _KINDS.get(one.state, "plain")), _files(one, linked=can_fetch)) for one in found]
    return ConsolePage("downloads.html", "Downloads", {"found": shown, "second": cells.second})


async def file(request: Request) -> Response:
    """A file of an own release, or a range of it, as the interface sends it. Raises HttpProblem."""
    console: Console = request.app.state.console
    given = forms.session_id(request)
    session = console.sessions.find(given)
    if session is None:
        return ended(request) if given else frame.to("/login")
    if session.served is None:
        raise refused()
    place = request.path_params
    try:
        return await deliveries.sent(
            request, partial(_fetcher, session.served, shown_from(request)), place["release"], place["name"]
        )
    except RefusedError as error:
        if error.code not in GONE:
            raise
        await asyncio.to_thread(console.sessions.end, given)
        return ended(request)


def _fetcher(served: ActedFor, place: ShownFrom, vault: UnlockedVault) -> Fetcher:  # noqa: ARG001 - the holder looks the service's vault up itself
    """Whoever a session is of, as they stand now. Raises as ``ActedFor.reach``; RefusedError ``scope_missing``, with an entry."""
    reach = served.reach(place)
    if reach.project is None or reach.scopes is None:
        raise refused()
    with reach.vault.trail.attempting(Action.RELEASE_DOWNLOAD, project=reach.project):
        if TokenScope.DOWNLOAD not in reach.scopes:
            raise RefusedError("scope_missing", "the token is not good for this act")
    return Fetcher(reach.vault, reach.project, served.counted_as, partial(served.reach, place))


def _files(one: OwnRelease, *, linked: bool) -> list[tuple[object, ...]]:
    """Rows of a release's files; its receipt, which is made behind the others, is among them."""
    listed = [(file.name, f"{file.bytes:,}", file.sha256) for file in one.files]
    if listed and all(name != RECEIPT_NAME for name, _, _ in listed):
        listed.append((RECEIPT_NAME, "", ""))
    return [(Link(_address(one.release_id, name), name) if linked else name, size, mark) for name, size, mark in listed]


def _address(release_id: str, name: str) -> str:
    return f"/downloads/{quote(release_id, safe='')}/{quote(name, safe='')}"
