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
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from vault.access import outside_identities
from vault.server.oidc.id_tokens import IdTokens, Subject
from vault.server.oidc.provider import Provider
from vault.server.oidc.settings import OidcSettings
from vault.server.problems import HttpProblem
from vault.session.on_behalf import OnBehalf
from vault.session.unlocked_vault import UnlockedVault

PENDING_SECONDS = 600.0  # from the first redirect to the answer
MOST_USED = 1 << 16  # states that came back within that time and are remembered; the first goes where there are more
_PARAMETER = 2_048  # characters of a code, state or cookie


@dataclass(frozen=True)
class Begun:
    """Login that a browser was sent away for: where to, and what its cookie keeps."""

    url: str
    binder: str


@dataclass(frozen=True)
class CameBack:
    """Researcher who came back, the identity to look up again, and the project that was asked for, if any."""

    person: OnBehalf
    subject: Subject
    project: str


class OidcLogin:
    """Logins with one provider. What is under way lies with the browsers: state, nonce and verifier follow from a browser's cookie by a key of this
    process, so nobody's logins take the place of others'. Safe among threads.
    """

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
        self._key = random(32)
        self._used: OrderedDict[str, float] = OrderedDict()  # states that came back, the first first
        self._changing = threading.Lock()

    def begin(self, project: str = "") -> Begun:
        """Begin a login, to one project of whoever comes back. Nothing of it is kept here. Raises HttpProblem 503 ``provider_unreachable``."""
        endpoint = self._provider.metadata().authorization_endpoint
        binder = ".".join((_text(self._random(32)), str(int(self._monotonic())), _text(project.encode("utf-8", "replace"))))
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self.settings.redirect_uri,
            "scope": "openid",
            "state": self._derived("state", binder),
            "nonce": self._derived("nonce", binder),
            "code_challenge": _text(hashlib.sha256(self._derived("verifier", binder).encode()).digest()),
            "code_challenge_method": "S256",
        }
        return Begun(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}", binder)

    def finish(self, vault: UnlockedVault, query: Mapping[str, str], binder: str) -> CameBack:
        """Person who came back. A state is good once, whatever comes of it, in the browser that was sent away.

        Raises:
            HttpProblem 403 ``login_refused``: whatever is wrong with what came back; 503 ``provider_unreachable``.
            RefusedError: ``token_refused``: nobody here has this identity.
        """
        state, code = query.get("state", ""), query.get("code", "")
        project = self._take(state, binder)
        said = query.get("iss")
        if said != self.settings.issuer and (said is not None or self._provider.metadata().names_itself):
            raise refused_login()  # another provider's answer (RFC 9207)
        if not 0 < len(code) <= _PARAMETER or "error" in query:
            raise refused_login()
        text = self._provider.redeem(code, self._derived("verifier", binder))
        subject = self._tokens.subject(text, nonce=self._derived("nonce", binder))
        return CameBack(outside_identities.holder(vault, subject.issuer, subject.subject), subject, project)

    def _take(self, state: str, binder: str) -> str:
        """Use a state up; the project that was asked for. Raises HttpProblem 403: not of this cookie, too late, or used."""
        if len(binder) > _PARAMETER or not hmac.compare_digest(self._derived("state", binder).encode(), _bytes(state)):
            raise refused_login()  # none of ours; or another browser's: somebody was sent here by a stranger
        _, begun, project = binder.split(".")  # as it was made here, for the state is its own
        now = self._monotonic()
        if now - int(begun) >= PENDING_SECONDS:
            raise refused_login()
        with self._changing:
            while self._used and (now - next(iter(self._used.values())) >= PENDING_SECONDS or len(self._used) >= MOST_USED):
                self._used.popitem(last=False)
            if state in self._used:
                raise refused_login()
            self._used[state] = now
        return base64.urlsafe_b64decode(project + "=" * (-len(project) % 4)).decode()

    def _derived(self, what: str, binder: str) -> str:
        return _text(hmac.digest(self._key, _bytes(f"{what} {binder}"), "sha256"))


def refused_login() -> HttpProblem:
    """Whatever is wrong with a login by a provider."""
    return HttpProblem(403, "login_refused", "this login was not accepted")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
