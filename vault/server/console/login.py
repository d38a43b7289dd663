"""Login and logout: stewards and auditors unlock their own slot, researchers show an access token."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress

from starlette.requests import Request
from starlette.responses import Response

from policies.token_scopes import TokenScope
from vault.access import access_tokens
from vault.access.access_tokens import Authenticated
from vault.access.token_bindings import ShownFrom
from vault.crypto.keystore import Factor, KeyFileFactor, PassphraseFactor, Role
from vault.crypto.primitives import KEY_BYTES
from vault.crypto.secret import Secret
from vault.errors import GenovaultError
from vault.operations.recovery import open_recovered
from vault.server.admission import SOURCE
from vault.server.bearers import ShownToken, shown_from
from vault.server.console import forms, frame
from vault.server.console.messages import MESSAGES
from vault.server.console.sessions import ActedFor, Holder, OwnSlot, Reach
from vault.server.console.visits import Console
from vault.server.limits import WaitingLine
from vault.server.problems import BEGUN, HttpProblem, refused
from vault.server.seal import Seal

LOGIN = "/oidc/login"
OWN_ROLES = (Role.STEWARD, Role.AUDITOR)
AT_ONCE = 2  # unlocks under way: each takes the memory of Argon2
QUEUE = 16  # attempts under way or waiting; more are told 503 at once
OF_ONE = 4  # of them from one address of another machine; more are told 429
APART = 1.0  # seconds between two attempts of one name, and the step at which failures are told
_LONGEST = 1_000  # characters of a passphrase
_FAILED = "This name with this passphrase, key or token does not open the console."


class Doorkeeper:
    """Attempts to log in: how many at a time, and how often of one name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.line = WaitingLine(AT_ONCE, QUEUE, share=OF_ONE)
        self._clock = clock
        self._tried: dict[tuple[str, str], float] = {}

    def admits(self, name: str, source: str = "") -> bool:
        """True if the name was not tried from that source a moment ago: nobody elsewhere keeps its owner out. Forgotten after that moment."""
        now = self._clock()
        self._tried = {one: at for one, at in self._tried.items() if now - at < APART}
        if (name, source) in self._tried:
            return False
        self._tried[name, source] = now
        return True


async def show(request: Request) -> Response:
    """The login page."""
    return _page(request, MESSAGES.get(request.query_params.get("said", ""), ""))


async def log_in(request: Request) -> Response:
    """Begin a session; one that the browser had ends. Failures are told alike, whatever they were, at a step of a second."""
    forms.require_private(request)
    forms.require_same_origin(request)
    form = forms.fields(await request.body())
    console: Console = request.app.state.console
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    name, token = form.get("name", ""), form.get("access_token", "")
    source = request.scope["state"].get(SOURCE, "")
    if not token and not doorkeeper.admits(name[:64], source):
        return _page(request, "Too many attempts: wait a second, then try again.", 429, name=name)
    try:
        async with nullcontext() if token else doorkeeper.line.turn(source):  # a token takes no Argon2, and cannot be guessed
            holder = await asyncio.to_thread(_holder, console.seal, name, ShownToken(token, shown_from(request)), form)
    except (GenovaultError, HttpProblem) as error:
        if isinstance(error, HttpProblem) and error.code == "logins_busy":
            raise
        if isinstance(error, HttpProblem) and error.code == "sealed":
            return _page(request, "The server holds no keys now. Researchers can log in once a steward has unsealed it.", 503)
        await _at_step(request)
        return _page(request, _FAILED, 403, name=name)
    earlier = forms.session_id(request)
    session_id = await asyncio.to_thread(console.sessions.begin, holder)
    if earlier:
        await asyncio.to_thread(console.sessions.end, earlier)
    answer = frame.to("/")
    forms.set_session(request, answer, session_id)
    return answer


async def log_out(request: Request) -> Response:
    """End the session and drop its keys."""
    console: Console = request.app.state.console
    forms.require_same_origin(request)
    given = forms.session_id(request)
    session = console.sessions.find(given)
    if session is not None:
        forms.require_token(forms.fields(await request.body()), session.form_token)
        await asyncio.to_thread(console.sessions.end, given)
    answer = frame.to("/login?said=left")
    forms.forget_session(request, answer)
    return answer


def _holder(seal: Seal, name: str, token: ShownToken, form: Mapping[str, str]) -> Holder:
    if token.text:
        return researcher(seal, token)
    vault = open_recovered(seal.folder, factor=_factor(form), principal=name)
    if vault.role not in OWN_ROLES:
        with suppress(GenovaultError):
            vault.close()
        raise HttpProblem(403, "not_a_reader", "the console is for stewards, auditors and researchers")
    return OwnSlot(vault)


def researcher(seal: Seal, token: ShownToken) -> ActedFor:
    """Holder for a researcher's access token, which is looked up at every request: of the token's project.

    Raises:
        RefusedError: ``token_refused``. HttpProblem: 403, the token neither reads nor asks, or is a program's; as ``Seal.standing``.
    """

    def known(shown_from: ShownFrom) -> Authenticated:
        who = access_tokens.authenticate(seal.standing(), token.text, shown_from)
        if who.person.role is not Role.RESEARCHER or who.scopes.isdisjoint((TokenScope.READ, TokenScope.REQUEST)):
            raise refused()
        return who

    def act(shown_from: ShownFrom) -> Reach:
        who = known(shown_from)
        return Reach(seal.standing().acting(who.person), who.project, who.scopes)

    who = known(token.shown_from)
    return ActedFor(who.person.principal, who.person.role, act, who.accessor)


def _factor(form: Mapping[str, str]) -> Factor:
    """The factor of a form: a key's base64 where there is one, else the passphrase. Raises HttpProblem 403, as a wrong one does."""
    passphrase, key = form.get("passphrase", ""), form.get("key", "")
    if not key:
        return PassphraseFactor.from_text(passphrase[:_LONGEST] or " ")
    try:
        data = base64.b64decode("".join(key.split()), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != KEY_BYTES:
        raise HttpProblem(403, "cannot_unlock", _FAILED)
    return KeyFileFactor(Secret(data))


async def _at_step(request: Request) -> None:
    begun: float = request.scope.get("state", {}).get(BEGUN, time.monotonic())
    await asyncio.sleep(APART - (time.monotonic() - begun) % APART)


def _page(request: Request, said: str, status: int = 200, *, name: str = "") -> Response:
    provider = LOGIN if request.app.state.oidc is not None else ""
    return frame.html("login.html", status, title="Log in", said=said, failed=status != 200, name=name, provider=provider)
