"""Routes of what a bearer may prove and has left: receipts of own entries, budgets of the own project."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from policies.disclosure import nats
from policies.token_scopes import TokenScope
from vault.access import publication
from vault.access.disclosure import budget_book
from vault.audit.actions import Action
from vault.server.bearers import admitted, token_of
from vault.server.researchers.request_bodies import BudgetBody, BudgetsBody, NotSigned
from vault.server.seal import seal_of
from vault.session.unlocked_vault import UnlockedVault

routes = APIRouter(prefix="/v1")

Entry = Annotated[int, Path(ge=0, lt=1 << 53)]

_RETRY = {"Retry-After": "1"}


@routes.get(
    "/receipts/{entry}",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "A tlog-proof."},
        202: {"model": NotSigned, "description": "No signed checkpoint covers the entry yet."},
    },
)
async def receipt(request: Request, entry: Entry) -> Response:
    """Give the receipt (tlog-proof) of an entry of what was done for the bearer, in the token's project. Any scope."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> str | None:
        own, who = admitted(vault, token, Action.AUDIT_PROVE, *TokenScope)
        return publication.served_receipt(own, who.project, entry)

    text = await seal_of(request).run(work)
    if text is None:
        return JSONResponse(NotSigned(entry=entry, state="unsigned").model_dump(), 202, _RETRY)
    return PlainTextResponse(text)


@routes.get("/budgets")
async def budgets(request: Request) -> BudgetsBody:
    """Tell what the project's answers have cost, and what is left. Scope ``read``, ``engine`` or ``request``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> BudgetsBody:
        scopes = TokenScope.READ, TokenScope.ENGINE, TokenScope.REQUEST
        own, who = admitted(vault, token, Action.BUDGET_SHOW, *scopes)
        found = budget_book.show_own(own, who.project)
        rows = [
            BudgetBody(
                dataset=one.dataset,
                scope=budget.scope.value,
                owner=budget.owner,
                cap=nats.number(budget.cap),
                spent=nats.number(budget.spent),
                left=nats.number(budget.left),
                factor=nats.factor(budget.spent),
            )
            for one in found
            for budget in one.budgets
        ]
        return BudgetsBody(project=who.project, budgets=rows)

    return await seal_of(request).run(work)
