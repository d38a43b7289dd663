"""Way in for reads of a few people, ahead of the framework's routes: matching an address and taking a body apart there costs more than the read's entry.

It answers what ``genotypes.quick_answer`` answers, and says nothing else: whatever is not plainly such a question, or is not to be answered so, goes to
the routes, which say what is wrong with it. Pure ASGI, within the boundary, which hands the body on whole.
"""

from __future__ import annotations

import json
import re

from pydantic import ValidationError
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vault.errors import GenovaultError
from vault.server.bodies import PLAIN, GenotypesAsked
from vault.server.panels import genotypes
from vault.server.problems import HttpProblem, problem_of

_ADDRESS = re.compile(r"/v1/projects/([^/]{1,64})/panels/([^/]{1,64})/genotypes")
_PLAIN = re.compile(PLAIN.replace("$", r"\Z"))
_ROUTE = next(
    one for one in genotypes.routes.routes if getattr(one, "name", "") == "genotypes"
)  # by whose template answers are counted


class QuickRoute:
    """Answers reads of a few people where they can be answered quickly."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        place = _ADDRESS.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if place is None or not all(map(_PLAIN.match, place.groups())):
            await self._app(scope, receive, send)
            return
        first = await receive()
        asked = _asked(first)
        if asked is not None:
            project, panel = place.groups()
            try:
                answer = await genotypes.quick_answer(Request(scope, receive), project, panel, asked)
            except HttpProblem as problem:
                answer = problem.response()
            except GenovaultError as error:  # of the log: an entry that may be in it is not made twice
                answer = problem_of(error).response()
            if answer is not None:
                scope["route"] = _ROUTE
                await answer(scope, receive, send)
                return
        parts = iter([first])

        async def replay() -> Message:
            return next(parts, None) or await receive()

        await self._app(scope, replay, send)


def _asked(message: Message) -> GenotypesAsked | None:
    """The question of a body that came whole; None for what is none, or none for some people by name."""
    if message["type"] != "http.request" or message.get("more_body", False):
        return None
    try:
        asked = GenotypesAsked.model_validate(json.loads(message["body"]))
    except (ValidationError, ValueError, RecursionError):
        return None
    return None if asked.pseudonyms is None or asked.since is not None else asked
