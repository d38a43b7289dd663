"""Delivery: whom an extract is sealed for, by the project's declaration and the recipient book.

A project that declares recipients has its extracts sealed to all of them, or to some who are named for one extract, unless it declares
``delivery: plain``. Nobody who is not declared gets one: recipients are approved with the project.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from policies.purposes import ProjectDeclaration
from vault.access import recipients
from vault.access.recipients import RecipientKey
from vault.crypto.crypt4gh_keys import public_key_armour
from vault.errors import RefusedError
from vault.extracts.crypt4gh import Envelope
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction

if TYPE_CHECKING:
    from vault.extracts.manifest import Sealing


def readers(
    vault: UnlockedVault, tx: Transaction, declaration: ProjectDeclaration, *, chosen: Sequence[str] = ()
) -> tuple[RecipientKey, ...]:
    """Keys that an extract is sealed to, in the order of the declaration; none for one in the clear. ``chosen``: these recipients alone.

    Raises:
        RefusedError: ``recipient_key_inline``, ``recipient_not_declared``; as ``recipients.require``. IntegrityError: as that.
    """
    if any(recipient.key for recipient in declaration.recipients):
        hint = "declare the recipient by name alone, and add the key: genovault recipient add"
        raise RefusedError("recipient_key_inline", f"project {declaration.code} states a recipient's key itself", hint=hint)
    names = _names(declaration)
    strange = [name for name in chosen if name not in names]
    if strange:
        hint = f"it declares {', '.join(names)}" if names else "it declares no recipients"
        raise RefusedError("recipient_not_declared", f"project {declaration.code} declares no recipient {strange[0]}", hint=hint)
    wanted = [name for name in names if name in chosen] if chosen else names if declaration.sealed else []
    return recipients.require(vault, tx, wanted)


def require_unchanged(
    vault: UnlockedVault, tx: Transaction, declaration: ProjectDeclaration, keys: Sequence[RecipientKey]
) -> None:
    """Hold the keys that an extract is sealed to, if any, against what stands in the caller's transaction.

    Raises:
        RefusedError: ``recipient_changed``: one was retired, or has another key. IntegrityError: as ``recipients.require``.
    """
    if not keys:
        return
    try:
        again = readers(vault, tx, declaration, chosen=[key.name for key in keys])
    except RefusedError:
        again = ()
    if [key.public for key in again] != [key.public for key in keys]:
        raise RefusedError("recipient_changed", "a recipient's key was retired while the extract was made", hint="ask again")


def missing(tx: Transaction, declaration: ProjectDeclaration) -> list[str]:
    """Declared recipients to whom extracts have to be sealed and who have no confirmed key."""
    return recipients.missing(tx, _names(declaration)) if declaration.sealed else []


def obstacle(vault: UnlockedVault, tx: Transaction, declaration: ProjectDeclaration) -> RefusedError | None:
    """The refusal that an extract would meet for want of a recipient's key; None if there is none. Raises IntegrityError as ``readers``."""
    try:
        readers(vault, tx, declaration)
    except RefusedError as error:
        return error
    return None


def envelope(vault: UnlockedVault, keys: Sequence[RecipientKey]) -> Envelope | None:
    """Envelope of an extract that is sealed to these keys; None without any. Raises UnavailableError ``branch_closed``."""
    return Envelope(vault.sealing_key(), tuple(key.public for key in keys), vault.random) if keys else None


def sealing(vault: UnlockedVault, keys: Sequence[RecipientKey]) -> Sealing | None:
    """The envelope as the manifest tells it. Raises as ``envelope``."""
    if not keys:
        return None
    from vault.extracts.manifest import SealedFor, Sealing  # noqa: PLC0415 - the manifest's models are for extracts, not for every command

    named = tuple(SealedFor(name=key.name, fingerprint=key.fingerprint) for key in keys)
    return Sealing(writer=vault.sealing_key().public.hex(), recipients=named)


def sealing_key_armour(vault: UnlockedVault) -> str:
    """The public half of the key that extracts are sealed with, as a key file. Raises as ``envelope``."""
    return public_key_armour(vault.sealing_key().public)


def _names(declaration: ProjectDeclaration) -> list[str]:
    return list(dict.fromkeys(recipient.name for recipient in declaration.recipients))
