"""Texts of access tokens and of what is shown like them.

    gvt_ACCESSOR_SECRET_CHECK        accessor: 10 of base62; secret: 32 random bytes, base64url; check: CRC-32 of what precedes it, 6 of base62

The check lets scanners of source code find a token that was committed by mistake, and answers slips of the pen without a look-up.
"""

from __future__ import annotations

import base64
import re
import zlib

from vault.ids import RandomBytes

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ACCESSOR, _CHECK = 10, 6
_TOKEN = "gvt"  # noqa: S105 - how tokens begin
_FORM = re.compile(r"(gv[a-z])_([0-9A-Za-z]{10})_([0-9A-Za-z_-]{43})_([0-9A-Za-z]{6})")


def parse(text: str, kind: str = _TOKEN) -> tuple[str, bytes] | None:
    """(accessor, secret of 32 bytes) of a token's text, or of another bearer's ``kind``; None for what is none, or was misspelt."""
    found = _FORM.fullmatch(text)
    if found is None or found[1] != kind or _check(text[: -_CHECK - 1]) != found[4]:
        return None
    return found[2], base64.urlsafe_b64decode(found[3] + "=")


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
