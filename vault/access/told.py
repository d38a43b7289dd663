"""Answer to an access that fails, as far as the asker's role may know.

Stewards learn the reason. Researchers and engines learn that it was refused: denied, masked, unknown, altered and being erased look
alike, and the error holds nothing of the true reason, neither as cause nor as context. What is no question at all (a region that is
none) and a store that answers nobody say so to everybody: neither depends on what is stored. So do names that the asker may list
(``askable.require_names``): they belong to the form of the question.

What is refused early and what is refused late would differ by their time, so a refusal waits for the next whole ``STEP``, and a random part
of one more, which covers how soon a busy machine wakes a program that has worked. That levels what takes less; it is no claim of constant
time (docs/design/disclosure.md §11).
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic, sleep
from typing import TypeVar

from policies import reasons
from vault.access.scope import UNINFORMED_ROLES
from vault.errors import InputError, IntegrityError, RefusedError, UnavailableError
from vault.session.unlocked_vault import UnlockedVault

T = TypeVar("T")

UNKNOWN_COMMIT = ("database_unavailable", "log_unavailable")
"""A store did not answer: whether the outcome is durable only recovery can tell."""

STEP = 0.25
"""Seconds: refusals without a reason take one and a random part of a second one, in nearly every case (benchmarks/README.md has their times)."""


DEFERRED: ContextVar[bool] = ContextVar("deferred", default=False)
"""True where whoever runs the access waits in our place, without holding a thread for it (``DeferredRefusalError``)."""


class DeferredRefusalError(RefusedError):
    """A refusal that is not to be told before ``seconds`` have passed."""

    def __init__(self, seconds: float) -> None:
        super().__init__("refused", reasons.UNIFORM)
        self.seconds = seconds


def told(vault: UnlockedVault, access: Callable[[], T], *, form: Callable[[], None] = lambda: None) -> T:
    """Run an access, whose attempts are logged by itself. ``form`` raises what is wrong with the question's form, after a refusal.

    Raises:
        RefusedError: ``refused``, in place of every error but those of ``form``, for ``UNINFORMED_ROLES``. Else what the access raises.
    """
    begun = monotonic()
    try:
        return access()
    except (RefusedError, InputError, IntegrityError, UnavailableError) as error:
        if vault.role not in UNINFORMED_ROLES or error.code in UNKNOWN_COMMIT:
            raise
    form()
    wait = remaining(monotonic() - begun, int.from_bytes(vault.random(4), "big") / 2**32)
    if DEFERRED.get():
        raise DeferredRefusalError(wait)
    sleep(wait)
    raise RefusedError("refused", reasons.UNIFORM)  # here, where no other error is being handled


def remaining(spent: float, part: float) -> float:
    """Seconds to wait of a refusal that has taken ``spent``: until the next whole step, and ``part`` (0 to 1) of one more."""
    return -spent % STEP + part * STEP
