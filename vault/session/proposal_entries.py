"""Entries with which somebody proposed an act that another has to join: found by when it was signed, however long the log is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from vault.audit.actions import Action
from vault.audit.entry import decode_leaf
from vault.session.unlocked_vault import UnlockedVault

BEFORE, AFTER = timedelta(seconds=2), timedelta(minutes=2)
"""Distance of an entry's own time from the signature's: both are made in one transaction, by one clock."""


def made_by(
    vault: UnlockedVault, act: Action, principal: str, signed: datetime
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """(leaf, sealed detail) of the entries of an act that a principal made as they signed, the oldest first. For roles that read details.

    What an entry says is held against the signature by the caller.
    """
    for entry in vault.trail.log.entries_made(signed - BEFORE, signed + AFTER):
        leaf = None if entry.leaf is None else decode_leaf(entry.leaf)
        if leaf is None or (leaf["act"], leaf["actor"]["id"]) != (act.value, principal):
            continue
        detail = vault.trail.detail(entry.index)
        if detail is not None:
            yield leaf, detail
