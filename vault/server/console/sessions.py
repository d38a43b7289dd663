"""Sessions of the console: who logged in, and the keys of their own slot. In memory alone; a session's id is kept as its digest.

A session ends 15 minutes after its last request, 8 hours after its login, when its owner logs out, and at the first request after its slot
was removed or its principal disabled. Its keys go with it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from policies.token_scopes import TokenScope
from vault.access.token_bindings import ShownFrom
from vault.crypto.keystore import Role
from vault.errors import GenovaultError, RefusedError, UnavailableError
from vault.ids import RandomBytes
from vault.session.unlocked_vault import UnlockedVault

T = TypeVar("T")

IDLE = 15 * 60.0  # seconds without a request
LONGEST = 8 * 3600.0  # seconds from login
MOST = 32  # sessions at a time
MOST_OF_ONE = 4  # of one principal: its oldest ends where a fifth begins
_ID_BYTES = 32
GONE = ("slot_outdated", "principal_disabled", "token_refused", "sealed")
"""Codes of refusals that end a session."""


class SessionEndedError(Exception):
    """The session is over, and whoever asked has to log in again."""


@dataclass(frozen=True)
class Reach:
    """Vault of one request, and what of it: ``project`` and ``scopes`` of a token; both None for those who see by their role alone."""

    vault: UnlockedVault
    project: str | None = None
    scopes: frozenset[TokenScope] | None = None


class Holder(Protocol):
    """Way of a session to the vault: its owner's own slot, or the service that acts for them."""

    @property
    def principal(self) -> str:
        """Name of whoever logged in."""

    @property
    def role(self) -> Role:
        """Their role."""

    def reach(self, shown_from: ShownFrom) -> Reach:
        """The vault for one request, from where it comes. Raises GenovaultError with one of the codes of an end, where access was taken away since."""

    def close(self) -> None:
        """Drop the keys."""


class OwnSlot:
    """Keys of somebody who unlocked their own slot."""

    def __init__(self, vault: UnlockedVault) -> None:
        self._vault = vault
        self.principal, self.role = vault.principal, vault.role

    def reach(self, _: ShownFrom) -> Reach:
        """The unlocked vault, held against the newest keystore. Raises as ``UnlockedVault.require_standing``."""
        with self._vault.books.read() as tx:
            self._vault.require_standing(tx)
        return Reach(self._vault)

    def close(self) -> None:
        """Sign what is unsigned, where this principal can, and drop the keys. A slot that was removed signs nothing any more."""
        with suppress(GenovaultError):
            self._vault.close()


@dataclass(frozen=True)
class ActedFor:
    """Somebody without keys. ``acting``: the service's vault in their name, and what of it, proven anew at each request; ``counted_as``: what their
    downloads are counted under.
    """

    principal: str
    role: Role
    acting: Callable[[ShownFrom], Reach] = field(repr=False)
    counted_as: str = field(repr=False)

    def reach(self, shown_from: ShownFrom) -> Reach:
        """The service's vault in their name. Raises as ``acting``."""
        return self.acting(shown_from)

    def close(self) -> None:
        """Nothing is held here."""


class ConsoleSession:
    """One login. Its requests are answered one at a time: the keys of one slot are not for several threads."""

    def __init__(self, holder: Holder, *, form_token: str, now: float) -> None:
        self.principal, self.role, self.form_token = holder.principal, holder.role, form_token
        self.begun = self.used = now
        self.served = holder if isinstance(holder, ActedFor) else None  # whom the service acts for
        self.turn = asyncio.Lock()  # waited for before a thread is taken
        self._holder: Holder | None = holder
        self._lock = threading.Lock()

    def run(self, work: Callable[[Reach], T], shown_from: ShownFrom) -> T:
        """Do some work with the vault, for a request. Raises SessionEndedError where access was taken away; and as ``work``."""
        with self._lock:
            if self._holder is None:
                raise SessionEndedError
            try:
                reach = self._holder.reach(shown_from)
            except (RefusedError, UnavailableError) as error:
                if error.code in GONE:
                    raise SessionEndedError from None
                raise
            return work(reach)

    def is_over(self, now: float) -> bool:
        """True if it was not used for too long, or has lasted too long."""
        return now - self.used >= IDLE or now - self.begun >= LONGEST

    def end(self) -> None:
        """Drop the keys, behind a request that is being answered."""
        with self._lock:
            holder, self._holder = self._holder, None
            if holder is not None:
                holder.close()


class Sessions:
    """All sessions of a server, by the digests of their ids. Safe among threads."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, random: RandomBytes = os.urandom) -> None:
        self._clock, self._random = clock, random
        self._open: dict[bytes, ConsoleSession] = {}
        self._changing = threading.Lock()

    def begin(self, holder: Holder) -> str:
        """Begin a session; its id, for the cookie. Raises UnavailableError ``sessions_full``; the holder is closed then."""
        session_id, now = self._drawn(), self._clock()
        session = ConsoleSession(holder, form_token=self._drawn(), now=now)
        ended = self._taken_out(lambda one: one.is_over(now))
        with self._changing:
            own = [key for key, one in self._open.items() if one.principal == session.principal]  # the oldest first
            if len(own) >= MOST_OF_ONE:
                ended.append(self._open.pop(own[0]))
            full = len(self._open) >= MOST
            if not full:
                self._open[_digest(session_id)] = session
        if full:
            ended.append(session)
        for one in ended:
            one.end()
        if full:
            raise UnavailableError("sessions_full", "too many people are logged in now", hint="try again later")
        return session_id

    def find(self, session_id: str) -> ConsoleSession | None:
        """The session of an id, which counts as used now; None for what is none, or is over."""
        now = self._clock()
        with self._changing:
            session = self._open.get(_digest(session_id))
            if session is None or session.is_over(now):
                return None
            session.used = now
            return session

    def end(self, session_id: str) -> None:
        """End a session, if there is one of this id."""
        with self._changing:
            session = self._open.pop(_digest(session_id), None)
        if session is not None:
            session.end()

    def sweep(self) -> None:
        """End those that are over, whether or not anybody asks for them again."""
        now = self._clock()
        for session in self._taken_out(lambda one: one.is_over(now)):
            session.end()

    def close(self) -> None:
        """End all."""
        for session in self._taken_out(lambda _: True):
            session.end()

    def _taken_out(self, is_meant: Callable[[ConsoleSession], bool]) -> list[ConsoleSession]:
        with self._changing:
            keys = [key for key, one in self._open.items() if is_meant(one)]
            return [self._open.pop(key) for key in keys]

    def _drawn(self) -> str:
        return base64.urlsafe_b64encode(self._random(_ID_BYTES)).decode().rstrip("=")


def _digest(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode()).digest()
