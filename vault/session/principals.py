"""Principals, their roles and their unlock slots.

The branches in a role's slots decide what it may open, not this module. A change of the keystore is one file and its entry
in the log another, so each change is written as intent, keystore, entry: the entry carries the keystore's new ``seq``, and the
books remember the newest one, so that an older keystore put back is refused at the next unlock. A change that a killed process
made without its entry is logged by ``reconcile``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import select, update

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto import keystore
from vault.crypto.argon2_calibration import Timer, calibrate
from vault.crypto.keystore import Factor, KeyFileFactor, Role, Slot, Unlocked
from vault.crypto.primitives import KEY_BYTES, Argon2Profile
from vault.errors import InputError, RefusedError, UnavailableError, UsageError
from vault.files import durable
from vault.ids import RandomBytes
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import PrincipalRow, VaultRow
from vault.storage.database import Transaction
from vault.storage.timestamps import from_micros, rfc3339, to_micros

ACTIVE, DISABLED = "active", "disabled"
PROFILES = {"default": Argon2Profile.DEFAULT, "high-memory": Argon2Profile.HIGH_MEMORY, "test-only": Argon2Profile.TEST_ONLY}
"""Costs of a guess of the passphrase, by name. "test-only" protects nothing."""


@dataclass(frozen=True)
class SlotSummary:
    """An unlock slot as lists show it."""

    slot_id: str  # 32 hex digits
    principal: str
    role: str
    kind: str  # argon2id | keyfile
    administers: bool
    cost: str  # of one guess, "" for key files


@dataclass(frozen=True)
class Principal:
    """A named actor of the vault."""

    name: str
    role: str
    state: str
    created: str
    slots: int


def add(
    vault: UnlockedVault,
    name: str,
    role: Role,
    factor: Factor | None,
    *,
    administers: bool = False,
    profile: Argon2Profile = Argon2Profile.DEFAULT,
) -> Principal:
    """Add a principal, with a slot unless the role holds no keys (researchers).

    Raises:
        InputError: ``principal_exists``; ``principal_invalid``; ``slots_full``; ``role_holds_no_keys`` (a researcher with a factor).
        UsageError: ``factor_needed``. UnavailableError: ``not_administrator``; ``keystore_changed``.
    """
    with vault.trail.attempting(Action.PRINCIPAL_ADD):
        require_administrator(vault)
        with vault.books.read() as tx:
            if tx.get(PrincipalRow, name) is not None:
                raise InputError(
                    "principal_exists", f"there is a principal {name} already", hint="key add-slot gives a further slot"
                )
        if factor is None and keystore.ROLE_BRANCHES[role]:
            raise UsageError("factor_needed", f"a {role.value} unlocks with a passphrase or a key file")
        profile.require_protective()

        def book(tx: Transaction) -> None:
            now = to_micros(vault.clock())
            tx.add(PrincipalRow(name=name, role=role.value, state=ACTIVE, created=now))
            tx.flush()

        if factor is None:
            require_name(name)
            with vault.books.write() as tx:
                book(tx)
                vault.trail.append(
                    tx, Action.PRINCIPAL_ADD, Outcome.DONE, obj=ObjectRef("principal", name), detail={"role": role.value}
                )
        else:
            given = factor
            change_keystore(
                vault,
                Action.PRINCIPAL_ADD,
                lambda unlocked: keystore.add_slot(
                    unlocked,
                    principal=name,
                    role=role,
                    factor=given,
                    profile=profile,
                    random=vault.random,
                    administers=administers,
                ),
                about=ObjectRef("principal", name),
                book=book,
            )
    return next(principal for principal in _every(vault) if principal.name == name)


def disable(vault: UnlockedVault, name: str) -> None:
    """Disable a principal and remove its slots. Keys it may have copied stay usable until they are rotated.

    Raises:
        InputError: ``principal_unknown``; ``principal_disabled``. UsageError: ``last_administrator``; ``own_slot``.
        UnavailableError: ``not_administrator``; ``keystore_changed``.
    """
    with vault.trail.attempting(Action.PRINCIPAL_DISABLE):
        require_administrator(vault)
        require_active(vault, name)

        def book(tx: Transaction) -> None:
            tx.execute(update(PrincipalRow).where(PrincipalRow.name == name).values(state=DISABLED))

        def without(unlocked: Unlocked) -> Unlocked:
            mine = [slot for slot in unlocked.keystore.slots if slot.principal == name]
            _require_others(vault, mine)
            if not any(slot.administers for slot in unlocked.keystore.slots if slot not in mine):
                raise UsageError(
                    "last_administrator", f"nobody but {name} administers this vault", hint="add another administrator first"
                )
            for slot in mine:
                unlocked = keystore.remove_slot(unlocked, slot.slot_id)
            return unlocked

        change_keystore(vault, Action.PRINCIPAL_DISABLE, without, about=ObjectRef("principal", name), book=book)


def list_all(vault: UnlockedVault) -> list[Principal]:
    """List all principals by name and log the access."""
    with vault.trail.attempting(Action.PRINCIPAL_LIST):
        found = _every(vault)
        vault.trail.record(Action.PRINCIPAL_LIST, Outcome.DONE, counts={"principals": len(found)})
    return found


def slots(vault: UnlockedVault) -> list[SlotSummary]:
    """List all unlock slots and log the access."""
    with vault.trail.attempting(Action.SLOT_LIST):
        found = [_summary(slot) for slot in vault.unlocked.keystore.slots]
        vault.trail.record(Action.SLOT_LIST, Outcome.DONE, counts={"slots": len(found)})
    return found


def add_slot(
    vault: UnlockedVault,
    name: str,
    factor: Factor,
    *,
    administers: bool = False,
    profile: Argon2Profile = Argon2Profile.DEFAULT,
) -> SlotSummary:
    """Add a slot to a principal, opened once with its factor before the keystore is written.

    Raises:
        InputError: ``principal_unknown``; ``principal_disabled``; ``slots_full``; ``role_holds_no_keys``; ``role_cannot_administer``.
        UnavailableError: ``not_administrator``; ``keystore_changed``.
    """
    with vault.trail.attempting(Action.SLOT_ADD):
        require_administrator(vault)
        role = require_active(vault, name)
        profile.require_protective()
        before = {slot.slot_id for slot in vault.unlocked.keystore.slots}
        change_keystore(
            vault,
            Action.SLOT_ADD,
            lambda unlocked: keystore.add_slot(
                unlocked,
                principal=name,
                role=role,
                factor=factor,
                profile=profile,
                random=vault.random,
                administers=administers,
            ),
            about=ObjectRef("principal", name),
        )
    return next(_summary(slot) for slot in vault.unlocked.keystore.slots if slot.slot_id not in before)


def remove_slot(vault: UnlockedVault, slot_id: str) -> None:
    """Remove a slot by its id or an unambiguous beginning of it.

    Raises:
        InputError: ``slot_unknown``. UsageError: ``last_administrator``, ``own_slot``. UnavailableError: as ``add_slot``.
    """
    with vault.trail.attempting(Action.SLOT_REMOVE):
        require_administrator(vault)
        found = [slot for slot in vault.unlocked.keystore.slots if slot.slot_id.hex().startswith(slot_id.lower())]
        if len(found) != 1 or not slot_id:
            raise InputError("slot_unknown", "no one slot has this id", hint="genovault key slots lists them")
        _require_others(vault, found)
        about, gone = ObjectRef("principal", found[0].principal), found[0].slot_id
        change_keystore(vault, Action.SLOT_REMOVE, lambda unlocked: keystore.remove_slot(unlocked, gone), about=about)


def change_keystore(
    vault: UnlockedVault,
    act: Action,
    change: Callable[[Unlocked], Unlocked],
    *,
    about: ObjectRef,
    book: Callable[[Transaction], None] | None = None,
) -> None:
    """Change the keystore between an intent and a done entry that carries its new ``seq``; ``book`` joins the done entry.

    A session that was open while another process changed the keystore goes on from the newest one.

    Raises:
        UnavailableError: ``keystore_changed``: by another process in this very moment; ``slot_outdated``; ``not_administrator``.
    """
    vault.newest_keystore()
    intent = vault.trail.record(act, Outcome.INTENT, obj=about)
    marks = vault.marks.standing().to_text() if vault.books.upgraded else ""
    vault.adopt(change(replace(vault.unlocked, marks=marks)))
    vault.marks.keep()  # before the books know of it: books that know a newer keystore than the keys do tell older keys
    with vault.books.write() as tx:
        if book is not None:
            book(tx)
        anchor(tx, vault, act, about=about, refers=intent.event_id)


def anchor(tx: Transaction, vault: UnlockedVault, act: Action, *, about: ObjectRef, refers: str | None = None) -> None:
    """Log the newest keystore's ``seq`` and keep it in the books."""
    seq = vault.public.seq
    # only forward: a later change of another process may have come before this entry
    tx.execute(update(VaultRow).where(VaultRow.keystore_seq < seq).values(keystore_seq=seq))
    vault.trail.append(tx, act, Outcome.DONE, obj=about, refers=refers, counts={"keystore_seq": seq})


def reconcile(vault: UnlockedVault) -> bool:
    """Tell the log of a keystore that is newer than it knows (a process was killed between the two); whether there was one.

    An administrator's next session does: no other may change what is remembered of the keystore.
    """
    if not vault.unlocked.administers or not vault.books.upgraded:  # a killed upgrade tells the books when it is done again
        return False
    with vault.books.read() as tx:
        if tx.scalars(select(VaultRow.keystore_seq)).one() >= vault.public.seq:
            return False
    vault.marks.keep()
    with vault.books.write() as tx:
        if tx.scalars(select(VaultRow.keystore_seq)).one() >= vault.public.seq:
            return False
        anchor(tx, vault, Action.KEYSTORE_RECONCILE, about=ObjectRef("vault", vault.vault_id.hex()))
        for name, role in {slot.principal: slot.role for slot in vault.unlocked.keystore.slots}.items():
            if tx.get(PrincipalRow, name) is None:
                tx.add(PrincipalRow(name=name, role=role.value, state=ACTIVE, created=to_micros(vault.clock())))
    return True


def require_administrator(vault: UnlockedVault) -> None:
    """Refuse a principal that may not administer. The keys would refuse as well; a change of the books alone would not.

    Raises:
        UnavailableError: ``not_administrator``.
    """
    if not vault.unlocked.administers:
        raise UnavailableError("not_administrator", "this slot does not administer the keystore")


def require_name(name: str) -> None:
    """Check a principal's name. Raises InputError ``principal_invalid``."""
    Slot(bytes(16), keystore.SlotKind.KEYFILE, name, Role.STEWARD, administers=False, profile=None, salt=b"")


def _require_others(vault: UnlockedVault, gone: Sequence[Slot]) -> None:
    """Refuse to remove this session's slot, which signs the removal, beside others. Raises UsageError ``own_slot``."""
    if vault.unlocked.slot in gone and any(slot.administers for slot in vault.unlocked.keystore.slots if slot not in gone):
        raise UsageError("own_slot", "this slot is unlocked now", hint="unlock the vault with another one that administers")


def _every(vault: UnlockedVault) -> list[Principal]:
    held = [slot.principal for slot in vault.unlocked.keystore.slots]
    with vault.books.read() as tx:
        rows = tx.scalars(select(PrincipalRow).order_by(PrincipalRow.name)).all()
    return [Principal(row.name, row.role, row.state, rfc3339(from_micros(row.created)), held.count(row.name)) for row in rows]


def require_not_disabled(tx: Transaction, name: str) -> None:
    """Raises RefusedError ``principal_disabled`` for a principal who is known and disabled in the caller's transaction."""
    row = tx.get(PrincipalRow, name)
    if row is not None and row.state != ACTIVE:
        raise RefusedError("principal_disabled", f"{name}, whom it is for, is disabled", hint="ask a steward")


def require_active(vault: UnlockedVault, name: str) -> Role:
    """The role of a principal who is enabled. Raises InputError ``principal_unknown``, ``principal_disabled``."""
    with vault.books.read() as tx:
        row = tx.get(PrincipalRow, name)
    if row is None:
        raise InputError("principal_unknown", f"there is no principal {name}", hint="genovault principal list")
    if row.state != ACTIVE:
        raise InputError("principal_disabled", f"{name} is disabled")
    return Role(row.role)


def _summary(slot: Slot) -> SlotSummary:
    cost = f"{slot.profile.m_kib // 1024} MiB, {slot.profile.t} passes" if slot.profile else ""
    return SlotSummary(slot.slot_id.hex(), slot.principal, slot.role.value, slot.kind.value, slot.administers, cost)


def role_named(name: str) -> Role:
    """Parse a role. Raises UsageError ``role_unknown``."""
    if name not in set(Role):
        raise UsageError("role_unknown", f"there is no role {name}", hint=", ".join(Role))
    return Role(name)


def profile_named(name: str, *, timer: Timer) -> Argon2Profile:
    """Look up a profile of ``PROFILES``, or with "calibrated" the costliest that unlocks in about a second here.

    Raises:
        UsageError: ``profile_unknown``.
    """
    if name == "calibrated":
        return calibrate(timer=timer)
    if name not in PROFILES:
        raise UsageError("profile_unknown", f"there is no profile {name}", hint=", ".join([*PROFILES, "calibrated"]))
    return PROFILES[name]


def key_file(path: Path, *, random: RandomBytes) -> Factor:
    """Read a key file as a factor; a missing one is created with 32 random bytes and mode 0600.

    Raises:
        InputError: ``key_file_invalid``; ``file_unwritable``.
    """
    if not path.exists():
        try:
            durable.create(path, random(KEY_BYTES))
        except OSError as error:
            raise InputError("file_unwritable", f"{path}: {error.strerror or 'cannot be written'}") from None
    return KeyFileFactor.from_file(path)
