"""This machine by its addresses: where clear text may be spoken."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """True of ``localhost`` and of loopback addresses; a name is not looked up."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
