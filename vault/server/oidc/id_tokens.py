"""ID tokens of an OpenID provider: what has to hold of one before anything in it is believed (OpenID Connect Core 1.0 §3.1.3.7).

Algorithms are pinned, and a key's kind has to be the algorithm's: no ``none``, no HMAC under a public key. A token is good once, a minute's clock skew apart.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vault.access import outside_identities
from vault.crypto.primitives import verify_signature
from vault.errors import IntegrityError
from vault.server.oidc.provider import Provider
from vault.server.oidc.settings import OidcSettings
from vault.server.problems import HttpProblem

SKEW = 60  # seconds
OLDEST = 600  # seconds since it was issued
_MOST_CHARS = 16_384
ED25519 = ("Ed25519", "EdDSA")
"""Names of one algorithm: RFC 9864's, and RFC 8037's, which names a curve by the key alone and which providers still use."""
_KINDS = {"ES256": "EC", "Ed25519": "OKP", "EdDSA": "OKP", "RS256": "RSA"}
_RSA_BITS = 2_048


@dataclass(frozen=True)
class Subject:
    """Subject that a provider names, with its issuer."""

    issuer: str
    subject: str


class IdTokens:
    """Checks of one provider's tokens, and those that were shown already. Safe among threads."""

    def __init__(self, settings: OidcSettings, provider: Provider, *, clock: Callable[[], float] = time.time) -> None:
        self._settings, self._provider, self._clock = settings, provider, clock
        self._shown: dict[bytes, float] = {}
        self._changing = threading.Lock()

    def subject(self, text: str, *, nonce: str) -> Subject:
        """Subject of a token that answers the login of this nonce.

        Raises:
            HttpProblem 403 ``login_refused``: something does not hold; 503 as ``Provider.keys``.
        """
        claims = self._claims(text)
        now, settings = self._clock(), self._settings
        audience = claims.get("aud")
        audiences = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
        begun, ends, before = (_time(claims.get(name)) for name in ("iat", "exp", "nbf"))
        subject = claims.get("sub")
        holds = (
            claims.get("iss") == settings.issuer
            and settings.client_id in audiences
            and (len(audiences) == 1 or claims.get("azp") == settings.client_id)
            and claims.get("azp", settings.client_id) == settings.client_id
            and begun is not None
            and ends is not None
            and now - OLDEST - SKEW <= begun <= now + SKEW
            and now - SKEW < ends
            and ("nbf" not in claims or (before is not None and before <= now + SKEW))
            and claims.get("nonce") == nonce
            and isinstance(subject, str)
            and 0 < len(subject) <= outside_identities.MOST_CHARS
        )
        if not holds:
            raise _refused()
        self._require_new(text, claims, now)
        return Subject(settings.issuer, str(subject))

    def _claims(self, text: str) -> dict[str, Any]:
        """Claims of a token whose signature holds, by a key of the provider of the algorithm's kind. Raises HttpProblem."""
        from joserfc import errors, jws, jwt  # noqa: PLC0415 - a server without a provider does not need it
        from joserfc.jwk import import_key  # noqa: PLC0415 - as above

        if len(text) > _MOST_CHARS:
            raise _refused()
        try:
            parts = jws.extract_compact(text.encode())
            header = parts.headers()
            algorithm, kid = header.get("alg"), header.get("kid")
            if algorithm not in self._settings.algorithms or "crit" in header or not isinstance(kid, str | None):
                raise _refused()
            known = [one for one in self._provider.keys(kid) if _fits(one, algorithm, kid)]
            if len(known) != 1:  # none, or several between which nothing tells
                raise _refused()
            if algorithm in ED25519:
                return _signed_by(known[0]["x"], text, parts.payload)
            key = import_key({name: value for name, value in known[0].items() if name in _PUBLIC})
            return dict(jwt.decode(text, key, algorithms=[algorithm]).claims)
        except (errors.JoseError, IntegrityError, ValueError, TypeError, KeyError):
            raise _refused() from None

    def _require_new(self, text: str, claims: dict[str, Any], now: float) -> None:
        named = claims.get("jti")
        marks = [hashlib.sha256(text.encode()).digest()]
        if isinstance(named, str):
            marks.append(hashlib.sha256(b"jti\0" + named.encode("utf-8", "surrogatepass")).digest())
        with self._changing:
            self._shown = {mark: at for mark, at in self._shown.items() if now - at <= OLDEST + 2 * SKEW}
            if any(mark in self._shown for mark in marks):
                raise _refused()
            self._shown.update(dict.fromkeys(marks, now))


def _signed_by(key: str, text: str, payload: bytes) -> dict[str, Any]:
    """Claims of a token that an Ed25519 key has signed, in the base64url of a JWK. Under the older name the library warns at each token.

    Raises:
        IntegrityError ``signature_invalid``; ValueError, TypeError: what is no key, or no claims.
    """
    signed, _, signature = text.rpartition(".")
    verify_signature(_bytes(key), _bytes(signature), signed.encode())
    return dict(json.loads(payload))


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


_PUBLIC = frozenset({"kty", "crv", "x", "y", "n", "e", "kid"})


def _fits(key: dict[str, Any], algorithm: str, kid: str | None) -> bool:
    """True for a public signing key of the algorithm's kind; by its ``kid`` where the token names one."""
    names = ED25519 if algorithm in ED25519 else (algorithm,)
    curve = {"EC": "P-256", "OKP": "Ed25519"}.get(_KINDS[algorithm])
    modulus = key.get("n")
    return (
        key.get("kty") == _KINDS[algorithm]
        and (curve is None or key.get("crv") == curve)
        and (algorithm != "RS256" or (isinstance(modulus, str) and len(modulus) * 6 >= _RSA_BITS))
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) in names
        and (kid is None or key.get("kid") == kid)
    )


def _time(value: object) -> float | None:
    """Seconds since 1970 that a claim says; None for what is no time."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1 << 40:
        return None
    return float(value)


def _refused() -> HttpProblem:
    return HttpProblem(403, "login_refused", "this login was not accepted")
