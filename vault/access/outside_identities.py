"""Identities that researchers have with OpenID providers, by issuer and subject, each named by a steward (docs/design/access.md §12).

What decides is this table, which stewards alone sign: a provider says who somebody is, never which principal that is, and no claim that it lets people
choose (a name, a mail address) stands for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import select

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto.keystore import Role
from vault.errors import InputError, RefusedError
from vault.files.loopback import is_loopback
from vault.session import principals
from vault.session.on_behalf import OnBehalf
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import PrincipalRow
from vault.storage.database import Transaction
from vault.storage.service_tables import OutsideIdentityRow
from vault.storage.timestamps import from_micros, rfc3339, to_micros

AUTHN = "oidc"
MOST_CHARS = 255  # of a subject: OpenID Connect Core 1.0 §2


@dataclass(frozen=True)
class OutsideIdentity:
    """An identity with a provider, and the principal that a steward says it is."""

    principal: str
    issuer: str
    subject: str
    created: str
    named_by: str


def name(vault: UnlockedVault, principal: str, issuer: str, subject: str) -> OutsideIdentity:
    """Say that an identity with a provider is a researcher of this vault.

    Raises:
        InputError: ``principal_unknown``, ``principal_disabled``; ``role_unlocks``: others than researchers unlock slots; ``issuer_malformed``,
            ``subject_malformed``; ``identity_taken``: it is somebody already.
    """
    with vault.trail.attempting(Action.PRINCIPAL_NAME_IDENTITY):
        if principals.require_active(vault, principal) is not Role.RESEARCHER:
            raise InputError(
                "role_unlocks", "researchers alone log in by a provider", hint="others unlock a slot, or show a token"
            )
        require_issuer(issuer)
        if not 0 < len(subject) <= MOST_CHARS or not (subject.isascii() and subject.isprintable()):
            raise InputError("subject_malformed", f"a subject is 1 to {MOST_CHARS} printable ASCII characters")
        with vault.books.write() as tx:
            held = tx.get(OutsideIdentityRow, (issuer, subject))
            if held is not None:
                raise InputError("identity_taken", f"this identity is {held.principal}", hint="genovault principal identities")
            row = OutsideIdentityRow(
                issuer=issuer, subject=subject, principal=principal, created=to_micros(vault.clock()), named_by=vault.principal
            )
            tx.add(row)
            tx.flush()
            _log(vault, tx, Action.PRINCIPAL_NAME_IDENTITY, row)
            return _shown(row)


def forget(vault: UnlockedVault, issuer: str, subject: str) -> OutsideIdentity:
    """End an identity at once: the next page of whoever logged in by it is none. Raises InputError ``identity_unknown``."""
    with vault.trail.attempting(Action.PRINCIPAL_FORGET_IDENTITY), vault.books.write() as tx:
        row = tx.get(OutsideIdentityRow, (issuer, subject))
        if row is None:
            raise InputError("identity_unknown", "there is no such identity", hint="genovault principal identities")
        found = _shown(row)
        tx.delete(row)
        tx.flush()
        _log(vault, tx, Action.PRINCIPAL_FORGET_IDENTITY, row)
        return found


def list_all(vault: UnlockedVault) -> list[OutsideIdentity]:
    """Every identity, by principal; the look is logged."""
    with vault.trail.attempting(Action.PRINCIPAL_LIST):
        with vault.books.read() as tx:
            found = [_shown(row) for row in tx.scalars(select(OutsideIdentityRow))]
        vault.trail.record(Action.PRINCIPAL_LIST, Outcome.DONE, counts={"identities": len(found)})
    return sorted(found, key=lambda one: (one.principal, one.issuer, one.subject))


def holder(vault: UnlockedVault, issuer: str, subject: str) -> OnBehalf:
    """The researcher whom an identity names, as the books have it now.

    Raises:
        RefusedError: ``token_refused``: nobody, or somebody who is disabled or no researcher any more.
    """
    with vault.books.read() as tx:
        row = tx.get(OutsideIdentityRow, (issuer, subject))
        principal = None if row is None else tx.get(PrincipalRow, row.principal)
        if principal is None or principal.state != principals.ACTIVE or Role(principal.role) is not Role.RESEARCHER:
            raise RefusedError(
                "token_refused", "this identity is not accepted", hint="ask a steward: genovault principal identity"
            )
        return OnBehalf(principal.name, Role.RESEARCHER, AUTHN)


def require_issuer(issuer: str) -> None:
    """Raises InputError ``issuer_malformed`` for what is no issuer's address: https, but on this machine, without query or fragment."""
    try:
        parts = urlsplit(issuer)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    plain = issuer.isascii() and issuer.isprintable() and " " not in issuer and len(issuer) <= MOST_CHARS
    if not (safe and plain and host) or parts.query or parts.fragment or parts.username is not None:
        raise InputError("issuer_malformed", "an issuer is an https address, without query or fragment")


def _log(vault: UnlockedVault, tx: Transaction, act: Action, row: OutsideIdentityRow) -> None:
    detail = {"issuer": row.issuer, "subject": row.subject}
    vault.trail.append(tx, act, Outcome.DONE, obj=ObjectRef("principal", row.principal), detail=detail)


def _shown(row: OutsideIdentityRow) -> OutsideIdentity:
    return OutsideIdentity(row.principal, row.issuer, row.subject, rfc3339(from_micros(row.created)), row.named_by)
