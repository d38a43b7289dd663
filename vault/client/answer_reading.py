"""Reading of a server's JSON answers into typed values: what is not of the declared form is no answer."""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from vault.errors import UnavailableError

T = TypeVar("T")


def read_answer(kind: type[T], body: bytes) -> T:
    """Value of a dataclass from a JSON object; fields that it does not know are left out, those that it knows must be there.

    Raises:
        UnavailableError: ``answer_malformed``.
    """
    try:
        value = _value(kind, json.loads(body))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise malformed() from None
    return typing.cast("T", value)


def malformed() -> UnavailableError:
    """Error for an answer of no genovault server, or of another version."""
    return UnavailableError(
        "answer_malformed",
        "the answer is not of the form that this client knows",
        hint="is it a genovault server of this version?",
    )


def _value(kind: Any, given: Any) -> Any:
    """A JSON value as its declared type. Raises TypeError, KeyError, ValueError."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(given, dict):
            raise TypeError
        hints = typing.get_type_hints(kind)
        return kind(**{one.name: _value(hints[one.name], given[one.name]) for one in fields(kind)})
    if origin is tuple:
        if not isinstance(given, list):
            raise TypeError
        return tuple(_value(inner[0], one) for one in given)
    if origin is Mapping:
        if not isinstance(given, dict):
            raise TypeError
        return {name: _value(inner[1], one) for name, one in given.items()}
    if origin is types.UnionType:
        return None if given is None else _value(next(one for one in inner if one is not type(None)), given)
    return _plain(kind, given)


def _plain(kind: Any, given: Any) -> Any:
    if kind is float and isinstance(given, int | float) and not isinstance(given, bool):
        if not math.isfinite(given):
            raise ValueError
        return float(given)
    if type(given) is not kind:
        raise TypeError
    return given
