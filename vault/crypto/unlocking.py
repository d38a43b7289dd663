"""Reading and unlocking a keystore: from a passphrase or key file to the keyrings of one role.

Nothing in the file is trusted before a slot has opened; the slot holds the key that verifies the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from vault.crypto import keystore_files
from vault.crypto.context import encode_context
from vault.crypto.envelope import open_chunks
from vault.crypto.keyring import PUBLIC_BRANCHES, Branch, Keyring, Role, decode_epochs
from vault.crypto.keystore_format import Document
from vault.crypto.primitives import Argon2Profile, SigningKey, argon2id, verify_signature
from vault.crypto.secret import Secret
from vault.crypto.slots import KDF_SALT_BYTES, LABEL, Factor, HeldFactor, PassphraseFactor, Payload, Slot, open_payload
from vault.errors import IntegrityError, UnavailableError, UsageError
from vault.limits import MAX_UNLOCK_WORK_KIB


def load(folder: Path) -> Keystore:
    """Load the keystore of a vault's folder.

    Raises:
        UnavailableError: ``no_vault``; ``keystore_unreadable``.
        IntegrityError: ``keystore_damaged``: neither copy is whole; ``keystore_format_unknown``; ``keystore_conflict``.
    """
    return Keystore(folder, keystore_files.read(folder))


@dataclass(frozen=True)
class PublicKeys:
    """Public section of the keystore: 32-byte public keys by epoch. Trustworthy only when it comes from an ``Unlocked``."""

    vault_id: bytes
    seq: int
    by_epoch: Mapping[Branch, Mapping[int, bytes]]  # audit-read (X25519), log-sign and release-sign (Ed25519)

    @property
    def log_sign(self) -> bytes:
        """Public half of the current log-sign epoch."""
        return self.current(Branch.LOG_SIGN)[1]

    @property
    def release_sign(self) -> bytes:
        """Public half of the current release-sign epoch."""
        return self.current(Branch.RELEASE_SIGN)[1]

    @property
    def audit_read(self) -> Mapping[int, bytes]:
        """Public keys that audit details are sealed to, by epoch."""
        return self.by_epoch[Branch.AUDIT_READ]

    def current(self, branch: Branch) -> tuple[int, bytes]:
        """Newest (epoch, public key) of a branch, to write with."""
        number = max(self.by_epoch[branch])
        return number, self.by_epoch[branch][number]


@dataclass(frozen=True)
class Keystore:
    """Well-formed keystore file; nothing in it is trusted before ``unlock``."""

    folder: Path
    document: Document = field(repr=False)

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Unlock slots of the file."""
        return self.document.slots

    @property
    def bound(self) -> bool:
        """True if the books of this vault are signed, so that they are read in no other way."""
        return self.document.version > 1 and self.document.bound

    @property
    def public(self) -> PublicKeys:
        """Public keys as the file states them, not verified."""
        by_epoch = {branch: dict(self.document.branches[branch].public) for branch in PUBLIC_BRANCHES}
        return PublicKeys(self.document.vault_id, self.document.seq, by_epoch)

    def epochs(self, branch: Branch) -> tuple[int, ...]:
        """The numbers of the epochs that exist, ascending; none for a branch that this format of the keystore lacks."""
        return self.document.branches[branch].epochs if branch in self.document.branches else ()

    def unlock(self, factor: Factor, *, principal: str | None = None) -> Unlocked:
        """Open the principal's slot (default: the only principal's) and the keyrings of its role.

        A wrong passphrase and an unknown name take the same time and raise the same error.

        Raises:
            UsageError: ``principal_needed``: several principals have slots.
            UnavailableError: ``cannot_unlock``; ``memory_short``; ``slot_outdated``: a slot that was held is not there any more.
            IntegrityError: ``keystore_altered``: the slot opens, but the file was changed without an administrator's key; or slots of the
                name ask for more work than one unlock may cost.
        """
        if principal is None:
            principals = {slot.principal for slot in self.slots}
            if len(principals) > 1:
                raise UsageError("principal_needed", "several people can unlock this vault", hint="say who with --as NAME")
            principal = next(iter(principals))
        slots = [slot for slot in self.slots if slot.principal == principal and slot.opened_by(factor)]
        if not slots and isinstance(factor, HeldFactor):
            raise UnavailableError("slot_outdated", "this unlock slot was removed or its keys renewed", hint="genovault unlock")
        if not slots:
            self._spend_a_guess(factor)
        for slot, spent in zip(slots, accumulate(slot.profile.work_kib if slot.profile else 0 for slot in slots), strict=True):
            if spent > MAX_UNLOCK_WORK_KIB:
                raise IntegrityError(
                    "keystore_altered", "so many costly unlock slots of one name are nobody's", hint="restore the keystore"
                )
            try:
                payload = open_payload(slot, factor, vault_id=self.document.vault_id)
            except IntegrityError as error:
                if error.code == "commitment_mismatch":  # not this factor; a person may have two slots of one kind
                    continue
                raise IntegrityError("keystore_altered", "an unlock slot is damaged") from None
            return self._opened(slot, payload)
        raise UnavailableError("cannot_unlock", "this name and passphrase or key file do not open the vault")

    def _opened(self, slot: Slot, payload: Payload) -> Unlocked:
        document = self.document
        try:
            verify_signature(payload.verify_key, document.signature, document.signed_bytes())
            rings = {branch: open_keyring(document, branch, key) for branch, key in payload.branch_keys.items()}
        except IntegrityError:
            raise IntegrityError("keystore_altered", "the keystore was changed by somebody who may not") from None
        return Unlocked(slot.principal, slot.role, Keyring(rings), self, slot, payload, payload.root)

    def _spend_a_guess(self, factor: Factor) -> None:
        """Run a dummy Argon2 so that an unknown principal takes as long as a wrong passphrase."""
        if isinstance(factor, PassphraseFactor):
            profiles = [slot.profile for slot in self.slots if slot.profile]
            argon2id(factor.passphrase, bytes(KDF_SALT_BYTES), profiles[0] if profiles else Argon2Profile.DEFAULT)


@dataclass(frozen=True, eq=False)  # holds secrets, which are not compared
class Unlocked:
    """Open keys of one principal. ``keystore`` is authentic: its public section may be relied on."""

    principal: str
    role: Role
    keyring: Keyring
    keystore: Keystore
    slot: Slot
    payload: Payload = field(repr=False)
    root: Secret | None = field(default=None, repr=False)
    marks: str = ""  # what the next change of the keystore keeps of the books

    @property
    def signer(self) -> SigningKey | None:
        """The principal's own signing key; None where the slot is of keystore format 1."""
        return None if self.payload.seed is None else SigningKey(self.payload.seed)

    @property
    def administers(self) -> bool:
        """True if this slot may change the keystore."""
        return self.root is not None

    def refreshed(self) -> Unlocked:
        """Read the same slot's keys again, with epochs that another process has started since.

        Raises:
            UnavailableError: ``slot_outdated``: the branch keys were renewed, so the slot must be opened anew; as ``load``.
            IntegrityError: ``keystore_altered``; as ``load``.
        """
        now = load(self.keystore.folder)
        if now.document.seq < self.keystore.document.seq:
            raise IntegrityError("keystore_altered", "the keystore on disk is older than the one that was opened")
        if now.document == self.keystore.document:
            return self
        if all(slot.slot_id != self.slot.slot_id for slot in now.slots):
            raise UnavailableError("slot_outdated", "this unlock slot was removed", hint="ask an administrator for a new one")
        try:
            return now._opened(self.slot, self.payload)  # noqa: SLF001 - the keystore's own other half
        except IntegrityError:
            raise UnavailableError("slot_outdated", "the vault's keys were renewed", hint="unlock it again") from None

    @property
    def vault_id(self) -> bytes:
        """Id of the vault, 16 bytes."""
        return self.keystore.document.vault_id

    @property
    def public(self) -> PublicKeys:
        """Public keys, verified."""
        return self.keystore.public


def open_keyring(document: Document, branch: Branch, branch_key: Secret) -> dict[int, Secret]:
    """Open the keyring of one branch. Raises IntegrityError ``seal_broken``, ``keyring_malformed``."""
    record = document.branches[branch]
    context = keyring_context(document.vault_id, branch)
    epochs = decode_epochs(open_chunks(branch_key.reveal(), context, record.keyring, label=LABEL))
    if tuple(epochs) != record.epochs:
        raise IntegrityError("keystore_altered", "a keyring does not hold the epochs that the keystore lists")
    return epochs


def open_branch_key(document: Document, branch: Branch, root: Secret) -> Secret:
    """Open a branch key with the root key. Raises IntegrityError ``seal_broken``."""
    context = branch_key_context(document.vault_id, branch)
    return Secret(open_chunks(root.reveal(), context, document.branches[branch].wrapped, label=LABEL))


def branch_key_context(vault_id: bytes, branch: Branch) -> bytes:
    """Context of a branch key sealed under the root key."""
    return encode_context("genovault/branch-key/v1", vault_id, branch)


def keyring_context(vault_id: bytes, branch: Branch) -> bytes:
    """Context of a keyring sealed under its branch key."""
    return encode_context("genovault/keyring/v1", vault_id, branch)
