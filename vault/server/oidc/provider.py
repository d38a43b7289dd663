"""An OpenID provider as this server reaches it: its description, its keys, and the exchange of a code. Short waits, small answers, no redirect."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vault.access import outside_identities
from vault.errors import InputError
from vault.server.oidc.settings import OidcSettings
from vault.server.problems import HttpProblem

SECONDS = 5.0  # of one request to the provider
MOST_BYTES = 1 << 18  # of one answer
KEPT_SECONDS = 3_600.0  # of description and keys
APART_SECONDS = 60.0  # between two looks at the keys for one that was not there


@dataclass(frozen=True)
class Metadata:
    """Description that a provider gives of itself. ``names_itself``: its answers carry ``iss`` (RFC 9207)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    names_itself: bool


class Provider:
    """One provider, whose description and keys are kept for an hour. Safe among threads."""

    def __init__(self, settings: OidcSettings, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._monotonic = settings, monotonic
        self._metadata: tuple[Metadata, float] | None = None
        self._keys: tuple[list[dict[str, Any]], float] | None = None
        self._fetching = threading.Lock()

    def metadata(self) -> Metadata:
        """Description of the provider, which names the very issuer that is pinned. Raises HttpProblem 503 ``provider_unreachable``."""
        with self._fetching:
            now = self._monotonic()
            if self._metadata is None or now - self._metadata[1] >= KEPT_SECONDS:
                said = self._json("GET", f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration")
                if said.get("issuer") != self._settings.issuer:
                    raise unreachable()
                places = [said.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
                authorization, token, keys = (_address(place) for place in places)
                names_itself = said.get("authorization_response_iss_parameter_supported") is True
                self._metadata = Metadata(authorization, token, keys, names_itself), now
            return self._metadata[0]

    def keys(self, kid: str | None) -> list[dict[str, Any]]:
        """Public keys of the provider, as JWKs, fetched again where none has this ``kid``: once a minute at most. Raises as ``metadata``."""
        place = self.metadata().jwks_uri
        with self._fetching:
            now = self._monotonic()
            age = None if self._keys is None else now - self._keys[1]
            lacks = self._keys is None or not any(one.get("kid") == kid for one in self._keys[0])
            if age is None or age >= KEPT_SECONDS or (lacks and age >= APART_SECONDS):
                found = self._json("GET", place).get("keys")
                if not isinstance(found, list) or len(found) > 100:
                    raise unreachable()
                self._keys = [one for one in found if isinstance(one, dict)], now
            return self._keys[0] if self._keys else []

    def redeem(self, code: str, verifier: str) -> str:
        """ID token for a code, as its text. Raises HttpProblem 403 ``login_refused``; as ``metadata``."""
        settings = self._settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": settings.redirect_uri,
            "client_id": settings.client_id,
            "code_verifier": verifier,
        }
        said = self._json("POST", self.metadata().token_endpoint, form)
        text = said.get("id_token")
        if not isinstance(text, str):
            raise HttpProblem(403, "login_refused", "this login was not accepted")
        return text

    def _json(self, method: str, url: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Object that a provider answers. Raises HttpProblem: 503 where it does not answer, 403 where it refuses a code."""
        import httpx  # noqa: PLC0415 - of the extra ``oidc``, which a server without a provider does not need

        secret = self._settings.secret
        auth = httpx.BasicAuth(self._settings.client_id, secret.reveal().decode()) if form is not None and secret else None
        try:
            with (
                httpx.Client(timeout=SECONDS, follow_redirects=False, trust_env=False) as client,
                client.stream(method, url, data=form, auth=auth, headers={"Accept": "application/json"}) as answer,
            ):
                data = bytearray()
                until = time.monotonic() + SECONDS
                for piece in answer.iter_bytes():
                    data += piece
                    if len(data) > MOST_BYTES or time.monotonic() > until:
                        raise unreachable()
            if answer.status_code != httpx.codes.OK:
                if form is not None and answer.status_code in (400, 401, 403):
                    raise HttpProblem(403, "login_refused", "this login was not accepted")
                raise unreachable()
            said = _parsed(bytes(data))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise unreachable() from None
        return said


def unreachable() -> HttpProblem:
    """The provider does not answer, or not as one."""
    return HttpProblem(503, "provider_unreachable", "the login provider does not answer now", {"Retry-After": "10"})


def _address(place: object) -> str:
    """An address of a provider: https, but on this machine. Raises HttpProblem 503."""
    text = place if isinstance(place, str) else ""
    try:
        outside_identities.require_issuer(text.partition("?")[0])
    except InputError:
        raise unreachable() from None
    return text


def _parsed(data: bytes) -> dict[str, Any]:
    said = json.loads(data)
    return said if isinstance(said, dict) else {}
