"""Cadence of an unsealed server: what was appended is signed once a second, and clearances that hold no more are let go of."""

from __future__ import annotations

import threading
from contextlib import suppress

from vault import gate
from vault.errors import GenovaultError
from vault.session.unlocked_vault import UnlockedVault

SECONDS = 1.0


class Cadence:
    """A thread of one unlocked vault. What fails is tried again at the next beat: a receipt is late, and no answer is."""

    def __init__(self, vault: UnlockedVault, *, seconds: float = SECONDS) -> None:
        self._vault, self._seconds = vault, seconds
        self._ended = threading.Event()
        self._signed = -1
        self._thread = threading.Thread(target=self._run, name="cadence", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop, once the beat under way is over."""
        self._ended.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def beat(self) -> None:
        """Sign the log's head if it grew, and tidy. Raises GenovaultError."""
        gate.tidy(self._vault)
        size = self._vault.trail.log.size()
        if size != self._signed:
            self._vault.trail.checkpoint()
            self._signed = size

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            with suppress(GenovaultError):
                self.beat()
