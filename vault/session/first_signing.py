"""Sign the books of a vault that is new, or was upgraded."""

from __future__ import annotations

from vault.audit.head_seal import HeadSeal
from vault.crypto.keystore import Branch, Unlocked
from vault.session.authentic_books import AuthenticBooks, Signatory
from vault.storage.database import Database


def sign_books(database: Database, vault_id: bytes, unlocked: Unlocked) -> None:
    """Sign every collection as it stands in the name of an unlocked principal. Raises as ``AuthenticBooks.adopt``."""
    keyring = unlocked.keyring
    seal = HeadSeal(vault_id, lambda _: keyring.current(Branch.LOG_APPEND))
    signatory = Signatory(unlocked.role.value, unlocked.signer)
    books = AuthenticBooks(
        database, vault_id, seal=seal, keystore=lambda _: unlocked.keystore.document, signatory=lambda: signatory
    )
    try:
        books.adopt()
    finally:
        books.stop_watching()
