"""Seal: the server begins without keys, gets them from an unlock factor, and drops them when it is told to, or when its slot is gone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from starlette.requests import Request

from vault import gate
from vault.access.told import DEFERRED, UNKNOWN_COMMIT, DeferredRefusalError
from vault.crypto import keystore
from vault.crypto.keystore import Factor, Role
from vault.errors import GenovaultError, RefusedError, UnavailableError
from vault.operations.recovery import open_recovered
from vault.server.cadence import Cadence
from vault.server.limits import Turns
from vault.server.problems import busy, sealed
from vault.session.settings import SETTINGS
from vault.session.unlocked_vault import UnlockedVault

T = TypeVar("T")

WORKERS = 8  # threads that wait for databases; requests beyond wait for them, each asker's behind that asker's own
BESIDE = 2  # threads for what takes no turn
SPARE = 2  # threads that no single asker gets while there is nobody else
PATIENCE = 5.0  # seconds that a request waits for a thread
LOCK_SECONDS = 2.0  # that an answer waits for another writer of the databases
_GONE = ("slot_outdated", "principal_disabled")


class Seal:
    """Holds the unlocked vault of one service, or nothing. Safe among threads."""

    def __init__(self, folder: Path, principal: str | None) -> None:
        self.folder, self._principal = folder, principal
        self._vault: UnlockedVault | None = None
        self._changing = threading.Lock()
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="vault")
        self._beside = ThreadPoolExecutor(BESIDE, thread_name_prefix="beside")
        self._cadence: Cadence | None = None
        self._turns = Turns(self._pool, WORKERS, spare=SPARE)
        self._stood: bytes | None = None  # state of what decides in which the service's slot was last found to stand
        self.failed = float("-inf")  # second of the monotonic clock in which an answer failed at its log

    @property
    def is_sealed(self) -> bool:
        """True while no keys are held."""
        return self._vault is None

    @property
    def initialized(self) -> bool:
        """True if there is a vault to open."""
        return (self.folder / SETTINGS).exists()

    def unseal(self, factor: Factor) -> None:
        """Open the service's slot, and load the code that opens genotypes; an unsealed server stays as it is.

        Raises:
            UnavailableError: ``cannot_unlock``. RefusedError: ``not_a_service``: the slot is a person's. As ``open_recovered``.
        """
        with self._changing:
            if self._vault is not None:
                return
            vault = open_recovered(self.folder, factor=factor, principal=self._principal)
            if vault.role is not Role.SERVICE:
                vault.close()
                raise RefusedError(
                    "not_a_service",
                    f"a server unlocks a slot of its own, not one of a {vault.role.value}",
                    hint="genovault principal add NAME --role service",
                )
            gate.load_code()  # else whoever asks first waits for it
            for _, database in vault.databases():
                database.patience.seconds = LOCK_SECONDS
            self._vault, self._cadence = vault, Cadence(vault)

    def opens(self, factor: Factor) -> bool:
        """True if a factor opens the service's slot."""
        with suppress(UnavailableError):
            return keystore.load(self.folder).unlock(factor, principal=self._principal).role is Role.SERVICE
        return False

    def seal(self) -> None:
        """Sign what is unsigned, and drop the keys. Requests that are being answered end first or fail."""
        with self._changing:
            vault, self._vault = self._vault, None
            cadence, self._cadence = self._cadence, None
        if cadence is not None:
            cadence.end()
        if vault is not None:
            with suppress(GenovaultError):  # its slot may be gone: then it signs nothing any more
                vault.close()

    def holds(self) -> UnlockedVault:
        """The unlocked vault. Raises HttpProblem 503 ``sealed``."""
        vault = self._vault
        if vault is None:
            raise sealed()
        return vault

    @property
    def unlocked(self) -> UnlockedVault | None:
        """The unlocked vault; None while sealed."""
        return self._vault

    async def beside(self, work: Callable[[], T]) -> T:
        """Do short work that waits for a file at most, in no turn. Raises as ``work``."""
        return await asyncio.get_running_loop().run_in_executor(self._beside, work)

    async def run(self, work: Callable[[UnlockedVault], T]) -> T:
        """Do some work with the vault in a thread of our own, in its asker's turn; seal where the slot turns out to be gone.

        A refusal that is to be told later waits here, where it holds no thread.

        Raises:
            HttpProblem: 503 ``busy``; as ``holds``. As ``work``.
        """
        self.holds()
        try:
            return await self._turns.run(lambda: self._deferring(work), patience=PATIENCE)
        except TimeoutError:
            raise busy() from None
        except DeferredRefusalError as refusal:
            await asyncio.sleep(refusal.seconds)
            raise

    @property
    def waiting(self) -> int:
        """Requests that wait for a thread."""
        return self._turns.waiting

    def _deferring(self, work: Callable[[UnlockedVault], T]) -> T:
        before = DEFERRED.set(True)
        try:
            return work(self.standing())
        except UnavailableError as error:
            if error.code in UNKNOWN_COMMIT:
                self.failed = time.monotonic()
            raise
        finally:
            DEFERRED.reset(before)

    def standing(self) -> UnlockedVault:
        """The unlocked vault, whose slot stands in the newest keystore; for threads. One whose slot is gone is sealed.

        Raises:
            HttpProblem: 503 ``sealed``. GenovaultError: the books cannot be read.
        """
        vault = self.holds()
        try:
            state = vault.books.state()
            if state is None or state != self._stood:
                with vault.books.read() as tx:
                    vault.require_standing(tx)
                self._stood = state
        except (RefusedError, UnavailableError) as error:
            if error.code in _GONE:
                self.seal()
                raise sealed() from None
            raise
        return vault

    def close(self) -> None:
        """Seal, and end the threads."""
        self.seal()
        for pool in (self._pool, self._beside):
            pool.shutdown(wait=True)


def seal_of(request: Request) -> Seal:
    """The seal of the application that a request came to."""
    seal: Seal = request.app.state.seal
    return seal
