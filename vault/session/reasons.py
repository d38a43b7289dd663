"""Reasons of corrections: required, short, for the log's sealed detail."""

from __future__ import annotations

from vault.errors import InputError
from vault.files.plain_text import printable

MAX_REASON_CHARS = 2_000


def require_reason(given: str) -> str:
    """The reason without space around it. Raises InputError ``reason_missing``, ``reason_too_long``."""
    said = printable(given.strip())
    if not said:
        raise InputError("reason_missing", "a correction needs a reason", hint="--reason TEXT; auditors read it")
    if len(said) > MAX_REASON_CHARS:
        raise InputError("reason_too_long", f"the reason is longer than {MAX_REASON_CHARS:,} characters", hint="say it shorter")
    return said
