"""Approvals: acts that others rest on, signed by the actor's own key (``docs/formats/books.md`` §8).

    signature = Ed25519 over context("genovault/approval/v1", vault id, act, kind, ref, content, principal, signed, carried by or "")

The rows are a collection, so only a steward's session leaves them changed; each row is besides the signature of the one who acted, so
that a principal's name in a column stands for nothing. An act of before the vault's upgrade is carried: an administrator signed it.
What others than stewards do is signed alike (``Signed``), and the signature kept in the record itself.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import select

from policies import authority
from vault.audit.actions import Action
from vault.crypto.context import encode_context
from vault.crypto.keyring import Role
from vault.crypto.keystore_format import KeyHolder
from vault.crypto.primitives import SigningKey, verify_signature
from vault.errors import IntegrityError, UnavailableError
from vault.session.caches import Cache
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ApprovalRow
from vault.storage.database import Transaction

CHECKED: Cache[set[bytes]] = Cache(set)
"""Signatures that were verified, by context, signer and signature."""


@dataclass(frozen=True)
class Approval:
    """An act on one thing: what it is, and the digest of what it was then."""

    act: Action
    kind: str
    ref: bytes
    content: bytes  # 32 bytes


@dataclass(frozen=True)
class Signed:
    """Signature of an approval by its principal, and the key that made it (32 bytes)."""

    signer: bytes
    signature: bytes


def sign(vault: UnlockedVault, tx: Transaction, approval: Approval, *, signed: int) -> None:
    """Record the approval of whoever acts, in the caller's write transaction.

    Args:
        signed: microseconds since 1970 UTC, as the record itself states the act's time.

    Raises:
        UnavailableError: ``upgrade_needed``, ``slot_outdated``: the slot cannot sign.
    """
    _record(vault, tx, approval, vault.principal, signed, carried_by=None)


def carry(vault: UnlockedVault, tx: Transaction, approval: Approval, *, principal: str, signed: int) -> None:
    """Record the approval of an act of before the upgrade, in the name of the administrator who upgrades. Raises as ``sign``."""
    _record(vault, tx, approval, principal, signed, carried_by=vault.principal)


def require(vault: UnlockedVault, tx: Transaction, approval: Approval, *, principal: str, signed: int) -> bytes | None:
    """Hold an act that a record names against its signature; the principal's key, 32 bytes, or None for an act that was carried.

    Raises:
        IntegrityError: ``approval_missing``: the principal did not sign this, or the signer's role may not do it.
    """
    row = tx.get(ApprovalRow, (approval.act.value, approval.kind, approval.ref, principal))
    if row is None or (row.content, row.signed) != (approval.content, signed):
        raise _missing(approval, principal)
    made = Signed(row.signer, row.signature)
    _require(vault, approval, made, principal=principal, signed=signed, carried_by=row.carried_by)
    return row.signer if row.carried_by is None else None


def stands(tx: Transaction, approval: Approval) -> bool:
    """True if there is an approval of this act on this thing, by whomever."""
    wanted = ApprovalRow.act == approval.act.value, ApprovalRow.kind == approval.kind, ApprovalRow.ref == approval.ref
    return tx.scalars(select(ApprovalRow.principal).where(*wanted)).first() is not None


def stands_between(tx: Transaction, approval: Approval, first: bytes, last: bytes) -> bool:
    """True if there is an approval of this act on a thing of this kind from ``first`` to ``last``, in the order of their refs."""
    wanted = ApprovalRow.act == approval.act.value, ApprovalRow.kind == approval.kind
    between = ApprovalRow.ref >= first, ApprovalRow.ref <= last
    return tx.scalars(select(ApprovalRow.principal).where(*wanted, *between)).first() is not None


def made_by(
    vault: UnlockedVault,
    tx: Transaction,
    act: Action,
    kind: str,
    principal: str,
    *,
    ref: bytes | None = None,
    content: bytes | None = None,
) -> bool:
    """True if a principal's own signature stands under an act, on the thing with this ref or of this content (32 bytes).

    For whoever has only the log's word of the act, and needs no branch of the keys.
    """
    query = select(ApprovalRow).where(ApprovalRow.act == act.value, ApprovalRow.kind == kind, ApprovalRow.principal == principal)
    if ref is not None:
        query = query.where(ApprovalRow.ref == ref)
    if content is not None:
        query = query.where(ApprovalRow.content == content)
    for row in tx.scalars(query):
        approval, made = Approval(act, kind, row.ref, row.content), Signed(row.signer, row.signature)
        with suppress(IntegrityError):
            _require(vault, approval, made, principal=principal, signed=row.signed, carried_by=row.carried_by)
            return True
    return False


def signature_of(vault: UnlockedVault, approval: Approval, *, signed: int) -> Signed:
    """The signature of whoever acts, to be kept in the record; a service's of what a person asks for through it. Raises as ``sign``."""
    key, served_by = _own_key(vault), None if vault.person is None else vault.unlocked.principal
    return Signed(key.public, key.sign(_covered(vault, approval, vault.principal, signed, served_by)))


def require_signature(vault: UnlockedVault, approval: Approval, made: Signed, *, principal: str, signed: int) -> None:
    """Hold an act that a record names against the signature in it, the principal's or a service's. Raises as ``require``."""
    holder = _holder(vault, made.signer)
    served_by = holder.principal if holder is not None and holder.role is Role.SERVICE else None
    _require(vault, approval, made, principal=principal, signed=signed, carried_by=served_by)


def _require(
    vault: UnlockedVault, approval: Approval, made: Signed, *, principal: str, signed: int, carried_by: str | None
) -> None:
    holder = _holder(vault, made.signer)
    if holder is None or holder.principal != (carried_by or principal) or not _may_sign(holder, approval.act, carried_by):
        raise _missing(approval, principal)
    covered = _covered(vault, approval, principal, signed, carried_by)
    checked, key = vault.caches.get(CHECKED), covered + made.signer + made.signature
    if key not in checked:
        try:
            verify_signature(made.signer, made.signature, covered)
        except IntegrityError:
            raise _missing(approval, principal) from None
        checked.add(key)


def _may_sign(holder: KeyHolder, act: Action, carried_by: str | None) -> bool:
    """True if a key may stand under an act: its holder's own, one of before the upgrade, or one of a person whom a service serves."""
    if holder.role is Role.SERVICE:
        return carried_by is not None and act.value in authority.SERVED
    return authority.may(holder.role.value, act.value) and (
        carried_by is None or holder.administers or holder.removed is not None
    )


def require_two(approval: Approval, first: bytes | None, second: bytes | None, *, principals: tuple[str, str]) -> None:
    """Refuse two approvals of one principal, or of one key. ``first``, ``second``: as ``require`` gives them.

    Raises:
        IntegrityError: ``approval_missing``.
    """
    if principals[0] == principals[1] or (first is not None and first == second):
        raise _missing(approval, principals[1])


def _record(
    vault: UnlockedVault, tx: Transaction, approval: Approval, principal: str, signed: int, *, carried_by: str | None
) -> None:
    key = _own_key(vault)
    tx.merge(
        ApprovalRow(
            act=approval.act.value,
            kind=approval.kind,
            ref=approval.ref,
            principal=principal,
            content=approval.content,
            signed=signed,
            carried_by=carried_by,
            signer=key.public,
            signature=key.sign(_covered(vault, approval, principal, signed, carried_by)),
        )
    )


def _own_key(vault: UnlockedVault) -> SigningKey:
    key = vault.unlocked.signer
    if key is None:
        if not vault.books.upgraded:
            raise UnavailableError("upgrade_needed", "this vault is of an earlier format", hint="genovault upgrade")
        vault.require_own_key()
        raise UnavailableError("slot_outdated", "this slot cannot sign", hint="ask an administrator: key add-slot")
    return key


def _holder(vault: UnlockedVault, signer: bytes) -> KeyHolder | None:
    held = vault.unlocked.keystore.document.holder(signer)
    return held if held is not None else vault.newest_keystore().holder(signer)


def _covered(vault: UnlockedVault, approval: Approval, principal: str, signed: int, carried_by: str | None) -> bytes:
    return encode_context(
        "genovault/approval/v1",
        vault.vault_id,
        approval.act.value,
        approval.kind,
        approval.ref,
        approval.content,
        principal,
        signed,
        carried_by or "",
    )


def _missing(approval: Approval, principal: str) -> IntegrityError:
    return IntegrityError(
        "approval_missing",
        f"a {approval.kind} rests on {approval.act.value} by {principal}, which {principal} did not sign",
        hint="look at it in the audit log; then do the act again",
    )
