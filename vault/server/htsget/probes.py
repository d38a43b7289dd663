"""Probes: clients look for an index beside every address that they open. There is none, nothing is looked up, and a minute of it is one entry."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

MINUTE = 60.0  # seconds


class Probes:
    """Number of probes since the last entry. Of one thread: the server's loop."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock, self._since, self._count = clock, clock(), 0

    def note(self) -> int:
        """Count one; the number to be told now, 0 while a minute has not passed."""
        self._count += 1
        if self._clock() - self._since < MINUTE:
            return 0
        return self.take()

    def take(self) -> int:
        """The number that is not told yet."""
        told, self._count, self._since = self._count, 0, self._clock()
        return told


def is_probe(path: str, query: str) -> bool:
    """True for an address of variants at whose end, before its parameters or behind them, a client has put the ending of an index."""
    return path.startswith("/variants/") and (path.endswith((".csi", ".tbi")) or query.endswith((".csi", ".tbi")))
