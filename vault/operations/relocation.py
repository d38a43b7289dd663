"""Say where the parts of a vault are, after they were moved; or make of copied parts a vault of its own.

The places and the anchors in vault.json are bound to the books (``session.bound_settings``), so that whoever edits the file moves
nothing. This is how its owner does: databases and objects are brought to their new place first, by whatever means, and then named.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import delete

from vault.audit.actions import Action, Outcome
from vault.audit.anchors import Anchor
from vault.audit.entry import ObjectRef
from vault.crypto.keystore import Factor
from vault.errors import InputError
from vault.ids import Clock, RandomBytes, utc_now
from vault.operations import log_anchors
from vault.session import bound_settings
from vault.session.principals import require_administrator
from vault.session.settings import Places, anchors_in, bound_text, read_settings
from vault.session.unlocked_vault import UnlockedVault, open_vault
from vault.storage.book_tables import LeaseRow
from vault.storage.database import Transaction


@dataclass(frozen=True)
class Relocated:
    """Places of a vault after a relocation."""

    places: Places
    anchors: tuple[Path, ...]
    origin: str  # of the log; of its own for a copy
    copy: bool


def relocate(
    folder: Path,
    *,
    factor: Factor,
    principal: str | None = None,
    books: str | None = None,
    keys: str | None = None,
    objects: str | None = None,
    copy: bool = False,
    clock: Clock = utc_now,
    random: RandomBytes = os.urandom,
) -> Relocated:
    """Take the places given, and for the others those of vault.json, as this vault's; the anchors are those that the books know.

    Args:
        copy: the original stays in use: begin another incarnation with a log of its own and no anchors.

    Raises:
        RefusedError: ``not_authorised``. UnavailableError: ``not_administrator``, for a copy.
        InputError: ``copy_shares``: a copy would share a database or the objects with the original.
        IntegrityError: as ``HighWater.require_newest`` and ``log_anchors.guard``: the parts are not the vault's newest.
    """
    settings = read_settings(folder)
    given = {"books": books, "keys": keys, "objects": objects}
    places = replace(settings.places, **{name: place for name, place in given.items() if place is not None})
    vault = open_vault(
        folder, factor=factor, principal=principal, settings=replace(settings, places=places), clock=clock, random=random
    )
    try:
        with vault.trail.attempting(Action.VAULT_RELOCATE):
            found = _relocated(vault, copy=copy)
    except BaseException:
        vault.abandon()
        raise
    vault.close()
    return found


def _relocated(vault: UnlockedVault, *, copy: bool) -> Relocated:
    vault.marks.require_newest()
    held = bound_settings.known(vault)
    anchors = anchors_in(held) if held else vault.settings.anchors
    if copy:
        require_administrator(vault)
        _require_apart(vault, held)
        anchors = ()
    vault.trail.anchors = tuple(map(Anchor, anchors))
    log_anchors.guard(vault)

    def book(tx: Transaction) -> None:
        about = ObjectRef("vault", vault.vault_id.hex())
        vault.trail.append(tx, Action.VAULT_RELOCATE, Outcome.DONE, obj=about, flags=["copy"] if copy else [])
        if copy:  # what was being written is the original's
            tx.execute(delete(LeaseRow))

    bound_settings.change(vault, replace(vault.settings, anchors=anchors), book)
    if copy:
        log_anchors.continue_apart(vault)
    return Relocated(vault.settings.places, anchors, vault.trail.origin, copy)


def _require_apart(vault: UnlockedVault, held: str) -> None:
    """Refuse a copy that names a place outside its folder which is the original's."""
    known = bound_settings.places_in(held)
    mine = bound_settings.places_in(bound_text(vault.settings))
    shared = sorted(name for name, place in mine.items() if known.get(name) == place and _is_outside(place))
    if shared:
        raise InputError(
            "copy_shares",
            f"the copy would share {' and '.join(shared)} with the original",
            hint="copy them too, and name where: --database, --keys, --objects",
        )


def _is_outside(place: str) -> bool:
    """True if a place is not one inside the vault's folder."""
    return place.startswith(("/", "sqlite:////")) or ("://" in place and not place.startswith("sqlite:///"))
