"""Failed unlocks, noted in a file beside the vault until a session that can append takes them into the log.

A note is an instant and, where a slot's principal was named, that name: ``2026-01-02T03:04:05.000006Z ann``. Any other name is left out,
because it may be a secret that was typed into the wrong place.

Appending needs a slot, and a failed unlock has none: so the notes are asserted, and the entries say so. The file is bounded: what comes
past the bound is not noted.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from vault.audit.actions import Action, ActorKind, Outcome
from vault.audit.entry import Actor, Event, ObjectRef, is_handle
from vault.session.audit_trail import AuditTrail
from vault.storage.timestamps import rfc3339

NOTES = "failed-unlocks"
MAX_NOTES_BYTES = 16_384
_NOTE = re.compile(
    rb"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)(?: ([A-Za-z0-9][A-Za-z0-9._@-]{0,63}))?$", re.MULTILINE
)  # whoever writes the folder writes what they like


def note(folder: Path, at: datetime, *, tried: str | None = None) -> None:
    """Note that an unlock failed. What cannot be noted does not hide the failure itself.

    ``tried``: the principal whose slot was to be opened.
    """
    line = f"{rfc3339(at)} {tried}\n" if tried is not None and is_handle(tried) else f"{rfc3339(at)}\n"
    with suppress(OSError):
        handle = os.open(folder / NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        try:
            if os.fstat(handle).st_size + len(line) <= MAX_NOTES_BYTES:
                os.write(handle, line.encode())
        finally:
            os.close(handle)


def take_in(trail: AuditTrail, folder: Path) -> int:
    """Log what was noted, an entry for each, and forget the notes; how many there were."""
    path = folder / NOTES
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            regular = stat.S_ISREG(os.fstat(handle).st_mode)
            noted = _NOTE.findall(os.read(handle, MAX_NOTES_BYTES)) if regular else []
        finally:
            os.close(handle)
    except OSError:
        return 0
    if noted:
        trail.log.record_many([_event(at.decode(), name.decode()) for at, name in noted])
    with suppress(OSError):
        path.unlink()
    return len(noted)


def _event(at: str, tried: str) -> Event:
    return Event(
        act=Action.VAULT_UNLOCK_FAILED,
        outcome=Outcome.REFUSED,
        actor=Actor(ActorKind.UNKNOWN, "unknown"),
        obj=ObjectRef("principal", tried) if tried else None,
        flags=("asserted",),
        detail={"time": at},
    )
