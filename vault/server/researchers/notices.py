"""Routes of notices: what a bearer holds and has to drop, and that it is done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.responses import Response

from policies.dropping import WORDS, Todo
from policies.token_scopes import TokenScope
from vault.access import own_notices
from vault.access.notice_records import Notice
from vault.audit.actions import Action
from vault.errors import InputError
from vault.server.bearers import admitted, token_of
from vault.server.bodies import PLAIN, Body
from vault.server.problems import HttpProblem
from vault.server.seal import seal_of
from vault.session.unlocked_vault import UnlockedVault

routes = APIRouter(prefix="/v1/notices")

NoticeId = Annotated[str, Path(min_length=1, max_length=64, pattern=PLAIN)]


class DropBody(Body):
    """One record to drop, null for everything that was received; ``words``: what to do, in words."""

    pseudonym: str | None
    do: str
    words: str


class NoticeBody(Body):
    """A notice about a release, or about what was received of a panel (``holding``)."""

    notice: str
    project: str
    kind: str
    concerns: str
    about: str
    state: str
    late: bool
    drops: list[DropBody]
    called_off: list[str]
    created: str
    due: str


class NoticesBody(Body):
    """Own notices, the earliest due first."""

    notices: list[NoticeBody]


class Acknowledgement(Body):
    """Account of how it was done; kept sealed, for stewards."""

    reason: Annotated[str, Field(min_length=1, max_length=2_000)]


@routes.get("")
async def listed(request: Request) -> NoticesBody:
    """List what the bearer has to drop. Scope ``download`` or ``engine``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> NoticesBody:
        own, who = admitted(vault, token, Action.RELEASE_SHOW, TokenScope.DOWNLOAD, TokenScope.ENGINE)
        now = vault.clock()
        return NoticesBody(notices=[_body(one, now) for one in own_notices.listed(own, who.project)])

    return await seal_of(request).run(work)


@routes.get("/{notice_id}", response_class=Response, responses={200: {"content": {"application/json": {}}}})
async def signed(request: Request, notice_id: NoticeId) -> Response:
    """Give a notice as its signed file, notice/1. Scope ``download`` or ``engine``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> bytes:
        own, who = admitted(vault, token, Action.RELEASE_ISSUE_NOTICE, TokenScope.DOWNLOAD, TokenScope.ENGINE)
        return own_notices.signed_file(own, who.project, notice_id)

    return Response(await seal_of(request).run(work), media_type="application/json")


@routes.post("/{notice_id}/ack", status_code=204, responses={409: {"description": "It was called off."}})
async def acknowledge(request: Request, notice_id: NoticeId, said: Acknowledgement) -> Response:
    """Say that it is done; said again, it stays said. Scope ``download``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> None:
        own, who = admitted(vault, token, Action.RELEASE_ACKNOWLEDGE, TokenScope.DOWNLOAD)
        try:
            own_notices.acknowledge(own, who.project, notice_id, said.reason)
        except InputError as error:
            if error.code != "notice_state":
                raise
            raise HttpProblem(409, error.code, error.message) from None

    await seal_of(request).run(work)
    return Response(status_code=204)


def _body(notice: Notice, now: datetime) -> NoticeBody:
    drops = [DropBody(pseudonym=one.pseudonym or None, do=one.todo, words=WORDS[Todo(one.todo)]) for one in notice.in_force]
    return NoticeBody(
        notice=notice.notice_id,
        project=notice.project,
        kind=notice.content.kind,
        concerns=notice.ref,
        about=notice.content.about,
        state=notice.state,
        late=notice.overdue(now),
        drops=drops,
        called_off=sorted({one.pseudonym for one in notice.content.drops if one.off and one.pseudonym}),
        created=f"{notice.created.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        due=f"{notice.due.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )
