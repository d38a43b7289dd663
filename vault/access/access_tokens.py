"""Access tokens: what a principal without an unlock slot shows to a server (docs/design/access.md §12).

The accessor names a token in lists and in the log. Of the secret a MAC is kept, which nobody can turn back: 256 random bits need neither salt
nor a slow hash.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from policies.token_scopes import TokenScope
from vault.access import projects, token_bindings, token_texts
from vault.access.token_bindings import NOWHERE, ShownFrom, TokenBinding
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.audit.log_head import LogHead
from vault.crypto.context import encode_context
from vault.crypto.keystore import Role
from vault.crypto.primitives import hmac_sha256, sha256
from vault.crypto.secret import Secret
from vault.errors import InputError, RefusedError, UnavailableError
from vault.session import principals
from vault.session.caches import Cache
from vault.session.moments import moment, present
from vault.session.on_behalf import OnBehalf
from vault.session.row_faults import row_faults
from vault.session.sealed_records import SealedRecord
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import PrincipalRow
from vault.storage.database import Transaction
from vault.storage.service_tables import AccessTokenRow
from vault.storage.timestamps import from_micros, rfc3339, to_micros

LONGEST = timedelta(days=90)
AUTHN = "token"
SEALED = SealedRecord("access_token")
SERVED_ROLES = (Role.ENGINE, Role.RESEARCHER)
"""Roles of the people who may have a token; others unlock a slot of their own."""


@dataclass(frozen=True)
class AccessToken:
    """Token as lists show it; ``state``: active, expired or revoked.

    ``bound``: whether it is bound; to what, whoever opens the books branch is told: ``certificate`` (SHA-256, hex, "" for none) and ``networks``.
    """

    accessor: str
    principal: str
    project: str
    scopes: tuple[TokenScope, ...]
    created: str
    expires: str
    state: str
    issued_by: str
    bound: bool
    certificate: str
    networks: tuple[str, ...]


@dataclass(frozen=True)
class Authenticated:
    """Bearer of a token that holds: for whom the service acts, of which project, within which scopes, and what the token is bound to."""

    person: OnBehalf
    accessor: str
    project: str
    scopes: frozenset[TokenScope]
    binding: TokenBinding


ELSEWHERE = "token_elsewhere"
STATE_CHANGED = "state_changed"


@dataclass(frozen=True, eq=False)
class StateGuard:
    """Holds while all that decides is in the state in which somebody was looked up, until their token ends (``guarded_entries.Guard``)."""

    vault: UnlockedVault
    state: bytes
    until: datetime

    def check(self, tx: Transaction, head: LogHead) -> None:
        """Raises UnavailableError ``state_changed``."""
        if head.state != self.state or moment(self.vault, tx).at >= self.until:
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
    vault: UnlockedVault,
    principal: str,
    *,
    project: str,
    scopes: Iterable[TokenScope],
    expires: datetime,
    binding: TokenBinding = TokenBinding(),  # noqa: B008 - frozen
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
        now = present(vault)
        if not now < expires:
            raise InputError("expiry_past", "the token would have expired already", hint="--expires, a later day")
        if expires - now > LONGEST:
            raise InputError("expiry_too_late", f"a token is good for at most {LONGEST.days} days", hint="issue a new one then")
        accessor, secret = token_texts.new_accessor(vault.random), vault.random(32)
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
        if binding:
            row.sealed = SEALED.seal(vault.records, accessor, binding.content(), standing=_standing(row))
        with vault.books.write() as tx:
            tx.add(row)
            tx.flush()
            detail = {"accessor": accessor, "scopes": list(chosen), "expires": rfc3339(expires), "binding": binding.content()}
            vault.trail.append(
                tx, Action.PRINCIPAL_TOKEN, Outcome.DONE, project=project, obj=ObjectRef("principal", principal), detail=detail
            )
            made = _shown(vault, row, now)
    return Secret(token_texts.spelled(accessor, secret).encode()), made


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
        return _shown(vault, row, moment(vault, tx).at)


def list_all(vault: UnlockedVault) -> list[AccessToken]:
    """Every token, the newest first; the look is logged."""
    with vault.trail.attempting(Action.PRINCIPAL_LIST):
        with vault.books.read() as tx:
            rows = tx.scalars(select(AccessTokenRow)).all()
            now = moment(vault, tx).at
            found = [_shown(vault, row, now) for row in sorted(rows, key=lambda row: (-row.created, row.accessor))]
        vault.trail.record(Action.PRINCIPAL_LIST, Outcome.DONE, counts={"tokens": len(found)})
    return found


def authenticate(vault: UnlockedVault, text: str, shown_from: ShownFrom = NOWHERE) -> Authenticated:
    """The bearer of a token, held against the books of now: looked up anew where anything that decides has changed since.

    Raises:
        RefusedError: ``token_refused``: malformed, unknown, wrong, expired, revoked, of a disabled principal, or bound to another place, of which the log is told;
            which of them, nobody is told.
    """
    who = _authenticated(vault, text)
    require_place(vault, who, shown_from)
    return who


def require_place(vault: UnlockedVault, who: Authenticated, shown_from: ShownFrom) -> None:
    """Refuse a token that is shown from where it is not bound to, with an entry of the service's: somebody else may have it.

    Raises:
        RefusedError: ``token_refused``.
    """
    if not who.binding.admits(shown_from):
        vault.trail.record(
            Action.PRINCIPAL_SHOW_TOKEN,
            Outcome.REFUSED,
            project=who.project,
            obj=ObjectRef("principal", who.person.principal),
            reasons={ELSEWHERE: 1},
            detail={"accessor": who.accessor, "certificate": shown_from.certificate, "address": str(shown_from.address or "")},
        )
        raise refused()


def _authenticated(vault: UnlockedVault, text: str) -> Authenticated:
    """The bearer of a token, from wherever it is shown. Raises as ``authenticate``."""
    read = token_texts.parse(text)
    if read is None:
        raise refused()
    state, shown, kept = vault.books.state(), sha256(text.encode()), vault.caches.get(_KNOWN)
    held_on = kept.get(shown)
    if held_on is not None and state is not None and held_on.state == state and present(vault) < held_on.until:
        return held_on.who
    until, who = _looked_up(vault, *read)
    if state is not None:
        kept[shown] = _HeldOn(state, until, who, StateGuard(vault, state, until))
        while len(kept) > MOST_KNOWN:
            kept.popitem(last=False)
    return who


def remembered(vault: UnlockedVault, text: str, shown_from: ShownFrom = NOWHERE) -> tuple[Authenticated, StateGuard] | None:
    """The bearer of a token as last looked up, for an entry that rests on the guard; None where it has to be looked up, or is shown from elsewhere."""
    found = vault.caches.get(_KNOWN).get(sha256(text.encode()))
    if found is None or vault.clock() >= found.until or not found.who.binding.admits(shown_from):
        return None
    return found.who, found.guard


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

    Whoever comes with it now is held against its binding by ``require_place``.

    Raises:
        RefusedError: ``token_refused``: it does not hold any more.
    """
    return _bearer(vault, tx, tx.get(AccessTokenRow, accessor))


def _bearer(vault: UnlockedVault, tx: Transaction, row: AccessTokenRow | None) -> Authenticated:
    if row is None or _state(row, moment(vault, tx).at) != "active":
        raise refused()
    principal = tx.get(PrincipalRow, row.principal)
    role = None if principal is None or principal.state != principals.ACTIVE else Role(principal.role)
    if role not in SERVED_ROLES:
        raise refused()
    scopes = frozenset(TokenScope(name) for name in row.scopes.split(" "))
    return Authenticated(OnBehalf(row.principal, role, AUTHN), row.accessor, row.project, scopes, _binding(vault, row))


def refused() -> RefusedError:
    """Whatever is wrong with a token."""
    return RefusedError("token_refused", "this token is not accepted", hint="ask a steward for a new one")


def _mac(vault: UnlockedVault, accessor: str, secret: bytes) -> bytes:
    return hmac_sha256(secret, encode_context("genovault/access-token/v1", vault.vault_id, accessor))


def _state(row: AccessTokenRow, now: datetime) -> str:
    if row.revoked is not None:
        return "revoked"
    return "active" if to_micros(now) < row.expires else "expired"


def faults(vault: UnlockedVault) -> list[str]:
    """Tokens whose bindings are not as they were given, a line each."""
    return row_faults(
        vault,
        AccessTokenRow,
        lambda _, row: _binding(vault, row),
        lambda row, _: f"access token {row.accessor} is not as it was issued",
    )


def _binding(vault: UnlockedVault, row: AccessTokenRow) -> TokenBinding:
    """Binding of a token's row. Raises IntegrityError ``access_token_altered``, ``seal_broken``; UnavailableError ``branch_closed``."""
    if row.sealed is None:
        return TokenBinding()
    return token_bindings.binding_of(SEALED.open(vault.records, row.accessor, row.sealed, standing=_standing(row)))


def _standing(row: AccessTokenRow) -> list[str | int]:
    return [row.principal, row.project, row.scopes, row.mac.hex(), row.created, row.expires, row.issued_by]


def _shown(vault: UnlockedVault, row: AccessTokenRow, now: datetime) -> AccessToken:
    binding = TokenBinding()
    with suppress(UnavailableError):  # ``branch_closed``: an auditor sees that it is bound, and not to what
        binding = _binding(vault, row)
    return AccessToken(
        accessor=row.accessor,
        principal=row.principal,
        project=row.project,
        scopes=tuple(TokenScope(name) for name in row.scopes.split(" ")),
        created=rfc3339(from_micros(row.created)),
        expires=rfc3339(from_micros(row.expires)),
        state=_state(row, now),
        issued_by=row.issued_by,
        bound=row.sealed is not None,
        certificate=binding.certificate,
        networks=binding.networks,
    )
