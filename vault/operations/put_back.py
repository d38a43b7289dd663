"""Stores that were put back or edited beside the books, and the least that mends each: for ``doctor``, which looks at a vault that is refused too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.errors import GenovaultError
from vault.operations import log_anchors
from vault.session import bound_settings
from vault.session.unlocked_vault import UnlockedVault

NEWEST = "put the newest copy of the books back; if there is none, genovault restore SRC beside the keys that are here"
LEAST = MappingProxyType(
    {
        "collection_altered": "take the edit back, if it is known; else the newest backup of the books, beside the keys that are here: "
        "genovault restore SRC",
        "log_head_unauthentic": NEWEST,
        "log_head_altered": NEWEST,
        "log_head_missing": NEWEST,
        "log_forked": NEWEST,
        "log_incomplete": NEWEST,
        "log_tail_altered": NEWEST,
        "tree_malformed": NEWEST,
        "consent_ledger_behind": NEWEST,
        "consent_ledger_altered": NEWEST,
        "log_behind_anchor": "put the newest books back; if they are lost, genovault audit continue goes on under a new log",
    }
)
"""The least destructive repair by the code of a finding, where its error names none."""


def least(error: GenovaultError, otherwise: str) -> str:
    """The least that mends an error: as the table says, else as the error itself says, else as told."""
    return LEAST.get(error.code) or error.hint or otherwise


def refusals(vault: UnlockedVault) -> Iterator[GenovaultError]:
    """Each reason for which an opening would refuse these stores."""
    checks: tuple[Callable[[UnlockedVault], object], ...] = (_marks, bound_settings.require, log_anchors.guard)
    for check in checks:
        try:
            check(vault)
        except GenovaultError as error:
            yield error


def closed(found: Iterable[GenovaultError]) -> None:
    """Raise the first refusal for which the log would take no entry either."""
    for error in found:
        if error.code.startswith("log_head_") or error.code == "tree_malformed":
            raise error


def mark_again(vault: UnlockedVault) -> bool:
    """Keep marks anew where somebody has removed them and nothing else is refused, with a log entry; whether that was done.

    Raises:
        RefusedError: ``not_authorised``: a steward has compared the log with what is known elsewhere.
    """
    if [error.code for error in refusals(vault)] != ["marks_missing"]:
        return False
    vault.trail.record(
        Action.VAULT_INCARNATION, Outcome.DONE, obj=ObjectRef("vault", vault.vault_id.hex()), flags=["marked_again"]
    )
    vault.marks.keep()
    return True


def _marks(vault: UnlockedVault) -> None:
    vault.marks.require_newest()
