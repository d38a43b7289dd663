"""An OpenID provider of our own on this machine, which signs what a test tells it to, honest or not."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

CLIENT = "genovault"
SECRET = "secret of the client"


def keys() -> dict[str, Key]:
    """A key of each algorithm, new, with its kid."""
    return {
        "ES256": ECKey.generate_key("P-256", {"kid": "ec", "use": "sig", "alg": "ES256"}),
        "RS256": RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig", "alg": "RS256"}),
        "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "ed", "use": "sig"}),
        "Ed25519": OKPKey.generate_key("Ed25519", {"kid": "ed25519", "use": "sig", "alg": "Ed25519"}),
    }


@dataclass
class Issuer:
    """A provider. ``claims``, ``token`` and ``metadata`` change what it says; ``served`` counts requests by path."""

    url: str = ""
    own: dict[str, Key] = field(default_factory=keys)
    algorithm: str = "ES256"
    subject: str = "0815"
    claims: Callable[[dict[str, Any]], dict[str, Any]] = lambda said: said
    token: Callable[[str], str] = lambda text: text
    metadata: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)  # by path, in place of ours
    served: dict[str, int] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)  # code -> what was asked
    given: list[str] = field(default_factory=list)

    def authorise(self, url: str) -> dict[str, str]:
        """What a browser brings back that was sent to ``url``, as the query of the callback."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return {"code": code, "state": asked["state"], "iss": self.url}

    def id_token(self, asked: dict[str, str]) -> str:
        """A token for what was asked."""
        now = int(time.time())
        said = {"iss": self.url, "sub": self.subject, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        key = self.own[self.algorithm]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that EdDSA is an older name: providers use it
            text = jwt.encode({"alg": self.algorithm, "kid": key.kid}, self.claims(said), key, algorithms=[self.algorithm])
        self.given.append(self.token(text))
        return self.given[-1]

    def document(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }

    def redeemed(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        asked = self.codes.pop(form.get("code", ""), None)
        shown = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
        wanted = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        same = asked is not None and (form["redirect_uri"], shown) == (asked["redirect_uri"], asked["code_challenge"])
        if asked is None or not same or authorization != wanted:
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": self.id_token(asked)}


@contextmanager
def issuing() -> Iterator[Issuer]:
    """A provider on a free port."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            public = {"keys": [key.as_dict(private=False) for key in issuer.own.values()]}
            found = {"/.well-known/openid-configuration": issuer.document, "/jwks": lambda: public}.get(path)
            self._answer(path, 404 if found is None else 200, {} if found is None else found())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._answer(self.path, *issuer.redeemed(form, self.headers.get("Authorization", "")))

        def _answer(self, path: str, status: int, said: dict[str, Any]) -> None:
            issuer.served[path] = issuer.served.get(path, 0) + 1
            status, data = issuer.answers.get(path, (status, json.dumps(said).encode()))
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("Location", f"{issuer.url}/jwks")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
