"""The keystore: branch keys behind unlock slots (``docs/design/keys.md``, ``docs/formats/keys.md`` §3-6).

::

    passphrase or key file ──opens──> slot ──holds──> branch keys of one role ──open──> keyrings of numbered epochs
                                        └──if it administers──> root key ──opens──> every branch key, signs the file

The root key exists to administer: make and remove slots, start and destroy epochs. The file is signed with a key derived from
it, and every slot holds the verifying half, so each principal notices at unlock if anything in the file, slots, keyrings or
public keys, was changed without an administrator's key. Replay of a whole older file is not seen here: the audit log
anchors ``seq``.

Changes are functions that take an ``Unlocked`` that administers and return a new one; they fail if the file has changed since
(``keystore_changes``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from vault.crypto import keystore_files
from vault.crypto.keyring import (
    ROLE_BRANCHES,
    Branch,
    Keyring,
    Role,
    branches_of,
)
from vault.crypto.keystore_changes import administered, commit, next_document, seal, sealed_record, signing_key
from vault.crypto.keystore_format import NEWEST_FORMAT, Document, FormerKey
from vault.crypto.primitives import KEY_BYTES, Argon2Profile, SigningKey
from vault.crypto.secret import Secret
from vault.crypto.slots import (
    Factor,
    HeldFactor,
    KeyFileFactor,
    PassphraseFactor,
    Payload,
    Slot,
    SlotKind,
    new_slot,
    open_payload,
    seal_payload,
)
from vault.crypto.unlocking import (
    Keystore,
    PublicKeys,
    Unlocked,
    branch_key_context,
    load,
    open_branch_key,
    open_keyring,
)
from vault.errors import InputError, IntegrityError, UnavailableError, UsageError
from vault.ids import ID_BYTES, RandomBytes
from vault.limits import MAX_SLOTS

__all__ = [
    "ROLE_BRANCHES",
    "Branch",
    "Factor",
    "HeldFactor",
    "KeyFileFactor",
    "Keyring",
    "Keystore",
    "PassphraseFactor",
    "PublicKeys",
    "Role",
    "Slot",
    "SlotKind",
    "Unlocked",
    "add_epoch",
    "add_slot",
    "bind",
    "create",
    "drop_epoch",
    "load",
    "mark",
    "remove_slot",
    "renew",
    "upgrade",
]


def create(
    folder: Path, *, vault_id: bytes, principal: str, factor: Factor, profile: Argon2Profile, random: RandomBytes
) -> Unlocked:
    """A new keystore in an existing folder, with the founding steward's slot: every branch, and the root.

    Raises:
        InputError: ``keystore_exists``; ``principal_invalid``; ``vault_id_invalid``.
        UnavailableError: ``no_vault``: the folder does not exist.
    """
    if len(vault_id) != ID_BYTES:
        raise InputError("vault_id_invalid", "a vault id has 16 bytes")
    root = Secret(random(KEY_BYTES))
    branch_keys = {branch: Secret(random(KEY_BYTES)) for branch in Branch}
    records = {}
    for branch, branch_key in branch_keys.items():
        epochs = {1: Secret(random(KEY_BYTES))}
        wrapped = seal(root, branch_key_context(vault_id, branch), branch_key.reveal(), random)
        records[branch] = sealed_record(branch, epochs, branch_key, wrapped=wrapped, public={}, vault_id=vault_id, random=random)
    slot = new_slot(factor, principal=principal, role=Role.STEWARD, administers=True, profile=profile, random=random)
    payload = Payload(signing_key(root).public, root, branch_keys)
    slot = _sealed(slot, factor, payload, vault_id=vault_id, version=NEWEST_FORMAT, random=random)
    document = Document(vault_id, 1, records, (slot,)).signed_by(signing_key(root))
    with keystore_files.locked(folder):
        if keystore_files.exists(folder):
            raise InputError("keystore_exists", "there is a keystore here already; it is never overwritten")
        unlocked = Keystore(folder, document).unlock(factor)
        keystore_files.write(folder, document)
    return unlocked


def add_slot(
    unlocked: Unlocked,
    *,
    principal: str,
    role: Role,
    factor: Factor,
    profile: Argon2Profile,
    random: RandomBytes,
    administers: bool = False,
) -> Unlocked:
    """Add a slot, proven by opening it before it is written.

    Raises:
        InputError: ``principal_invalid``; ``principal_has_other_role``; ``role_holds_no_keys``; ``role_cannot_administer``;
            ``slots_full``.
        UnavailableError: ``not_administrator``; ``keystore_changed``.
    """
    root, document = administered(unlocked)
    if any(slot.principal == principal and slot.role is not role for slot in document.slots):
        raise InputError("principal_has_other_role", "this principal has a slot with another role")
    if len(document.slots) >= MAX_SLOTS:
        raise InputError("slots_full", f"a keystore has at most {MAX_SLOTS} slots")
    slot = new_slot(factor, principal=principal, role=role, administers=administers, profile=profile, random=random)
    own = branches_of(role, keystore_format=document.version)
    branch_keys = {branch: open_branch_key(document, branch, root) for branch in own}
    payload = Payload(signing_key(root).public, root if administers else None, branch_keys)
    slot = _sealed(slot, factor, payload, vault_id=document.vault_id, version=document.version, random=random)
    changed = next_document(document, root, slots=(*document.slots, slot))
    Keystore(unlocked.keystore.folder, changed).unlock(factor, principal=principal)
    return commit(unlocked, changed)


def remove_slot(unlocked: Unlocked, slot_id: bytes) -> Unlocked:
    """Remove a slot; a principal that removes its own slot stays unlocked.

    The keys it opened may have been copied: rotate the branches of its role as well.

    Raises:
        InputError: ``slot_unknown``.
        UsageError: ``last_administrator``: no slot would administer any more.
        UnavailableError: ``not_administrator``; ``keystore_changed``.
    """
    root, document = administered(unlocked)
    rest = tuple(slot for slot in document.slots if slot.slot_id != slot_id)
    if len(rest) == len(document.slots):
        raise InputError("slot_unknown", "there is no such slot")
    if not any(slot.administers for slot in rest):
        raise UsageError("last_administrator", "the last slot that administers cannot be removed", hint="add another first")
    gone = [slot for slot in document.slots if slot.slot_id == slot_id and slot.key]
    former = tuple(FormerKey(slot.principal, slot.role, slot.key, document.seq + 1) for slot in gone)
    return commit(unlocked, next_document(document, root, slots=rest, former=(*document.former, *former)))


def add_epoch(unlocked: Unlocked, branch: Branch, *, random: RandomBytes) -> Unlocked:
    """Start a new epoch of a branch, used for writing from now on. Raises as ``drop_epoch``."""
    root, document = administered(unlocked)
    epochs = open_keyring(document, branch, open_branch_key(document, branch, root))
    # Above every number ever used, since the newest is never destroyed: no number comes back with another key.
    return _with_epochs(unlocked, branch, {**epochs, max(epochs) + 1: Secret(random(KEY_BYTES))}, random=random)


def drop_epoch(unlocked: Unlocked, branch: Branch, number: int, *, random: RandomBytes) -> Unlocked:
    """Destroy an old epoch, in both copies of the file. Keys still wrapped under it are lost for good.

    Backups of the keystore keep the epoch until they expire (``docs/formats/keys.md`` §7).

    Raises:
        InputError: ``epoch_unknown``.
        UsageError: ``epoch_current``: the newest epoch is in use.
        UnavailableError: ``not_administrator``; ``keystore_changed``.
    """
    root, document = administered(unlocked)
    epochs = open_keyring(document, branch, open_branch_key(document, branch, root))
    if number not in epochs:
        raise InputError("epoch_unknown", f"the {branch} keys have no epoch {number}")
    if number == max(epochs):
        raise UsageError("epoch_current", "the newest epoch is in use", hint="start a new one first")
    del epochs[number]
    return _with_epochs(unlocked, branch, epochs, random=random)


def renew(unlocked: Unlocked, factors: Mapping[bytes, Factor], *, random: RandomBytes) -> Unlocked:
    """Draw a new root key and new branch keys for the slots whose factors (by slot id) are given; every other slot is dropped.

    Epochs stay, so nothing that is wrapped or sealed changes. Copies of the old root or branch keys do not open this
    keystore or a later one, but epochs once seen stay known: start new epochs and wrap every key anew.

    Raises:
        InputError: ``slot_unknown``. UsageError: ``last_administrator``: none of the slots that stay administers.
        UnavailableError: ``not_administrator``; ``keystore_changed``; ``cannot_unlock``: a factor is not its slot's.
    """
    old_root, document = administered(unlocked)
    kept = [slot for slot in document.slots if slot.slot_id in factors]
    if len(kept) != len(factors):
        raise InputError("slot_unknown", "there is no such slot")
    if not any(slot.administers for slot in kept):
        raise UsageError("last_administrator", "no slot that administers would be left", hint="give its passphrase or key file")
    opened = {slot.slot_id: _opened(slot, factors[slot.slot_id], document.vault_id) for slot in kept}
    root = Secret(random(KEY_BYTES))
    branch_keys = {branch: Secret(random(KEY_BYTES)) for branch in Branch if branch in document.branches}
    records = {}
    for branch, key in branch_keys.items():
        epochs = open_keyring(document, branch, open_branch_key(document, branch, old_root))
        wrapped = seal(root, branch_key_context(document.vault_id, branch), key.reveal(), random)
        public = document.branches[branch].public
        records[branch] = sealed_record(
            branch, epochs, key, wrapped=wrapped, public=public, vault_id=document.vault_id, random=random
        )
    slots = []
    for slot in kept:
        before = opened[slot.slot_id]
        own = {branch: branch_keys[branch] for branch in before.branch_keys}
        payload = Payload(signing_key(root).public, root if slot.administers else None, own, before.seed)
        sealed = seal_payload(slot, factors[slot.slot_id], payload, vault_id=document.vault_id, random=random)
        slots.append(replace(slot, sealed=sealed))
    gone = [slot for slot in document.slots if slot.slot_id not in factors and slot.key]
    former = tuple(FormerKey(slot.principal, slot.role, slot.key, document.seq + 1) for slot in gone)
    changed = next_document(document, root, slots=tuple(slots), branches=records, former=(*document.former, *former))
    for slot in slots:
        Keystore(unlocked.keystore.folder, changed).unlock(factors[slot.slot_id], principal=slot.principal)
    mine = next((slot for slot in slots if slot.slot_id == unlocked.slot.slot_id), next(s for s in slots if s.administers))
    committed = commit(unlocked, changed)
    return committed.keystore.unlock(factors[mine.slot_id], principal=mine.principal)


def upgrade(unlocked: Unlocked, factors: Mapping[bytes, Factor], *, random: RandomBytes) -> Unlocked:
    """The keystore in the newest format: slots whose factors (by slot id) are given get a signing key and the branches of today.

    The others stay as they are: they still open what they opened, and sign and append nothing until an administrator gives
    their principals a new slot. Returns the administrator's own slot, opened anew.

    Raises:
        InputError: ``slot_unknown``; ``keystore_current``: there is nothing to do. UsageError: ``own_slot_needed``.
        UnavailableError: ``not_administrator``; ``keystore_changed``; ``cannot_unlock``: a factor is not its slot's.
    """
    root, document = administered(unlocked)
    if document.version == NEWEST_FORMAT:
        raise InputError("keystore_current", "the keystore has the newest format")
    if not factors.keys() <= {slot.slot_id for slot in document.slots}:
        raise InputError("slot_unknown", "there is no such slot")
    if unlocked.slot.slot_id not in factors:
        raise UsageError("own_slot_needed", "the administrator's own passphrase or key file is needed")
    opened = {slot_id: _opened(_slot(document, slot_id), factor, document.vault_id) for slot_id, factor in factors.items()}
    added = {branch: Secret(random(KEY_BYTES)) for branch in Branch if branch not in document.branches}
    records = dict(document.branches)
    for branch, key in added.items():
        wrapped = seal(root, branch_key_context(document.vault_id, branch), key.reveal(), random)
        epochs = {1: Secret(random(KEY_BYTES))}
        records[branch] = sealed_record(
            branch, epochs, key, wrapped=wrapped, public={}, vault_id=document.vault_id, random=random
        )
    slots = []
    for slot in document.slots:
        if slot.slot_id not in opened:
            slots.append(slot)
            continue
        payload = opened[slot.slot_id]
        wider = {**payload.branch_keys, **{branch: key for branch, key in added.items() if branch in ROLE_BRANCHES[slot.role]}}
        payload = replace(payload, branch_keys=wider)
        new = _sealed(slot, factors[slot.slot_id], payload, vault_id=document.vault_id, version=NEWEST_FORMAT, random=random)
        slots.append(new)
    changed = next_document(replace(document, version=NEWEST_FORMAT, bound=False), root, slots=tuple(slots), branches=records)
    for slot_id, factor in factors.items():
        Keystore(unlocked.keystore.folder, changed).unlock(factor, principal=_slot(changed, slot_id).principal)
    committed = commit(unlocked, changed)
    return committed.keystore.unlock(factors[unlocked.slot.slot_id], principal=unlocked.principal)


def bind(unlocked: Unlocked) -> Unlocked:
    """The keystore of a vault whose books are signed now: from here on they are read in no other way. Raises as ``drop_epoch``."""
    root, document = administered(unlocked)
    return commit(unlocked, next_document(replace(document, bound=True), root))


def mark(unlocked: Unlocked) -> Unlocked:
    """The keystore with ``unlocked.marks``, otherwise as it is. Raises as ``drop_epoch``."""
    root, document = administered(unlocked)
    return commit(unlocked, next_document(document, root))


def _slot(document: Document, slot_id: bytes) -> Slot:
    return next(slot for slot in document.slots if slot.slot_id == slot_id)


def _sealed(slot: Slot, factor: Factor, payload: Payload, *, vault_id: bytes, version: int, random: RandomBytes) -> Slot:
    """The slot with its payload and, from keystore format 2 on, a signing key of its own."""
    if version > 1:
        seed = Secret(random(KEY_BYTES))
        payload, slot = replace(payload, seed=seed), replace(slot, key=SigningKey(seed).public)
    return replace(slot, sealed=seal_payload(slot, factor, payload, vault_id=vault_id, random=random))


def _opened(slot: Slot, factor: Factor, vault_id: bytes) -> Payload:
    """Content of a slot. A slot sealed anew under a mistyped passphrase would lock its owner out."""
    try:
        if slot.opened_by(factor):
            return open_payload(slot, factor, vault_id=vault_id)
    except IntegrityError:
        pass
    raise UnavailableError("cannot_unlock", "a passphrase or key file does not open its slot")


def _with_epochs(unlocked: Unlocked, branch: Branch, epochs: dict[int, Secret], *, random: RandomBytes) -> Unlocked:
    root, document = administered(unlocked)
    old = document.branches[branch]
    branch_key = open_branch_key(document, branch, root)
    record = sealed_record(
        branch, epochs, branch_key, wrapped=old.wrapped, public=old.public, vault_id=document.vault_id, random=random
    )
    changed = commit(unlocked, next_document(document, root, branches={**document.branches, branch: record}))
    held = [other for other in Branch if unlocked.keyring.has(other)]
    rings = {other: {n: unlocked.keyring.epoch(other, n) for n in unlocked.keyring.epochs(other)} for other in held}
    return replace(changed, keyring=Keyring({**rings, branch: epochs}))
