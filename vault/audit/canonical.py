"""Canonical JSON (RFC 8785) without floats, integers of at most 53 bits: one spelling per value.

The decoder accepts the encoder's output only, so two values are equal exactly if their bytes are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from vault.errors import InputError, IntegrityError

Json = str | int | bool | None | Sequence["Json"] | Mapping[str, "Json"]

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)
_SORTING = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False, sort_keys=True)

MAX_INTEGER = 2**53 - 1  # exact in an IEEE 754 double, hence in every JSON implementation
MAX_DEPTH = 16  # documents here nest about five deep; deeper ones could exhaust the stack


def encode(value: Json) -> bytes:
    """UTF-8 bytes: keys sorted by UTF-16 code units, no whitespace, shortest escapes.

    Raises:
        InputError: ``not_canonical_json``: a float, an integer beyond 53 bits, a lone surrogate, a key that is not text, or
            another type.
    """
    try:
        if _is_plain(value, 0):
            return _SORTING.encode(value).encode()
        return _ENCODER.encode(_ordered(value, 0)).encode()
    except UnicodeEncodeError:
        raise _not_encodable("text holds a lone surrogate") from None


def decode(data: bytes) -> Any:
    """The value of canonical bytes.

    Raises:
        IntegrityError: ``not_canonical_json``: not JSON, or not the one spelling of its value.
    """
    try:
        value = json.loads(data.decode(), parse_float=_refuse, parse_constant=_refuse)
        if encode(value) == data:  # differs for a duplicate key, whitespace, another escape or order
            return value
    except (ValueError, RecursionError, InputError):
        pass
    raise IntegrityError("not_canonical_json", "a document is not canonical JSON")


def _is_plain(value: Any, depth: int) -> bool:
    """True if the library's own key order is canonical: built-in types, ASCII keys. Other values go through ``_ordered``."""
    kind = type(value)
    if kind is int:
        return bool(-MAX_INTEGER <= value <= MAX_INTEGER)
    if kind is dict and depth < MAX_DEPTH:
        for key, item in value.items():
            if type(key) is not str or not key.isascii() or not _is_plain(item, depth + 1):
                return False
        return True
    if kind in {list, tuple} and depth < MAX_DEPTH:
        return all(_is_plain(item, depth + 1) for item in value)
    return kind in {str, bool, type(None)}


def _ordered(value: Any, depth: int) -> Any:
    """A value of built-in types, keys in canonical order. Raises InputError (``not_canonical_json``)."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise _not_encodable("an integer needs more than 53 bits")
        return value
    if depth >= MAX_DEPTH:
        raise _not_encodable("a document is nested too deep")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise _not_encodable("a key is not text")
        ordered = sorted(value) if "".join(value).isascii() else sorted(value, key=_utf16)
        return {key: _ordered(value[key], depth + 1) for key in ordered}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_ordered(item, depth + 1) for item in value]
    raise _not_encodable("a value is of a type that canonical JSON does not carry")


def _utf16(key: str) -> bytes:
    """Sort key of RFC 8785 section 3.2.3: UTF-16 code units."""
    return key.encode("utf-16-be", "surrogatepass")


def _refuse(_text: str) -> Any:
    """Refuse a float or a constant such as NaN. Raises ValueError."""
    raise ValueError("floats are not canonical here")


def _not_encodable(reason: str) -> InputError:
    return InputError("not_canonical_json", reason)
