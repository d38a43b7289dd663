"""Seal: the server begins without keys, gets them from an unlock factor, and drops them when it is told to, or when its slot is gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from starlette.requests import Request

from vault.crypto import keystore
from vault.crypto.keystore import Factor, Role
from vault.errors import GenovaultError, RefusedError, UnavailableError
from vault.operations.recovery import open_recovered
from vault.server.problems import sealed
from vault.session.unlocked_vault import UnlockedVault

T = TypeVar("T")

WORKERS = 8  # threads that wait for databases; requests beyond wait for them
_GONE = ("slot_outdated", "principal_disabled")


class Seal:
    """Holds the unlocked vault of one service, or nothing. Safe among threads."""

    def __init__(self, folder: Path, principal: str | None) -> None:
        self._folder, self._principal = folder, principal
        self._vault: UnlockedVault | None = None
        self._changing = threading.Lock()
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="vault")

    @property
    def is_sealed(self) -> bool:
        """True while no keys are held."""
        return self._vault is None

    def unseal(self, factor: Factor) -> None:
        """Open the service's slot; an unsealed server stays as it is.

        Raises:
            UnavailableError: ``cannot_unlock``. RefusedError: ``not_a_service``: the slot is a person's. As ``open_recovered``.
        """
        with self._changing:
            if self._vault is not None:
                return
            vault = open_recovered(self._folder, factor=factor, principal=self._principal)
            if vault.role is not Role.SERVICE:
                vault.close()
                raise RefusedError(
                    "not_a_service",
                    f"a server unlocks a slot of its own, not one of a {vault.role.value}",
                    hint="genovault principal add NAME --role service",
                )
            self._vault = vault

    def opens(self, factor: Factor) -> bool:
        """True if a factor opens the service's slot."""
        with suppress(UnavailableError):
            return keystore.load(self._folder).unlock(factor, principal=self._principal).role is Role.SERVICE
        return False

    def seal(self) -> None:
        """Sign what is unsigned, and drop the keys. Requests that are being answered end first or fail."""
        with self._changing:
            vault, self._vault = self._vault, None
        if vault is not None:
            with suppress(GenovaultError):  # its slot may be gone: then it signs nothing any more
                vault.close()

    def holds(self) -> UnlockedVault:
        """The unlocked vault. Raises HttpProblem 503 ``sealed``."""
        vault = self._vault
        if vault is None:
            raise sealed()
        return vault

    async def run(self, work: Callable[[UnlockedVault], T]) -> T:
        """Do some work with the vault in a thread of our own; seal where the slot turns out to be gone. Raises as ``holds`` and ``work``."""
        vault = self.holds()
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._standing, vault, work)

    def _standing(self, vault: UnlockedVault, work: Callable[[UnlockedVault], T]) -> T:
        try:
            with vault.books.read() as tx:
                vault.require_standing(tx)
        except (RefusedError, UnavailableError) as error:
            if error.code in _GONE:
                self.seal()
                raise sealed() from None
            raise
        return work(vault)

    def close(self) -> None:
        """Seal, and end the threads."""
        self.seal()
        self._pool.shutdown(wait=True)


def seal_of(request: Request) -> Seal:
    """The seal of the application that a request came to."""
    seal: Seal = request.app.state.seal
    return seal
