"""A restore with a gap: nothing proves that the backup is the newest, because whatever could prove it is lost too.

What happened after the backup may be an erasure or a withdrawal, so two people decide: an administrator who restores, and another steward
who unlocks beside. Where the keystore has no other steward, the one waits: the first try leaves a signed note of when it was asked beside
the folder, and from 72 hours later on the restore is done, marked ``single``. What is restored releases nothing until a steward has
approved the projects again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from vault.access import projects
from vault.crypto import keystore
from vault.crypto.context import encode_context
from vault.crypto.keystore import Factor, Role, Unlocked
from vault.crypto.primitives import verify_signature
from vault.errors import GenovaultError, RefusedError, UnavailableError, UsageError
from vault.files.given_files import read_given
from vault.files.private_files import write_new
from vault.ids import Clock
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.timestamps import from_micros, rfc3339, to_micros

WAIT = timedelta(hours=72)
MAX_NOTE_BYTES = 4096


@dataclass(frozen=True)
class SecondPerson:
    """Another steward who agrees: name and unlock factor."""

    principal: str
    factor: Factor


@dataclass(frozen=True)
class Gap:
    """That a gap is taken, why, and by whom beside the one who restores."""

    reason: str
    second: SecondPerson | None = None


@dataclass(frozen=True)
class Agreed:
    """Agreement to a gap: ``second`` empty where one steward waited."""

    reason: str
    second: str

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of the log's entry."""
        return ("gap",) if self.second else ("gap", "single")


def agreed(gap: Gap, unlocked: Unlocked, folder: Path, *, backup: bytes, clock: Clock) -> Agreed:
    """Hold a gap against the people who may decide on it.

    Args:
        folder: the vault's folder to be; the note of a single steward stands beside it.
        backup: digest of the backup's description, 32 bytes, which the note names.

    Raises:
        UsageError: ``reason_missing``. RefusedError: ``second_needed``; ``second_refused``: no other steward's slot opens with it.
        UnavailableError: ``wait``: a single steward has to wait, until when.
    """
    if not gap.reason.strip():
        raise UsageError("reason_missing", "a restore with a gap needs a reason", hint="--reason TEXT")
    if gap.second is not None:
        _require_second(gap.second, unlocked)
        return Agreed(gap.reason, gap.second.principal)
    others = {slot.principal for slot in unlocked.keystore.slots if slot.role is Role.STEWARD} - {unlocked.principal}
    if others:
        raise RefusedError(
            "second_needed", "a restore with a gap takes two stewards", hint=f"--second NAME, one of {', '.join(sorted(others))}"
        )
    _require_waited(unlocked, folder.resolve(), backup, clock)
    return Agreed(gap.reason, "")


def suspend_projects(vault: UnlockedVault) -> Sequence[str]:
    """Suspend every approved project: who withdrew in the gap is not known here. Return their codes."""
    codes = [one.code for one in projects.list_all(vault) if one.state == projects.APPROVED]
    for code in codes:
        projects.change(vault, code, "suspend")
    return codes


def _require_second(second: SecondPerson, unlocked: Unlocked) -> None:
    try:
        other = keystore.load(unlocked.keystore.folder).unlock(second.factor, principal=second.principal)
    except GenovaultError:
        raise _second_refused() from None
    if other.role is not Role.STEWARD or other.principal == unlocked.principal or other.slot.slot_id == unlocked.slot.slot_id:
        raise _second_refused()


def _second_refused() -> RefusedError:
    return RefusedError("second_refused", "the second person is no other steward of this vault, or the factor is wrong")


def _require_waited(unlocked: Unlocked, folder: Path, backup: bytes, clock: Clock) -> None:
    """Leave a note, or find one that is old enough. Raises UnavailableError ``wait``."""
    note = folder.parent / f".{folder.name}.restore-asked"
    now, signer = clock(), unlocked.signer
    if signer is None:
        raise UnavailableError("slot_outdated", "this slot cannot sign", hint="restore with an anchor, or beside the newest keys")
    asked = _asked(note, unlocked, backup, signer.public)
    if asked is None:
        note.unlink(missing_ok=True)
        asked = now
        text = {"asked": to_micros(now), "signature": signer.sign(_signed(unlocked, backup, to_micros(now))).hex()}
        write_new(note, json.dumps(text) + "\n")
    if now < asked + WAIT:
        raise UnavailableError(
            "wait",
            f"the keystore has one steward, who may do this from {rfc3339(asked + WAIT)} on",
            hint=f"repeat the command then; {note} remembers when it was asked",
        )
    note.unlink(missing_ok=True)


def _asked(note: Path, unlocked: Unlocked, backup: bytes, public: bytes) -> datetime | None:
    """Time at which this backup was first asked for, by a note that this steward signed; None without one."""
    if not note.exists():
        return None
    try:
        document = json.loads(read_given(note, limit=MAX_NOTE_BYTES))
        asked = int(document["asked"])
        verify_signature(public, bytes.fromhex(document["signature"]), _signed(unlocked, backup, asked))
        return from_micros(asked)
    except (GenovaultError, ValueError, KeyError, TypeError):
        return None


def _signed(unlocked: Unlocked, backup: bytes, asked: int) -> bytes:
    return encode_context("genovault/restore-asked/v1", unlocked.vault_id, backup, asked)
