"""Caches of an unlocked vault: made on first use, apart from each other."""

from __future__ import annotations

from vault.session.caches import Cache, Caches

NUMBERS: Cache[list[int]] = Cache(list)
NAME: Cache[str | None] = Cache(lambda: None)


def test_a_value_is_made_once_and_kept():
    caches = Caches()
    caches.get(NUMBERS).append(1)
    caches.put(NAME, "x")
    assert (caches.get(NUMBERS), caches.get(NAME)) == ([1], "x")
    assert Caches().get(NUMBERS) == []


def test_dropped_and_cleared_values_are_made_anew():
    caches = Caches()
    caches.get(NUMBERS).append(1)
    caches.put(NAME, "x")
    caches.drop(NUMBERS)
    assert (caches.get(NUMBERS), caches.get(NAME)) == ([], "x")
    caches.clear()
    assert caches.get(NAME) is None
