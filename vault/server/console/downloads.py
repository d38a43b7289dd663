"""Downloads: releases of a researcher's own requests, and their files, by the session's token."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from policies.token_scopes import TokenScope
from vault.access import own_releases
from vault.access.own_releases import OwnRelease
from vault.audit.actions import Action
from vault.extracts.release_folder import RECEIPT_NAME
from vault.server.console import cells, forms, frame
from vault.server.console.frame import Answer, Badge, ConsolePage, Link
from vault.server.console.visits import Console, Visit, ended
from vault.server.problems import refused
from vault.server.researchers import deliveries

_KINDS = {"ready": "good", "making": "off", "waiting": "off", "refused": "bad", "failed": "bad", "lost": "bad", "stopped": "bad"}


def listed(visit: Visit) -> Answer:
    """Releases of own requests, newest first, with the files that the server keeps."""
    visit.require(Action.RELEASE_DOWNLOAD, TokenScope.DOWNLOAD, TokenScope.EXTRACT)
    found: list[OwnRelease] = []
    if visit.project is not None:
        found = own_releases.listed(visit.vault, visit.project, visit.extracts.folder, live=visit.extracts.live)
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
    if not session.token:
        raise refused()
    return await deliveries.sent(request, session.token, request.path_params["release"], request.path_params["name"])


def _files(one: OwnRelease, *, linked: bool) -> list[tuple[object, ...]]:
    """Rows of a release's files; its receipt, which is made behind the others, is among them."""
    listed = [(file.name, f"{file.bytes:,}", file.sha256) for file in one.files]
    if listed and all(name != RECEIPT_NAME for name, _, _ in listed):
        listed.append((RECEIPT_NAME, "", ""))
    return [(Link(_address(one.release_id, name), name) if linked else name, size, mark) for name, size, mark in listed]


def _address(release_id: str, name: str) -> str:
    return f"/downloads/{quote(release_id, safe='')}/{quote(name, safe='')}"
