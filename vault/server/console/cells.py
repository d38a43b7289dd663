"""Cells of tables that several pages have."""

from __future__ import annotations

from datetime import UTC, datetime

from vault.server.console.frame import Link


def entry(index: int) -> Link:
    """An entry of the log by its number."""
    return Link(f"/log/{index}", f"{index:,}")


def second(time: str) -> str:
    """An RFC 3339 time to the second."""
    return time[:19].replace("T", " ")


def moment(time: datetime) -> str:
    """A time to the second, with its zone."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def by(who: str | None, asserted_for: str | None) -> str:
    """Actor, and the person acted for where that is somebody else."""
    return f"{who} for {asserted_for}" if asserted_for else who or ""


def number(text: str) -> int | None:
    """A number of an address; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
