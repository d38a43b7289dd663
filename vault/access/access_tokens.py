"""Access tokens: what a principal without an unlock slot shows to a server (docs/design/access.md §12).

    gvt_ACCESSOR_SECRET_CHECK        accessor: 10 of base62; secret: 32 random bytes, base64url; check: CRC-32 of what precedes it, 6 of base62

The accessor names a token in lists and in the log. Of the secret a MAC is kept, which nobody can turn back: 256 random bits need neither salt
nor a slow hash. The check lets scanners of source code find a token that was committed by mistake, and answers slips of the pen without a look-up.
"""

from __future__ import annotations

import base64
import hmac
import re
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from policies.token_scopes import TokenScope
from vault.access import projects
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.audit.log_head import LogHead
from vault.crypto.context import encode_context
from vault.crypto.keystore import Role
from vault.crypto.primitives import hmac_sha256, sha256
from vault.crypto.secret import Secret
from vault.errors import InputError, RefusedError, UnavailableError
from vault.ids import RandomBytes
from vault.session import principals
from vault.session.caches import Cache
from vault.session.on_behalf import OnBehalf
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import PrincipalRow
from vault.storage.database import Transaction
from vault.storage.service_tables import AccessTokenRow
from vault.storage.timestamps import from_micros, rfc3339, to_micros

LONGEST = timedelta(days=90)
AUTHN = "token"
SERVED_ROLES = (Role.ENGINE, Role.RESEARCHER)
"""Roles of the people who may have a token; others unlock a slot of their own."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ACCESSOR, _CHECK = 10, 6
_TOKEN = "gvt"  # noqa: S105 - how tokens begin
_FORM = re.compile(r"(gv[a-z])_([0-9A-Za-z]{10})_([0-9A-Za-z_-]{43})_([0-9A-Za-z]{6})")


@dataclass(frozen=True)
class AccessToken:
    """Token as lists show it; ``state``: active, expired or revoked."""

    accessor: str
    principal: str
    project: str
    scopes: tuple[TokenScope, ...]
    created: str
    expires: str
    state: str
    issued_by: str


@dataclass(frozen=True)
class Authenticated:
    """Bearer of a token that holds: for whom the service acts, of which project, and within which scopes."""

    person: OnBehalf
    accessor: str
    project: str
    scopes: frozenset[TokenScope]


STATE_CHANGED = "state_changed"


@dataclass(frozen=True, eq=False)
class StateGuard:
    """Holds while all that decides is in the state in which somebody was looked up (``guarded_entries.Guard``)."""

    state: bytes

    def check(self, _tx: Transaction, head: LogHead) -> None:
        """Raises UnavailableError ``state_changed``."""
        if head.state != self.state:
            raise UnavailableError(STATE_CHANGED, "something that decides has changed", hint="try again")


@dataclass(frozen=True)
class _HeldOn:
    """A bearer as looked up when all that decides was in a ``state``."""

    state: bytes
    until: datetime
    who: Authenticated
    guard: StateGuard


MOST_KNOWN = 1_024
_KNOWN: Cache[OrderedDict[bytes, _HeldOn]] = Cache(OrderedDict)  # by SHA-256 of a token's text


def issue(
    vault: UnlockedVault, principal: str, *, project: str, scopes: Iterable[TokenScope], expires: datetime
) -> tuple[Secret, AccessToken]:
    """Make a token for a principal; the text is shown once, and kept nowhere.

    Raises:
        InputError: ``principal_unknown``, ``principal_disabled``; ``role_unlocks``: the principal's role has slots of its own; ``scopes_missing``;
            ``expiry_too_late``, ``expiry_past``; ``project_unknown``; ``not_of_project``: the project does not name the principal.
    """
    with vault.trail.attempting(Action.PRINCIPAL_TOKEN):
        role = principals.require_active(vault, principal)
        if role not in SERVED_ROLES:
            raise InputError(
                "role_unlocks", f"a {role.value} unlocks the vault itself", hint="tokens are for engines and researchers"
            )
        if principal not in projects.load(vault, project).declaration.purpose.people:
            raise InputError(
                "not_of_project", f"project {project} does not name {principal} among its people", hint="genovault project amend"
            )
        chosen = tuple(sorted(set(scopes)))
        if not chosen:
            raise InputError("scopes_missing", "a token without a scope is good for nothing", hint="--scope read")
        now = vault.clock()
        if not now < expires:
            raise InputError("expiry_past", "the token would have expired already", hint="--expires, a later day")
        if expires - now > LONGEST:
            raise InputError("expiry_too_late", f"a token is good for at most {LONGEST.days} days", hint="issue a new one then")
        accessor, secret = new_accessor(vault.random), vault.random(32)
        row = AccessTokenRow(
            accessor=accessor,
            principal=principal,
            project=project,
            scopes=" ".join(chosen),
            mac=_mac(vault, accessor, secret),
            created=to_micros(now),
            expires=to_micros(expires),
            revoked=None,
            issued_by=vault.principal,
        )
        with vault.books.write() as tx:
            tx.add(row)
            tx.flush()
            detail = {"accessor": accessor, "scopes": list(chosen), "expires": rfc3339(expires)}
            vault.trail.append(
                tx, Action.PRINCIPAL_TOKEN, Outcome.DONE, project=project, obj=ObjectRef("principal", principal), detail=detail
            )
            made = _shown(row, now)
    return Secret(spelled(accessor, secret).encode()), made


def revoke(vault: UnlockedVault, accessor: str) -> AccessToken:
    """End a token at once: the next request that shows it is refused.

    Raises:
        InputError: ``token_unknown``; ``token_revoked``: it was revoked before.
    """
    with vault.trail.attempting(Action.PRINCIPAL_REVOKE_TOKEN), vault.books.write() as tx:
        row = tx.get(AccessTokenRow, accessor)
        if row is None:
            raise InputError("token_unknown", "there is no token with this accessor", hint="genovault principal tokens")
        if row.revoked is not None:
            raise InputError("token_revoked", f"token {accessor} was revoked on {rfc3339(from_micros(row.revoked))[:10]}")
        row.revoked = to_micros(vault.clock())
        tx.flush()
        about = ObjectRef("principal", row.principal)
        detail = {"accessor": accessor}
        vault.trail.append(tx, Action.PRINCIPAL_REVOKE_TOKEN, Outcome.DONE, project=row.project, obj=about, detail=detail)
        return _shown(row, vault.clock())


def list_all(vault: UnlockedVault) -> list[AccessToken]:
    """Every token, the newest first; the look is logged."""
    with vault.trail.attempting(Action.PRINCIPAL_LIST):
        with vault.books.read() as tx:
            rows = tx.scalars(select(AccessTokenRow)).all()
            found = [_shown(row, vault.clock()) for row in sorted(rows, key=lambda row: (-row.created, row.accessor))]
        vault.trail.record(Action.PRINCIPAL_LIST, Outcome.DONE, counts={"tokens": len(found)})
    return found


def authenticate(vault: UnlockedVault, text: str) -> Authenticated:
    """The bearer of a token, held against the books of now: looked up anew where anything that decides has changed since.

    Raises:
        RefusedError: ``token_refused``: malformed, unknown, wrong, expired, revoked, or of a disabled principal; which of them, nobody is told.
    """
    read = parse(text)
    if read is None:
        raise refused()
    state, shown, kept = vault.books.state(), sha256(text.encode()), vault.caches.get(_KNOWN)
    held_on = kept.get(shown)
    if held_on is not None and state is not None and held_on.state == state and vault.clock() < held_on.until:
        return held_on.who
    until, who = _looked_up(vault, *read)
    if state is not None:
        kept[shown] = _HeldOn(state, until, who, StateGuard(state))
        while len(kept) > MOST_KNOWN:
            kept.popitem(last=False)
    return who


def remembered(vault: UnlockedVault, text: str) -> tuple[Authenticated, StateGuard] | None:
    """The bearer of a token as last looked up, for an entry that rests on the guard; None where it has to be looked up."""
    found = vault.caches.get(_KNOWN).get(sha256(text.encode()))
    return None if found is None or vault.clock() >= found.until else (found.who, found.guard)


def _looked_up(vault: UnlockedVault, accessor: str, secret: bytes) -> tuple[datetime, Authenticated]:
    """End of a token, and its bearer. Raises as ``authenticate``."""
    with vault.books.read() as tx:
        row = tx.get(AccessTokenRow, accessor)
        held = row.mac if row is not None else bytes(32)
        holds = hmac.compare_digest(_mac(vault, accessor, secret), held)  # of an unknown one too: in the same time
        if not holds or row is None:
            raise refused()
        return from_micros(row.expires), _bearer(vault, tx, row)


def holder(vault: UnlockedVault, tx: Transaction, accessor: str) -> Authenticated:
    """The bearer of the token with this accessor, as the transaction has it: of what was given out to whoever showed the token before.

    Raises:
        RefusedError: ``token_refused``: it does not hold any more.
    """
    return _bearer(vault, tx, tx.get(AccessTokenRow, accessor))


def _bearer(vault: UnlockedVault, tx: Transaction, row: AccessTokenRow | None) -> Authenticated:
    if row is None or _state(row, vault.clock()) != "active":
        raise refused()
    principal = tx.get(PrincipalRow, row.principal)
    role = None if principal is None or principal.state != principals.ACTIVE else Role(principal.role)
    if role not in SERVED_ROLES:
        raise refused()
    scopes = frozenset(TokenScope(name) for name in row.scopes.split(" "))
    return Authenticated(OnBehalf(row.principal, role, AUTHN), row.accessor, row.project, scopes)


def parse(text: str, kind: str = _TOKEN) -> tuple[str, bytes] | None:
    """(accessor, secret of 32 bytes) of a token's text, or of another bearer's ``kind``; None for what is none, or was misspelt."""
    found = _FORM.fullmatch(text)
    if found is None or found[1] != kind or _check(text[: -_CHECK - 1]) != found[4]:
        return None
    return found[2], base64.urlsafe_b64decode(found[3] + "=")


def refused() -> RefusedError:
    """Whatever is wrong with a token."""
    return RefusedError("token_refused", "this token is not accepted", hint="ask a steward for a new one")


def spelled(accessor: str, secret: bytes, kind: str = _TOKEN) -> str:
    """Text of a token, or of another bearer's ``kind``, that ``parse`` reads."""
    body = f"{kind}_{accessor}_{base64.urlsafe_b64encode(secret).decode().rstrip('=')}"
    return f"{body}_{_check(body)}"


def _check(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK)


def new_accessor(random: RandomBytes) -> str:
    """A name for a new token: 10 of base62."""
    return _base62(int.from_bytes(random(16), "big"), _ACCESSOR)


def _base62(number: int, digits: int) -> str:
    """The last digits of a number, in base 62."""
    found = ""
    for _ in range(digits):
        number, rest = divmod(number, len(_DIGITS))
        found = _DIGITS[rest] + found
    return found


def _mac(vault: UnlockedVault, accessor: str, secret: bytes) -> bytes:
    return hmac_sha256(secret, encode_context("genovault/access-token/v1", vault.vault_id, accessor))


def _state(row: AccessTokenRow, now: datetime) -> str:
    if row.revoked is not None:
        return "revoked"
    return "active" if to_micros(now) < row.expires else "expired"


def _shown(row: AccessTokenRow, now: datetime) -> AccessToken:
    return AccessToken(
        accessor=row.accessor,
        principal=row.principal,
        project=row.project,
        scopes=tuple(TokenScope(name) for name in row.scopes.split(" ")),
        created=rfc3339(from_micros(row.created)),
        expires=rfc3339(from_micros(row.expires)),
        state=_state(row, now),
        issued_by=row.issued_by,
    )
