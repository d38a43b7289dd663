"""Heads of requests: what a line and headers may be before anything is looked at. One meaning each, or a small answer."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from vault.server.problems import HttpProblem

MOST_HEADERS = 64
ONCE = (b"host", b"authorization", b"content-type", b"content-length", b"transfer-encoding", b"origin", b"cookie")
"""Headers that mean something to us: a second one would be read by one program and not by the next."""

_PATH = re.compile(rb"/|(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)+/?")
_CLOSE = {"Connection": "close"}


def require_plain(scope: Scope) -> None:
    """Refuse a head that two programs could read in two ways.

    Raises:
        HttpProblem 431 ``headers_too_many``; 400 ``header_repeated``, ``host_missing``, ``length_ambiguous``, ``path_malformed``.
    """
    names = [name.lower() for name, _ in scope["headers"]]
    if len(names) > MOST_HEADERS:
        raise HttpProblem(431, "headers_too_many", f"a request has at most {MOST_HEADERS} headers", _CLOSE)
    for name in ONCE:
        if names.count(name) > 1:
            raise HttpProblem(400, "header_repeated", f"the header {name.decode()} is given once", _CLOSE)
    if scope["http_version"] == "1.1" and b"host" not in names:
        raise HttpProblem(400, "host_missing", "a request of HTTP/1.1 names its host", _CLOSE)
    if b"content-length" in names and b"transfer-encoding" in names:
        raise HttpProblem(400, "length_ambiguous", "a body has a length, or comes in chunks, not both", _CLOSE)
    if not is_plain_path(scope.get("raw_path") or scope["path"].encode()):
        raise HttpProblem(400, "path_malformed", "this is no address")


def is_plain_path(raw: bytes) -> bool:
    """True if a path has no empty part, none that leads up, and nothing hidden behind an escape: no slash, no control character."""
    if not _PATH.fullmatch(raw):
        return False
    for part in raw.split(b"/"):
        meant = unquote_to_bytes(part)
        if meant in (b".", b"..") or any(octet < 0x20 or octet in b"/\\\x7f" for octet in meant):
            return False
    try:
        unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
