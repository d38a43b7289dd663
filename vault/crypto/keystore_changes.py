"""Change of a keystore: what is sealed anew for it, and how the document that follows is signed, held against the file, and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vault.crypto import keystore_files
from vault.crypto.context import encode_context
from vault.crypto.envelope import SALT_BYTES, seal_chunks
from vault.crypto.keyring import PUBLIC_BRANCHES, Branch, encode_epochs, public_half
from vault.crypto.keystore_format import BranchRecord, Document, FormerKey
from vault.crypto.primitives import KEY_BYTES, SigningKey, hkdf_expand_sha256
from vault.crypto.secret import Secret
from vault.crypto.slots import LABEL, Slot
from vault.crypto.unlocking import Keystore, Unlocked, keyring_context
from vault.errors import UnavailableError
from vault.ids import RandomBytes


def administered(unlocked: Unlocked) -> tuple[Secret, Document]:
    """Root key and document of an unlocked keystore that a change begins with. Raises UnavailableError ``not_administrator``."""
    if unlocked.root is None:
        raise UnavailableError("not_administrator", "this slot does not administer the keystore")
    document = unlocked.keystore.document
    return unlocked.root, replace(document, marks=unlocked.marks or document.marks)


def next_document(
    document: Document,
    root: Secret,
    *,
    slots: tuple[Slot, ...] | None = None,
    branches: Mapping[Branch, BranchRecord] | None = None,
    former: tuple[FormerKey, ...] | None = None,
) -> Document:
    """The document that follows, signed; what is not given stays as it is."""
    changed = replace(
        document,
        seq=document.seq + 1,
        slots=slots or document.slots,
        branches=branches or document.branches,
        former=document.former if former is None else former,
    )
    return changed.signed_by(signing_key(root))


def commit(unlocked: Unlocked, document: Document) -> Unlocked:
    """Write the next document if the file is still the one it was made from.

    Raises:
        UnavailableError: ``keystore_changed``.
    """
    folder = unlocked.keystore.folder
    with keystore_files.locked(folder):
        if keystore_files.read(folder) != unlocked.keystore.document:
            raise UnavailableError("keystore_changed", "the keystore was changed meanwhile", hint="unlock again and repeat")
        keystore_files.write(folder, document)
    return replace(unlocked, keystore=Keystore(folder, document), marks="")


def sealed_record(
    branch: Branch,
    epochs: Mapping[int, Secret],
    branch_key: Secret,
    *,
    wrapped: bytes,
    public: Mapping[int, bytes],
    vault_id: bytes,
    random: RandomBytes,
) -> BranchRecord:
    """Build the stored form of a branch, its keyring sealed anew; public halves of old epochs stay, to verify old signatures."""
    halves = {number: public_half(branch, key) for number, key in epochs.items()} if branch in PUBLIC_BRANCHES else {}
    keyring = seal(branch_key, keyring_context(vault_id, branch), encode_epochs(epochs), random)
    return BranchRecord(wrapped, keyring, tuple(sorted(epochs)), {**public, **halves})


def seal(key: Secret, context: bytes, plaintext: bytes, random: RandomBytes) -> bytes:
    """Seal a key or a keyring under another key, bound to its place."""
    return seal_chunks(key.reveal(), context, plaintext, salt=random(SALT_BYTES), label=LABEL)


def signing_key(root: Secret) -> SigningKey:
    """Key that documents are signed with; it derives from the root key."""
    seed = hkdf_expand_sha256(root.reveal(), encode_context("genovault/keystore-sign/v1"), KEY_BYTES)
    return SigningKey(Secret(seed))
