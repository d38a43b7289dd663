"""Named points between the durable steps of long work. Nothing happens there, except in tests that kill the process at each one."""

from __future__ import annotations

from collections.abc import Callable

_observers: list[Callable[[str], None]] = []


def passed(name: str) -> None:
    """Say that everything before this point is durable."""
    for observer in _observers:
        observer(name)


def observe(observer: Callable[[str], None]) -> None:
    """Hear of every milestone from now on."""
    _observers.append(observer)
