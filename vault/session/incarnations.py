"""Incarnations: a vault that was restored, copied, or whose log begins anew is another one, and no part of the earlier one passes in it.

The id stands in the books (``vault.incarnation``), in the marks of the key database and in those of the keystore. All three agree, or
the vault is refused (``high_water``).
"""

from __future__ import annotations

from vault.audit.actions import Action
from vault.audit.entry import ObjectRef
from vault.crypto import keystore
from vault.ids import new_id
from vault.session.principals import change_keystore
from vault.session.unlocked_vault import UnlockedVault


def drawn(vault: UnlockedVault) -> dict[str, bytes]:
    """Values of a new incarnation for the row ``vault``; none in a vault that was not upgraded."""
    return {"incarnation": new_id(vault.random)} if vault.books.upgraded else {}


def seal(vault: UnlockedVault) -> None:
    """Set the marks in key database and keystore to the books as they are, once they are of a new incarnation.

    Safe to repeat: killed before its end, the vault is refused until this is done again.

    Raises:
        UnavailableError: ``not_administrator``; ``keystore_changed``.
    """
    if not vault.books.upgraded:
        return
    marks = vault.marks.begin_anew()
    change_keystore(vault, Action.VAULT_INCARNATION, keystore.mark, about=ObjectRef("incarnation", marks.incarnation))
