"""Messages that a page shows after a form was sent, by the codes that stand in its address: no text of an address is shown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MESSAGES: Mapping[str, str] = MappingProxyType(
    {
        "ended": "Your session is over: log in again.",
        "left": "You are logged out, and your keys are gone from the server's memory.",
    }
)
