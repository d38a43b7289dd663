"""Anchors of a vault: add, remove, compare the log with them, and continue a log that fell behind.

vault.json lists the anchors, and the books know which. Every checkpoint is published to each. A vault whose log is behind an anchor, or differs from it, is not
opened for work: it may be an old copy put back. It continues under a new log, whose origin is the next number (…/log2) and whose leaf 0
holds the newest known checkpoint of the old log; the old log's entries stay.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from sqlalchemy import update

from vault.audit.actions import Action, Outcome
from vault.audit.anchors import Anchor
from vault.audit.entry import ObjectRef
from vault.audit.log import Appended
from vault.audit.note import checkpoint_in
from vault.crypto.keystore import Branch
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.session import bound_settings, incarnations
from vault.session.principals import require_administrator
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import VaultRow
from vault.storage.database import Transaction

_NUMBERED = re.compile(r"(?P<stem>.*/log)(?P<number>[0-9]+)")


def add(vault: UnlockedVault, folder: Path) -> None:
    """Add an anchor and publish the log's head to it.

    Raises:
        InputError: ``anchor_known``; ``anchor_inside``: the folder is inside the vault.
        IntegrityError: as ``guard``; UnavailableError: ``anchor_unreachable``.
    """
    place = folder.resolve()
    if place.is_relative_to(vault.folder.resolve()):
        raise InputError("anchor_inside", "an anchor inside the vault guards nothing", hint="name a folder on another mount")
    with vault.trail.attempting(Action.AUDIT_ANCHOR):
        settings = vault.settings
        if place in settings.anchors:
            raise InputError("anchor_known", f"{place} is an anchor of this vault already")
        if not place.is_dir():
            raise UnavailableError(
                "anchor_unreachable", f"there is no folder {place}", hint="make it first, best on another mount"
            )
        _check(vault, Anchor(place), fresh=True)
        Anchor(place).publish(vault.trail.checkpoint())
        _change(vault, (*settings.anchors, place), "added")
        Anchor(place).publish(vault.trail.checkpoint())
    vault.trail.anchors = (*vault.trail.anchors, Anchor(place))


def remove(vault: UnlockedVault, folder: Path) -> None:
    """Remove an anchor. Raises InputError ``anchor_unknown``."""
    place = folder.resolve()
    with vault.trail.attempting(Action.AUDIT_ANCHOR):
        bound_settings.require(vault)
        if place not in vault.settings.anchors:
            raise InputError("anchor_unknown", f"{place} is no anchor of this vault")
        _change(vault, tuple(anchor for anchor in vault.settings.anchors if anchor != place), "removed")
    vault.trail.anchors = tuple(anchor for anchor in vault.trail.anchors if anchor.folder != place)


def guard(vault: UnlockedVault) -> None:
    """Check that the log is at or past every anchor's newest checkpoint.

    Raises:
        IntegrityError: ``log_behind_anchor``, ``log_differs_from_anchor``, ``log_continued_elsewhere``.
        UnavailableError: ``anchor_unreachable``.
    """
    for anchor in vault.trail.anchors:
        _check(vault, anchor, fresh=False)
    _announce(vault)


def require_cause(vault: UnlockedVault) -> None:
    """Check that the log cannot be continued as it is, or that there is no anchor.

    Raises:
        InputError: ``log_stands``: every anchor agrees with it. UnavailableError: ``anchor_unreachable``.
        IntegrityError: ``settings_altered``: who knows which anchors there are.
    """
    if bound_settings.state(vault) is bound_settings.State.ALTERED:
        raise bound_settings.altered(vault)
    try:
        vault.marks.require_newest()
        guard(vault)
    except IntegrityError:
        return
    if vault.trail.anchors:
        hint = "audit anchor DIR --remove first, if it is the anchors that are wrong"
        raise InputError("log_stands", "the log is where its anchors say, and goes on as it is", hint=hint)


def continue_log(vault: UnlockedVault, origin: str | None = None) -> Appended:
    """Begin a new log (as ``origin``, by default the next in its line) and publish the receipt of its leaf 0 to the anchors.

    Leaf 0 states the old log's newest known checkpoint, its size, and the number of entries held here. The vault is another incarnation
    from here on, so that what was lost can come back in no part.
    For a vault that ``recovery.open_recovered`` refuses, opened with ``unlocked_vault.open_vault``.
    """
    from vault.consent import ledger  # noqa: PLC0415 - brings the policies, and every command that opens a vault asks its anchors

    vault.trail.require_authority(Action.LOG_CONTINUE)  # no entry: this log takes none until it is continued
    if vault.books.upgraded:
        require_administrator(vault)
    part = vault.trail.log.parts()[-1]
    notes = [anchor.newest(part.origin) for anchor in vault.trail.anchors] + [vault.trail.log.latest_checkpoint()]
    marks = vault.marks.read()
    if marks is not None and marks.origin == part.origin:
        notes.append(marks.checkpoint or None)
    known = max((note for note in notes if note is not None), key=lambda note: checkpoint_in(note).size, default=None)
    if origin is None:
        origin = _next_origin(vault, part.origin)
    with vault.books.write() as tx:
        event = vault.trail.event(
            Action.LOG_CONTINUE,
            Outcome.DONE,
            obj=ObjectRef("log", part.origin),
            previous=known,
            consent=ledger.last(tx, vault.vault_id).entry(),
            counts={"kept": part.size, "signed": 0 if known is None else checkpoint_in(known).size},
        )
        appended = vault.trail.log.continue_as(tx, origin, event)
        tx.execute(update(VaultRow).values(origin=origin, **incarnations.drawn(vault)))
    vault.trail.origin = origin
    incarnations.seal(vault)
    vault.trail.checkpoint()
    _announce(vault)
    return appended


def continue_apart(vault: UnlockedVault) -> Appended:
    """Begin the log of a copy: its origin is in no line that the original's log may take, so both can be used and anchored."""
    return continue_log(vault, f"genovault.local/{vault.vault_id.hex()}/{vault.random(8).hex()}/log1")


def _announce(vault: UnlockedVault) -> None:
    """Publish the end of an earlier log to anchors that a killed process did not reach."""
    parts = vault.trail.log.parts() if vault.trail.anchors and vault.keyring.has(Branch.LOG_SIGN) else []
    if len(parts) < 2:
        return
    ended, newest = parts[-2:]
    if stem(ended.origin) != stem(newest.origin):
        return  # a copy beside the original, whose log goes on
    for anchor in vault.trail.anchors:
        if not anchor.continued(ended.origin):
            vault.trail.checkpoint()
            anchor.continue_log(ended.origin, vault.trail.log.receipt(newest.base))


def _check(vault: UnlockedVault, anchor: Anchor, *, fresh: bool) -> None:
    origin = vault.trail.origin
    if anchor.continued(origin):
        raise IntegrityError(
            "log_continued_elsewhere", f"the anchor {anchor.folder} says that this log has ended and another goes on", hint=_HINT
        )
    note = anchor.newest(origin)
    if note is None:
        # An empty folder may be a missing mount; an anchor that knows the previous log is not.
        if fresh or any(anchor.newest(part.origin) for part in vault.trail.log.parts()[:-1]):
            return
        raise anchor.without(origin)
    claimed = checkpoint_in(note)
    root = vault.trail.log.root_at(claimed.size)
    if root is None:
        raise IntegrityError(
            "log_behind_anchor",
            f"the audit log has {vault.trail.log.parts()[-1].size} entries, but the anchor {anchor.folder} has seen {claimed.size}",
            hint=_HINT,
        )
    if root != claimed.root:
        raise IntegrityError(
            "log_differs_from_anchor",
            f"the first {claimed.size} entries of the audit log are not those that the anchor {anchor.folder} has seen",
            hint=_HINT,
        )


_HINT = "put the newest books back; if they are lost, genovault audit continue goes on under a new log"


def stem(origin: str) -> str:
    """Common part of the origins of one line of logs: …/log of …/log2."""
    match = _NUMBERED.fullmatch(origin)
    return match["stem"] if match else origin


def _change(vault: UnlockedVault, anchors: tuple[Path, ...], flag: str) -> None:
    """Let vault.json and the books name these anchors, with the entry that says so."""

    def book(tx: Transaction) -> None:
        vault.trail.append(tx, Action.AUDIT_ANCHOR, Outcome.DONE, flags=[flag], counts={"anchors": len(anchors)})

    bound_settings.change(vault, replace(vault.settings, anchors=anchors), book, from_own=True)


def _next_origin(vault: UnlockedVault, origin: str) -> str:
    """Origin with the next number free on every anchor: one may know a log that this copy of the vault does not."""
    match = _NUMBERED.fullmatch(origin)
    stem, number = (match["stem"], int(match["number"])) if match else (f"{origin}/log", 1)
    while True:
        number += 1
        candidate = f"{stem}{number}"
        if all(anchor.newest(candidate) is None for anchor in vault.trail.anchors):
            return candidate
