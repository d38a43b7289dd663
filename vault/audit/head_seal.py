"""The MAC over the head of the log: who appends holds a slot (``docs/formats/audit.md``).

    mac = HMAC-SHA256(key, context("genovault/log-head/v1", vault id, base, size, stack, state or empty, epoch))

The key is an epoch of the branch ``log-append``, which every role's slot opens. The MAC binds the log to ``state``, the digest over
what decides in the books: neither can be put back without the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from vault.crypto.context import encode_context
from vault.crypto.primitives import constant_time_equal, hmac_sha256
from vault.crypto.secret import Secret
from vault.errors import IntegrityError

EpochKey = Callable[[int | None], tuple[int, Secret]]
"""Number and key of an epoch of ``log-append``; of the newest for None."""


class SealedHead(NamedTuple):
    """The columns of the stored head; the last three are None in a vault that was not upgraded."""

    base: int
    size: int
    stack: bytes
    state: bytes | None
    epoch: int | None
    mac: bytes | None


class HeadSeal:
    """Makes and checks the MAC of heads of one vault's log."""

    def __init__(self, vault_id: bytes, key: EpochKey) -> None:
        self._vault_id = vault_id
        self._key = key

    def sealed(self, base: int, size: int, stack: bytes, state: bytes | None) -> SealedHead:
        """A head with its MAC. Raises UnavailableError ``branch_closed``."""
        epoch, key = self._key(None)
        return SealedHead(base, size, stack, state, epoch, self._mac(key, base, size, stack, state, epoch))

    def check(self, head: SealedHead) -> None:
        """Raises IntegrityError ``log_head_unauthentic``: it was not written by a session of this vault."""
        if head.epoch is None or head.mac is None or not _typed(head):
            raise unauthentic()
        try:
            _, key = self._key(head.epoch)
        except IntegrityError:
            raise unauthentic() from None
        expected = self._mac(key, head.base, head.size, head.stack, head.state, head.epoch)
        if not constant_time_equal(expected, head.mac):
            raise unauthentic()

    def _mac(self, key: Secret, base: int, size: int, stack: bytes, state: bytes | None, epoch: int) -> bytes:  # noqa: PLR0917 - the order of the format
        context = encode_context("genovault/log-head/v1", self._vault_id, base, size, stack, state or b"", epoch)
        return hmac_sha256(key.reveal(), context)


def _typed(head: SealedHead) -> bool:
    """True if each column holds what we store there: SQLite keeps whatever is written."""
    numbers = head.base, head.size, head.epoch
    digests = head.stack, head.mac, head.state or b""
    return all(type(value) is int and value >= 0 for value in numbers) and all(type(value) is bytes for value in digests)


def unauthentic() -> IntegrityError:
    """The error of a head that no session of this vault has written."""
    return IntegrityError(
        "log_head_unauthentic",
        "the head of the audit log was not written by a session of this vault",
        hint="restore the books, or open with the anchor and run genovault doctor",
    )
