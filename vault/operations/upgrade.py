"""Upgrade: a vault of keystore format 1 becomes one whose books are signed (docs/formats/books.md §7).

    look      doctor without errors, a log that verifies
    keys      keystore format 2, marked unbound: slots whose factors are given get signing keys
    approvals what was approved and ruled, signed in the administrator's name
    books     every collection signed as it stands, bound to the head of the log
    bind      the mark goes: from here on nothing unsigned is read
    epochs    stored keys wrapped anew, so that a copy of the old keystore opens nothing that is released

A killed upgrade is done again from ``keys`` on by the next one. What was edited before the upgrade and escapes its look is signed
as it stands: keep the checkpoint of an outsider to compare with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import update

from vault.access import signed_approvals
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.audit.live_source import check_live
from vault.crypto import keystore
from vault.crypto.keystore import Factor, Keystore, Unlocked
from vault.errors import IntegrityError, UnavailableError
from vault.ids import new_id
from vault.operations import doctor, key_rotation
from vault.session.first_signing import sign_books
from vault.session.principals import require_administrator
from vault.session.settings import Settings, bound_text, read_settings, signed, write_settings
from vault.session.time_zone import require_zone
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import VaultRow


@dataclass(frozen=True)
class Upgraded:
    """Result of an upgrade, done or looked over."""

    needed: bool
    slots: tuple[str, ...]  # principals whose slots keep the old format: they need a new one
    keys: int  # wrapped anew


def check(vault: UnlockedVault) -> Upgraded:
    """Look a vault over as ``upgrade`` does first, and change nothing.

    Raises:
        IntegrityError: ``upgrade_unsafe``: doctor or the log's verification found an error. UnavailableError: ``not_administrator``.
        RefusedError: ``not_authorised``.
    """
    with vault.trail.attempting(Action.VAULT_UPGRADE):
        return _looked_over(vault)


def _looked_over(vault: UnlockedVault) -> Upgraded:
    require_administrator(vault)
    report = doctor.examine(vault)
    log = check_live(vault.trail.log, None, "\n".join(key.to_text() for key in vault.trail.log_keys()))
    errors = [finding.code for finding in report.findings if finding.severity is doctor.Severity.ERROR]
    errors += [finding.code for finding in log.findings]
    if errors:
        raise IntegrityError(
            "upgrade_unsafe", f"the vault is not whole: {', '.join(sorted(set(errors)))}", hint="genovault doctor"
        )
    return Upgraded(not vault.unlocked.keystore.bound, _unkeyed(vault), 0)


def upgrade(
    vault: UnlockedVault, factors: Mapping[bytes, Factor], *, progress: Callable[[int], None] = lambda _: None
) -> Upgraded:
    """Sign what decides in a vault of before, and read it in no other way afterwards. ``vault`` stays open as it was; close it.

    Args:
        factors: by slot id, of the slots that get a signing key; the administrator's own among them.

    Raises:
        As ``check``; as ``keystore.upgrade``.
    """
    found = check(vault)
    if not found.needed:
        return found
    unlocked = vault.unlocked
    if unlocked.keystore.document.version == 1:
        unlocked = keystore.upgrade(unlocked, factors, random=vault.random)
    settings = _bound_settings(vault, unlocked)
    unbound = _with(vault, settings, unlocked)
    try:
        with unbound.books.unwatched.write() as tx:
            signed_approvals.carry(unbound, tx)
        sign_books(unbound.books.unwatched, vault.vault_id, unlocked)
    finally:
        unbound.abandon()
    _mark(vault, settings, unlocked)
    unlocked = keystore.bind(unlocked)
    with_keys = _with(vault, settings, unlocked)
    try:
        with_keys.marks.keep()
        with with_keys.books.write() as tx:
            tx.execute(update(VaultRow).values(keystore_seq=unlocked.public.seq))
            about = ObjectRef("vault", vault.vault_id.hex())
            seq = {"keystore_seq": unlocked.public.seq}
            with_keys.trail.append(tx, Action.VAULT_UPGRADE, Outcome.DONE, obj=about, counts=seq)
        keys = key_rotation.rotate(with_keys, progress=progress)
        return Upgraded(True, _unkeyed(with_keys), keys)
    finally:
        with_keys.close()


def _with(vault: UnlockedVault, settings: Settings, unlocked: Unlocked) -> UnlockedVault:
    """The same vault, opened anew with newer keys."""
    return UnlockedVault(vault.folder, settings, unlocked, clock=vault.clock, random=vault.random)


def _bound_settings(vault: UnlockedVault, unlocked: Unlocked) -> Settings:
    """Sign vault.json as it stands, and put it and a first incarnation into the books."""
    if unlocked.signer is None:
        raise UnavailableError("slot_outdated", "this slot cannot sign", hint="ask an administrator for a new one: key add-slot")
    settings = signed(replace(read_settings(vault.folder), change=1), unlocked.signer)
    write_settings(vault.folder, settings)
    with vault.books.unwatched.write() as tx:
        tx.execute(update(VaultRow).values(settings=bound_text(settings), incarnation=new_id(vault.random)))
    return settings


def _mark(vault: UnlockedVault, settings: Settings, unlocked: Unlocked) -> None:
    """Keep the first marks, before the vault is refused without any."""
    bound = Keystore(vault.folder, replace(unlocked.keystore.document, bound=True))
    signed_books = _with(vault, settings, replace(unlocked, keystore=bound))
    try:
        signed_books.marks.begin_anew()
    finally:
        signed_books.abandon()


def set_time_zone(vault: UnlockedVault, name: str) -> str:
    """Say whose days typed dates are from now on; what is recorded keeps its instants. The name as it is kept.

    Raises:
        InputError: ``time_zone_unknown``. RefusedError: ``not_authorised``. UnavailableError: ``upgrade_needed``.
    """
    zone = require_zone(name)
    with vault.trail.attempting(Action.VAULT_UPGRADE), vault.books.write() as tx:
        tx.execute(update(VaultRow).values(time_zone=zone))
        about = ObjectRef("vault", vault.vault_id.hex())
        vault.trail.append(tx, Action.VAULT_UPGRADE, Outcome.DONE, obj=about, detail={"time_zone": zone})
    return zone


def _unkeyed(vault: UnlockedVault) -> tuple[str, ...]:
    return tuple(sorted({slot.principal for slot in vault.unlocked.keystore.slots if not slot.key}))
