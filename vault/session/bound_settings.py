"""vault.json held against the books: changed by commands only, one change at a time, each signed and logged.

A change writes vault.json first and commits the books after it, so a process that is killed between the two leaves a signed change that is one
ahead of the books: it stands, and the next steward's session tells the books.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

from sqlalchemy import select, update

from policies import authority
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.errors import IntegrityError, UnavailableError
from vault.session.settings import (
    SETTINGS,
    Settings,
    bound_text,
    change_in,
    differences,
    is_signed,
    signed,
    write_settings,
)
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import VaultRow
from vault.storage.database import Transaction


class State(StrEnum):
    """vault.json beside the books: as they hold it, one signed change ahead, further ahead, or changed by nobody with a slot."""

    SAME = "same"
    UNTOLD = "untold"
    NEWER = "newer"
    ALTERED = "altered"


def places_in(bound: str) -> dict[str, str]:
    """The places of a ``bound_text``, by the names of ``Places``."""
    document = json.loads(bound) if bound else {}
    return {name: document[name] for name in ("books", "keys", "objects") if name in document}


def known(vault: UnlockedVault) -> str:
    """Copy of vault.json in the books (``settings.bound_text``); empty in a vault that was not upgraded."""
    if not vault.books.upgraded:
        return ""
    with vault.books.read() as tx:
        return tx.scalars(select(VaultRow.settings)).one() or ""


def state(vault: UnlockedVault, held: str | None = None) -> State:
    """Compare vault.json, as it was read at the opening, with the books (with ``held``, what they are known to hold)."""
    held = known(vault) if held is None else held
    if not vault.books.upgraded or held == bound_text(vault.settings):
        return State.SAME
    ahead = vault.settings.change - change_in(held) if held else 0
    if ahead < 1 or not is_signed(vault.settings):
        return State.ALTERED
    holder = vault.newest_keystore().holder(vault.settings.signer)
    if holder is None or holder.removed is not None or not authority.may_change(holder.role.value, VaultRow.__tablename__):
        return State.ALTERED
    return State.UNTOLD if ahead == 1 else State.NEWER


def require(vault: UnlockedVault, held: str | None = None) -> State:
    """Refuse a vault.json that no command has written; how it stands beside the books.

    Raises:
        IntegrityError: ``settings_altered``; ``books_behind``: it is newer than the books.
    """
    found = state(vault, held)
    if found is State.ALTERED:
        raise altered(vault)
    if found is State.NEWER:
        raise IntegrityError(
            "books_behind", f"the books are older than {SETTINGS}", hint="put the newest books back, or genovault restore SRC"
        )
    return found


def altered(vault: UnlockedVault) -> IntegrityError:
    """The error of a vault.json that no command has written, with the fields in which it differs and the least repair."""
    held = known(vault)
    fields = ", ".join(differences(held, vault.settings)) if held else "everything"
    return IntegrityError(
        "settings_altered",
        f"{SETTINGS} was edited by no command: it differs from the books in {fields}",
        hint=f"put the {SETTINGS} of before back; genovault relocate, if the vault was moved on purpose",
    )


def change(vault: UnlockedVault, settings: Settings, book: Callable[[Transaction], None], *, from_own: bool = False) -> None:
    """Write vault.json and let the books know of it; ``book`` joins their transaction and logs the change.

    The file is written while no other process can change it: under the write lock of the books, before they commit.

    Args:
        settings: its number is drawn here.
        from_own: the settings are this session's with something added or taken out.

    Raises:
        UnavailableError: ``slot_outdated``: this slot cannot sign; ``changed_meanwhile``: another process changed them since.
    """
    if not vault.books.upgraded:
        write_settings(vault.folder, settings)
        with vault.books.write() as tx:
            book(tx)
        vault.settings = settings
        return
    signer = vault.unlocked.signer
    if signer is None:
        raise UnavailableError("slot_outdated", "this slot cannot sign", hint="ask an administrator for a new one: key add-slot")
    with vault.books.write() as tx:
        held = tx.scalars(select(VaultRow.settings)).one() or ""
        known_change = change_in(held) if held else 0
        if from_own and known_change > vault.settings.change:
            raise UnavailableError("changed_meanwhile", f"another process changed {SETTINGS}", hint="repeat the command")
        settings = signed(replace(settings, change=max(known_change, settings.change) + 1), signer)
        write_settings(vault.folder, settings)
        tx.execute(update(VaultRow).values(settings=bound_text(settings)))
        book(tx)
    vault.settings = settings
    vault.marks.keep()


def tell_books(vault: UnlockedVault) -> bool:
    """Let the books know of a change of vault.json that a killed process made without them; whether there was one.

    The next session of a role that may change it does.
    """
    if not authority.may_change(vault.role.value, VaultRow.__tablename__):
        return False
    with vault.books.write() as tx:
        tx.execute(update(VaultRow).values(settings=bound_text(vault.settings)))
        about = ObjectRef("vault", vault.vault_id.hex())
        vault.trail.append(tx, Action.VAULT_RELOCATE, Outcome.DONE, obj=about, flags=["reconciled"])
    return True
