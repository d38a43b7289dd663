"""Signing the books outside an open vault: of a new or upgraded one, and of one whose schema an older program made."""

from __future__ import annotations

from vault.audit.head_seal import HeadSeal
from vault.crypto.keystore import Branch, Unlocked
from vault.crypto.secret import Secret
from vault.session.authentic_books import AuthenticBooks
from vault.session.collection_heads import CollectionHeads, Signatory
from vault.storage.database import Database


def sign_books(database: Database, vault_id: bytes, unlocked: Unlocked) -> None:
    """Sign every collection as it stands in the name of an unlocked principal. Raises as ``AuthenticBooks.adopt``."""
    books = AuthenticBooks(database, _heads(vault_id, unlocked))
    try:
        books.adopt()
    finally:
        books.stop_watching()


def migrate_books(database: Database, vault_id: bytes, unlocked: Unlocked) -> None:
    """Bring books that an older program made to the newest schema. Raises as ``AuthenticBooks.migrate``."""
    books = AuthenticBooks(database, _heads(vault_id, unlocked) if unlocked.keystore.bound else None)
    try:
        books.migrate(_signatory(unlocked))
    finally:
        books.stop_watching()


def _heads(vault_id: bytes, unlocked: Unlocked) -> CollectionHeads:
    keyring = unlocked.keyring

    def append_key(number: int | None) -> tuple[int, Secret]:
        if number is None:
            return keyring.current(Branch.LOG_APPEND)
        return number, keyring.epoch(Branch.LOG_APPEND, number)

    seal = HeadSeal(vault_id, append_key)
    return CollectionHeads(vault_id, seal, keystore=lambda _: unlocked.keystore.document, signatory=lambda: _signatory(unlocked))


def _signatory(unlocked: Unlocked) -> Signatory:
    return Signatory(unlocked.role.value, unlocked.signer)
