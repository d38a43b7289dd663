"""Patience of writers: how long one waits for others."""

from __future__ import annotations

import time
from dataclasses import dataclass

BUSY_MILLISECONDS = 30_000  # as long as the slowest writer (an import's final transaction) may hold the lock
TIRED_SECONDS = 0.1


@dataclass
class Patience:
    """Seconds that a writer waits for others, in this process and elsewhere; whoever answers somebody who waits sets fewer."""

    seconds: float = BUSY_MILLISECONDS / 1000
    tired_until: float = 0.0  # of the monotonic clock

    @property
    def usual(self) -> bool:
        """True where nobody has set another time than every writer's."""
        return self.seconds == BUSY_MILLISECONDS / 1000

    @property
    def left(self) -> float:
        """Seconds to wait now: hardly any just after somebody has waited for nothing, or an answer that writes three times would wait three times."""
        return min(self.seconds, TIRED_SECONDS) if time.monotonic() < self.tired_until else self.seconds

    @property
    def pragma(self) -> str:
        """SQLite's statement for it."""
        return f"PRAGMA busy_timeout={int(self.left * 1000)}"

    def tire(self) -> None:
        """Somebody has waited for nothing."""
        if not self.usual:
            self.tired_until = time.monotonic() + self.seconds

    def rest(self) -> None:
        """A writer had its turn."""
        self.tired_until = 0.0
