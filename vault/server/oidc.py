"""Login of researchers by an OpenID provider: authorization code with PKCE, state and nonce (docs/design/server.md §10). Needs the extra ``oidc``.

The provider says who somebody is, once; the books say which researcher that is, at every request. No token of the provider is kept.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from vault.access import outside_identities
from vault.server.id_tokens import IdTokens, Subject
from vault.server.oidc_provider import Provider
from vault.server.oidc_settings import OidcSettings
from vault.server.problems import HttpProblem
from vault.session.on_behalf import OnBehalf
from vault.session.unlocked_vault import UnlockedVault

PENDING_SECONDS = 600.0  # from the first redirect to the answer
MOST_PENDING = 1_000
_PARAMETER = 2_048  # characters of a code or state


@dataclass(frozen=True)
class Begun:
    """Login that a browser was sent away for: where to, and the secret that its cookie keeps."""

    url: str
    binder: str


@dataclass(frozen=True)
class CameBack:
    """Researcher who came back, the identity to look up again, and the project that was asked for, if any."""

    person: OnBehalf
    subject: Subject
    project: str


@dataclass(frozen=True)
class _Pending:
    binder: bytes  # SHA-256 of the cookie's secret
    verifier: str
    nonce: str
    project: str
    at: float


class OidcLogin:
    """Logins under way with one provider. Safe among threads."""

    def __init__(
        self,
        settings: OidcSettings,
        *,
        random: Callable[[int], bytes] = os.urandom,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._random, self._monotonic = random, monotonic
        self._provider = Provider(settings, monotonic=monotonic)
        self._tokens = IdTokens(settings, self._provider, clock=clock)
        self._pending: dict[bytes, _Pending] = {}
        self._changing = threading.Lock()

    def begin(self, project: str = "") -> Begun:
        """Begin a login, to one project of whoever comes back.

        Raises:
            HttpProblem 503 ``provider_unreachable``, ``logins_full``.
        """
        endpoint = self._provider.metadata().authorization_endpoint
        state, nonce, verifier, binder = (self._drawn() for _ in range(4))
        now = self._monotonic()
        with self._changing:
            self._pending = {key: one for key, one in self._pending.items() if now - one.at < PENDING_SECONDS}
            if len(self._pending) >= MOST_PENDING:
                raise HttpProblem(503, "logins_full", "too many logins are under way", {"Retry-After": "60"})
            self._pending[_digest(state)] = _Pending(_digest(binder), verifier, nonce, project, now)
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self.settings.redirect_uri,
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        return Begun(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}", binder)

    def finish(self, vault: UnlockedVault, query: Mapping[str, str], binder: str) -> CameBack:
        """Who came back. A state is good once, whatever comes of it.

        Raises:
            HttpProblem 403 ``login_refused``: whatever is wrong with what came back; 503 ``provider_unreachable``.
            RefusedError: ``token_refused``: nobody here has this identity.
        """
        state, code = query.get("state", ""), query.get("code", "")
        with self._changing:
            pending = self._pending.pop(_digest(state), None)
        if pending is None or self._monotonic() - pending.at >= PENDING_SECONDS:
            raise refused_login()
        if not hmac.compare_digest(pending.binder, _digest(binder)):  # another browser's: somebody was sent here by a stranger
            raise refused_login()
        said = query.get("iss")
        if said != self.settings.issuer and (said is not None or self._provider.metadata().names_itself):
            raise refused_login()  # another provider's answer (RFC 9207)
        if not 0 < len(code) <= _PARAMETER or "error" in query:
            raise refused_login()
        text = self._provider.redeem(code, pending.verifier)
        subject = self._tokens.subject(text, nonce=pending.nonce)
        return CameBack(outside_identities.holder(vault, subject.issuer, subject.subject), subject, pending.project)

    def _drawn(self) -> str:
        return base64.urlsafe_b64encode(self._random(32)).decode().rstrip("=")


def refused_login() -> HttpProblem:
    """Whatever is wrong with a login by a provider."""
    return HttpProblem(403, "login_refused", "this login was not accepted")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
