"""Settings of login by an OpenID provider: a YAML file that names it, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vault.access import outside_identities
from vault.crypto.secret import Secret
from vault.errors import InputError
from vault.files.given_files import read_given
from vault.files.yaml_documents import parse_yaml

ALGORITHMS = ("ES256", "Ed25519", "EdDSA", "RS256")
CALLBACK = "/oidc/callback"
_FIELDS = {"issuer", "client_id", "client_secret_file", "address", "algorithms"}
_SECRET_BYTES = 4_096


@dataclass(frozen=True)
class OidcSettings:
    """Provider by its issuer, this server as its client, and the algorithms that its tokens are signed with. ``secret`` None: a public client, by PKCE alone."""

    issuer: str
    client_id: str
    address: str  # of this server, as browsers reach it
    algorithms: tuple[str, ...] = ALGORITHMS
    secret: Secret | None = field(default=None, repr=False)

    @property
    def redirect_uri(self) -> str:
        """Address that the provider sends browsers back to."""
        return f"{self.address}{CALLBACK}"


def read(path: Path) -> OidcSettings:
    """Settings in a file; the secret lies in another one, beside it unless its path is absolute.

    Raises:
        InputError: ``oidc_settings``: what is wrong with a field; ``issuer_malformed``; as ``read_given`` and ``parse_yaml``.
    """
    said = parse_yaml(read_given(path, limit=1 << 16, name=path.name), name=path.name)
    if strange := sorted(set(said) - _FIELDS):
        raise _wrong(f"there is no field {strange[0]}")
    issuer, client_id, address = (_text(said, name) for name in ("issuer", "client_id", "address"))
    outside_identities.require_issuer(issuer)
    outside_identities.require_issuer(address)
    if urlsplit(address).path:
        raise _wrong("address is https://HOST or https://HOST:PORT, without a path")
    chosen = said.get("algorithms", list(ALGORITHMS))
    if not isinstance(chosen, list) or not chosen or not set(chosen) <= set(ALGORITHMS):
        raise _wrong(f"algorithms are some of {', '.join(ALGORITHMS)}")
    secret = None
    if "client_secret_file" in said:
        place = path.parent / _text(said, "client_secret_file")
        data = read_given(place, limit=_SECRET_BYTES, name=place.name).strip()
        if not data or not data.isascii():
            raise _wrong("client_secret_file holds no secret")
        secret = Secret(data)
    return OidcSettings(issuer, client_id, address, tuple(chosen), secret)


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= outside_identities.MOST_CHARS or not value.isprintable():
        raise _wrong(f"{name} is a text")
    return value


def _wrong(what: str) -> InputError:
    return InputError("oidc_settings", f"settings of the provider: {what}", hint="docs/over-the-wire.md")
