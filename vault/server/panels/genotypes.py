"""Routes of panels for engines: genotypes as JSON or Arrow, and the table of their sites (docs/formats/engine.md)."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from policies.token_scopes import TokenScope
from vault import gate
from vault.audit.actions import Action
from vault.gate import PanelRead
from vault.server.bearers import admitted, shown_token, token_of
from vault.server.bodies import PLAIN, Genotypes, GenotypesAsked, Name, PanelChangesBody, PanelSites
from vault.server.limits import ASKER
from vault.server.panels import arrow_answers, panel_bodies
from vault.server.panels.cursors import MOST_CHARACTERS, PanelCursor, cursor_invalid, cursor_text, read_cursor
from vault.server.panels.held_views import HeldStream, HeldViews, held_body, held_of
from vault.server.panels.quick_reads import quick_read
from vault.server.panels.waiting import watch_of
from vault.server.problems import HttpProblem, refused
from vault.server.seal import seal_of
from vault.session.unlocked_vault import UnlockedVault

routes = APIRouter(prefix="/v1/projects")

MOST_PEOPLE = 1_000  # of one answer in JSON
MOST_SETS = 8  # of people in one cursor; then a whole read begins anew

Code = Annotated[str, Path(min_length=1, max_length=64, pattern=PLAIN)]
SitesId = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
Dataset = Annotated[Name, Query()]
Since = Annotated[str, Query(min_length=1, max_length=MOST_CHARACTERS)]

_ARROW: dict[int | str, dict[str, Any]] = {
    200: {"content": {arrow_answers.MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
}


@dataclass(frozen=True)
class PanelAnswer:
    """Rows to give, and the state that they bring whoever asks to. ``whole``: all rows that may be held; else those that came, and ``drop``."""

    read: PanelRead
    cursor: str
    drop: tuple[str, ...] = ()
    whole: bool = True


@routes.post("/{project}/panels/{panel}/genotypes", response_model=Genotypes, responses=_ARROW)
async def genotypes(request: Request, project: Code, panel: Code, asked: GenotypesAsked) -> Response:
    """Give the genotypes of a panel, of everybody whose consent permits it at this moment, of some of them, or of those who came since a cursor.

    As JSON, of at most 1,000 people, or as an Arrow stream, by ``Accept``. Scope ``engine``.
    """
    token = token_of(request)
    arrow, held, asker, seal = _wants_arrow(request), held_of(request), ASKER.get(), seal_of(request)

    def still(read: PanelRead) -> Callable[[], None]:
        watch = gate.ReadWatch(read, project=project, dataset=asked.dataset, panel=panel)

        def require() -> None:
            own, _ = admitted(seal.standing(), token, Action.VIEW_READ, TokenScope.ENGINE, project=project)
            watch.require(own)

        return require

    def work(vault: UnlockedVault) -> Response:
        own, _ = admitted(vault, token, Action.VIEW_INTENT, TokenScope.ENGINE, project=project)
        held.require_room(asker)
        if asked.pseudonyms is not None and asked.since is not None:
            raise HttpProblem(400, "since_and_names", "give pseudonyms or a cursor, one of the two")
        answer = _read(own, project, panel, asked) if asked.since is None else _since(own, project, panel, asked)
        if not arrow:
            return _in_json(own, answer, held, asker)
        pieces, release = _stream(answer, with_sites=asked.sites), held.hold(asker, answer.read.view.codes.nbytes)
        return HeldStream(
            _pieces(pieces, still(answer.read)), release, media_type=arrow_answers.MEDIA_TYPE, headers=_headers(answer)
        )

    return await seal.run(work)


async def quick_answer(request: Request, project: str, panel: str, asked: GenotypesAsked) -> Response | None:
    """The answer to a question for some people by name, where it can be given quickly (``quick_reads``); None where it goes the long way.

    Raises:
        HttpProblem: ``busy``. UnavailableError: as ``quick_read``.
    """
    token = shown_token(request)
    if token is None:
        return None
    arrow, held, asker = _wants_arrow(request), held_of(request), ASKER.get()

    def answered(own: UnlockedVault, read: PanelRead) -> Response:
        answer = _answer(own, project, panel, asked, read)
        return _in_arrow(answer, with_sites=asked.sites) if arrow else _in_json(own, answer, held, asker)

    held.require_room(asker)
    return await quick_read(request, token, (project, asked.dataset, panel), asked.pseudonyms or [], answered)


@routes.get("/{project}/panels/{panel}/sites/{sites_id}", response_model=PanelSites, responses=_ARROW)
async def sites(request: Request, project: Code, panel: Code, sites_id: SitesId, dataset: Dataset) -> Response:
    """Give the table of the sites that the panel's answers have at this moment, by its id. Scope ``engine``."""
    token, arrow = token_of(request), _wants_arrow(request)

    def work(vault: UnlockedVault) -> Response:
        own, _ = admitted(vault, token, Action.VIEW_INTENT, TokenScope.ENGINE, project=project)
        read = gate.read_panel(own, project=project, dataset=dataset, panel=panel, pseudonyms=())
        if read.sites_id != sites_id:
            raise refused()
        if arrow:
            return Response(arrow_answers.site_stream(read.view.sites, read.view.assembly), media_type=arrow_answers.MEDIA_TYPE)
        return Response(panel_bodies.sites_body(own, read), media_type="application/json")

    return await seal_of(request).run(work)


@routes.get("/{project}/panels/{panel}/changes")
async def changes(
    request: Request,
    project: Code,
    panel: Code,
    *,
    dataset: Dataset,
    since: Since,
    wait: Annotated[int, Query(ge=0, le=30)] = 0,
) -> PanelChangesBody:
    """Tell who came, and whose rows are not to be held any more, since a cursor; ``wait``: seconds until there is something. Scope ``engine``."""
    token = token_of(request)
    watch, until = watch_of(request), time.monotonic() + wait

    def work(vault: UnlockedVault) -> PanelChangesBody:
        own, _ = admitted(vault, token, Action.VIEW_CHANGES, TokenScope.ENGINE, project=project)
        cursor = _shown(own, since, project=project, dataset=dataset, panel=panel, most=MOST_SETS)
        told = gate.changes(
            own, project=project, dataset=dataset, panel=panel, since_people=cursor.people, since_rows=cursor.rows
        )
        return PanelChangesBody(
            added=list(told.added),
            drop=list(told.dropped),
            sites_changed=told.sites_changed,
            cursor=cursor_text(own, replace(cursor, people=told.people)),
        )

    async with watch.place(ASKER.get()) if wait else nullcontext():
        while True:
            news = watch.news
            told = await seal_of(request).run(work)
            over = time.monotonic() >= until or watch.ended or await request.is_disconnected()
            if told.added or told.drop or told.sites_changed or over:
                return told
            await _until(request, news, until)


async def _until(request: Request, news: asyncio.Event, until: float) -> None:
    """Wait for news, for the end of the time, or for the client to go away."""
    while not news.is_set() and (left := until - time.monotonic()) > 0 and not await request.is_disconnected():
        with suppress(TimeoutError):
            async with asyncio.timeout(min(left, 1.0)):
                await news.wait()


def _read(vault: UnlockedVault, project: str, panel: str, asked: GenotypesAsked) -> PanelAnswer:
    read = gate.read_panel(vault, project=project, dataset=asked.dataset, panel=panel, pseudonyms=asked.pseudonyms)
    return _answer(vault, project, panel, asked, read)


def _answer(vault: UnlockedVault, project: str, panel: str, asked: GenotypesAsked, read: PanelRead) -> PanelAnswer:
    cursor = PanelCursor(vault.principal, project, asked.dataset, panel, (read.people,), read.sites_id, read.rows)
    return PanelAnswer(read, cursor_text(vault, cursor))


def _since(vault: UnlockedVault, project: str, panel: str, asked: GenotypesAsked) -> PanelAnswer:
    """Rows of those who came since a cursor; all, where sites or rows of those who stayed are others by now."""
    cursor = _shown(vault, asked.since or "", project=project, dataset=asked.dataset, panel=panel)
    place = {"project": project, "dataset": asked.dataset, "panel": panel}
    told = gate.changes(vault, **place, since_people=cursor.people, since_rows=cursor.rows)
    if told.rows == cursor.rows and not told.unnamed and len(told.people) <= MOST_SETS:
        read = gate.read_panel(vault, **place, pseudonyms=told.added)
        if (read.sites_id, read.rows) == (cursor.sites_id, cursor.rows):
            # Who came or left in between the two is told next: the people are those that were told.
            people = (read.people,) if read.people == told.now else told.people
            return PanelAnswer(read, cursor_text(vault, replace(cursor, people=people)), told.dropped, whole=False)
    return _read(vault, project, panel, asked)


def _shown(vault: UnlockedVault, text: str, *, project: str, dataset: str, panel: str, most: int = MOST_SETS + 1) -> PanelCursor:
    """Cursor that somebody shows, of at most so many sets; one that does not hold leaves an entry. Raises as ``read_cursor``."""
    with vault.trail.attempting(Action.VIEW_CHANGES, project=project):
        cursor = read_cursor(vault, text, project=project, dataset=dataset, panel=panel)
        if len(cursor.people) > most:
            raise cursor_invalid()
        return cursor


def _in_json(vault: UnlockedVault, answer: PanelAnswer, held: HeldViews, asker: str) -> Response:
    if len(answer.read.view.pseudonyms) > MOST_PEOPLE:
        raise HttpProblem(
            413, "too_many_people", f"one answer in JSON is of at most {MOST_PEOPLE:,} people: name some, or ask for Arrow"
        )
    said = {"cursor": answer.cursor, "drop": list(answer.drop), "whole": answer.whole}
    body = panel_bodies.genotypes_body(vault, answer.read, said)
    return held_body(held, asker, body, media_type="application/json", headers=_headers(answer))


def _in_arrow(answer: PanelAnswer, *, with_sites: bool) -> Response:
    """A few people's rows, whole."""
    body = b"".join(_stream(answer, with_sites=with_sites))
    return Response(body, media_type=arrow_answers.MEDIA_TYPE, headers=_headers(answer))


def _stream(answer: PanelAnswer, *, with_sites: bool) -> Iterator[bytes]:
    view = answer.read.view
    said = {
        "sites_id": answer.read.sites_id,
        "entry": str(answer.read.entry),
        "cursor": answer.cursor,
        "drop": json.dumps(answer.drop),
        "whole": json.dumps(answer.whole),
    }
    if with_sites:
        said["site_table"] = base64.b64encode(arrow_answers.site_stream(view.sites, view.assembly)).decode()
    return arrow_answers.genotype_stream(view, said)


async def _pieces(stream: Iterator[bytes], require_still: Callable[[], None]) -> AsyncIterator[bytes]:
    """Pieces of a stream, each made beside the event loop when it is its turn, while all in it may still be given."""

    def made() -> bytes:
        require_still()
        return next(stream, b"")

    while piece := await asyncio.to_thread(made):
        yield piece


def _headers(answer: PanelAnswer) -> dict[str, str]:
    return {
        "Genovault-Sites-Id": answer.read.sites_id,
        "Genovault-Cursor": answer.cursor,
        "Genovault-Entry": str(answer.read.entry),
    }


def _wants_arrow(request: Request) -> bool:
    return arrow_answers.MEDIA_TYPE in request.headers.get("accept", "")
