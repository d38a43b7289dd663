"""Routes of the console, and how they hang in a server."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vault.server.console import (
    correction_pages,
    declared,
    disclosure_pages,
    downloads,
    frame,
    log_pages,
    login,
    merge_pages,
    notice_pages,
    oversight,
    overview,
    requested,
    waiting,
)
from vault.server.console.frame import Redirection
from vault.server.console.sections import sections
from vault.server.console.sessions import Sessions
from vault.server.console.visits import Console, Visit, allowed, page
from vault.server.seal import Seal


def hang_in(app: FastAPI, seal: Seal, sessions: Sessions | None) -> Console:
    """Add the console to an application; what its lifespan has to run."""
    console = Console(seal, sessions or Sessions())
    app.state.console, app.state.doorkeeper = console, login.Doorkeeper()
    app.router.routes.extend(_routes())
    return console


def _routes() -> list[Route]:
    prefix = frame.PREFIX
    return [
        Route(prefix, _home_of, include_in_schema=False),
        Route(f"{prefix}/login", login.show, methods=["GET"], include_in_schema=False),
        Route(f"{prefix}/login", login.log_in, methods=["POST"], include_in_schema=False),
        Route(f"{prefix}/logout", login.log_out, methods=["POST"], include_in_schema=False),
        Route(f"{prefix}/static/{{name}}", _asset, methods=["GET"], include_in_schema=False),
        page("/", get=_home, served=True),
        page("/waiting", get=waiting.queue),
        page("/waiting/rule", post=waiting.rule),
        page("/waiting/pack", post=waiting.approve_pack),
        page("/waiting/recipient", post=waiting.confirm_recipient),
        page("/waiting/resolution", post=waiting.approve_resolution),
        page("/waiting/corrections/{event}", get=correction_pages.shown),
        page("/waiting/corrections/{event}/agree", post=correction_pages.agree),
        page("/waiting/corrections/{event}/take-back", post=correction_pages.take_back),
        page("/waiting/merges", get=merge_pages.listed, post=merge_pages.looked),
        page("/waiting/merges/merge", post=merge_pages.merge),
        page("/waiting/merges/take-back", post=merge_pages.take_back),
        page("/requests", get=requested.listed, served=True),
        page("/requests/{request}", get=requested.shown, served=True),
        page("/requests/{request}/risk", post=requested.assess),
        page("/requests/{request}/approve", post=requested.approve),
        page("/requests/{request}/deny", post=requested.deny),
        page("/requests/{request}/withdraw", post=requested.withdraw, served=True),
        page("/projects", get=declared.listed, served=True),
        page("/projects/{code}", get=declared.shown, served=True),
        page("/projects/{code}/approve", post=declared.approve),
        page("/projects/{code}/check", get=declared.check),
        page("/projects/{code}/budgets", get=disclosure_pages.budgets, served=True),
        page("/projects/{code}/budgets", post=disclosure_pages.give),
        page("/projects/{code}/budgets/agree", post=disclosure_pages.agree),
        page("/projects/{code}/tables", get=disclosure_pages.tables, post=disclosure_pages.assess),
        page("/projects/{code}/tables/approve", post=disclosure_pages.approve),
        page("/downloads", get=downloads.listed, served=True),
        Route(f"{prefix}/downloads/{{release}}/{{name}}", downloads.file, methods=["GET"], include_in_schema=False),
        page("/coverage", get=waiting.coverage),
        page("/expiring", get=waiting.expiring),
        page("/notices", get=notice_pages.listed, post=notice_pages.acknowledge, served=True),
        page("/overview", get=overview.overview),
        page("/approvals", get=oversight.approvals),
        page("/approvals/{code}", get=oversight.approvals_of),
        page("/disclosures", get=oversight.disclosures_form, post=oversight.disclosures),
        page("/left", get=oversight.left),
        page("/checkpoints", get=oversight.checkpoints),
        page("/log", get=log_pages.entries),
        page("/log/{number}", get=log_pages.entry),
        page("/log/{number}/proof", get=log_pages.proof),
        page("/log/{number}/entry.tlog-proof", get=log_pages.proof_file),
    ]


async def _asset(request: Request) -> Response:
    return frame.asset(request)


async def _home_of(_: Request) -> Response:
    return frame.to("/")


def _home(visit: Visit) -> Redirection:
    """The first section of the role."""
    return Redirection(next(one.path for one in sections(allowed(visit)) if visit.has(*one.scopes)))
