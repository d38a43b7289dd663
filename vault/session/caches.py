"""Typed caches of an unlocked vault: a room above declares a ``Cache``, the vault holds its value until it is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class Cache(Generic[T]):
    """Declaration of one cache, made once at module level; ``make`` gives its first value."""

    def __init__(self, make: Callable[[], T]) -> None:
        self.make = make


class Caches:
    """Values of declared caches for one unlocked vault. Each call is atomic among threads."""

    def __init__(self) -> None:
        self._held: dict[Cache[Any], Any] = {}

    def get(self, cache: Cache[T]) -> T:
        """Value of a cache, made on first use."""
        if cache not in self._held:
            return cast("T", self._held.setdefault(cache, cache.make()))
        return cast("T", self._held[cache])

    def put(self, cache: Cache[T], value: T) -> None:
        """Replace the value of a cache."""
        self._held[cache] = value

    def drop(self, cache: Cache[Any]) -> None:
        """Forget the value of one cache; absent is fine."""
        self._held.pop(cache, None)

    def clear(self) -> None:
        """Forget every value."""
        self._held.clear()
