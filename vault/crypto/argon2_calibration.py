"""Argon2id cost calibrated to this machine (``docs/design/keys.md`` §10).

Never below the default profile, whatever the machine: a slow machine waits longer rather than being guessed faster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vault.crypto.primitives import Argon2Profile, argon2id
from vault.crypto.secret import Secret
from vault.errors import UnavailableError
from vault.limits import MAX_ARGON2_KIB, MAX_ARGON2_TIME, MAX_ARGON2_WORK_KIB

TARGET_SECONDS = 1.0
MAX_MEMORY_KIB = 1024 * 1024  # more would fail where several people unlock at once

Timer = Callable[[], float]
"""Seconds that only go forward: ``time.perf_counter``, or a made-up one in tests."""


def calibrate(*, timer: Timer, seconds: float = TARGET_SECONDS, memory_kib: int = MAX_MEMORY_KIB) -> Argon2Profile:
    """Find the costliest profile that unlocks in about ``seconds``: memory is doubled first, then passes are added.

    Returns the default profile where even that takes longer.
    """
    best = Argon2Profile.DEFAULT
    spent = _measure(best, timer)
    while spent <= seconds / 2 and best.m_kib * 2 <= min(memory_kib, MAX_ARGON2_KIB):
        wider = replace(best, m_kib=best.m_kib * 2)
        try:
            measured = _measure(wider, timer)
        except UnavailableError:  # the machine has no more memory to give
            break
        if measured > seconds * 1.25:
            return best
        best, spent = wider, measured
    passes = max(best.t, int(best.t * seconds / spent)) if spent > 0 else best.t
    return replace(best, t=min(passes, MAX_ARGON2_TIME, MAX_ARGON2_WORK_KIB // best.m_kib))


def _measure(profile: Argon2Profile, timer: Timer) -> float:
    start = timer()
    argon2id(Secret(b"calibration"), bytes(16), profile)
    return timer() - start
