"""Bindings of access tokens: to the certificate that a client shows (RFC 8705 §3), and to the networks that it comes from (docs/design/access.md §12).

A token that was copied is good nowhere else. What it is bound to is sealed in its row: it tells where somebody works, and lists for auditors need not.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from vault.errors import InputError, IntegrityError

MOST_NETWORKS = 16
MAX_CERTIFICATE_BYTES = 1 << 16  # of a PEM file

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class ShownFrom:
    """Other end of a connection over which a token is shown. ``certificate``: SHA-256 of the one that the client proved to have, hex, or "";
    ``address``: where it comes from, None where nobody can tell, as over a Unix socket.
    """

    certificate: str = ""
    address: IpAddress | None = None


NOWHERE = ShownFrom()


@dataclass(frozen=True)
class TokenBinding:
    """Certificate (SHA-256 of its DER, hex, or "") and networks ("10.1.0.0/16"; none: anywhere) of a token, both of which have to hold."""

    certificate: str = ""
    networks: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.certificate or self.networks)

    def admits(self, place: ShownFrom) -> bool:
        """True if a token may be shown from a place."""
        if self.certificate and self.certificate != place.certificate:
            return False
        address = place.address
        return not self.networks or (
            address is not None and any(address in ipaddress.ip_network(network) for network in self.networks)
        )

    def content(self) -> dict[str, Any]:
        """Content to be sealed."""
        return asdict(self)


def binding_of(content: dict[str, Any]) -> TokenBinding:
    """The binding that was sealed. Raises IntegrityError ``access_token_altered``."""
    try:
        return TokenBinding(str(content["certificate"]), tuple(networks(content["networks"])))
    except (KeyError, TypeError, InputError):
        raise IntegrityError("access_token_altered", "an access token is not as it was recorded") from None


def fingerprint(pem: bytes) -> str:
    """SHA-256 of the one certificate of a PEM file, as DER, in hex. Raises InputError ``certificate_malformed``."""
    begin = b"-----BEGIN "
    # Of a chain nobody could tell which is meant, and a key is not ours to read.
    armour = pem[pem.index(begin) :].strip() if pem.count(begin) == 1 else b""
    try:
        der = ssl.PEM_cert_to_DER_cert(armour.decode("ascii"))
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except (ValueError, ssl.SSLError):
        raise InputError(
            "certificate_malformed",
            "this is not one certificate as PEM",
            hint="the client's own: neither its chain nor its key",
        ) from None
    return sha256(der).hexdigest()


def networks(texts: Sequence[str]) -> list[str]:
    """Networks in CIDR notation, sorted; an address alone is a network of its own.

    Raises:
        InputError: ``network_malformed``: none, one with bits behind its prefix, IPv4 within IPv6, or all there is; ``networks_too_many``.
    """
    found = set()
    for text in texts:
        try:
            network = ipaddress.ip_network(text, strict=True)
        except ValueError:
            raise _malformed() from None
        mapped = isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped is not None
        if mapped or network.prefixlen == 0:
            raise _malformed()
        found.add(network)
    if len(found) > MOST_NETWORKS:
        raise InputError("networks_too_many", f"a token is bound to at most {MOST_NETWORKS} networks")
    return sorted(map(str, found))


def plain_address(text: str) -> IpAddress | None:
    """An address, without the zone of a link, and as IPv4 where IPv6 holds one; None for what is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _malformed() -> InputError:
    return InputError("network_malformed", "a network is written like 10.1.0.0/16 or 2001:db8::/32", hint="--from")
