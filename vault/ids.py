"""Identifiers: distinct types for values that look alike, and the one way to make new ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NewType

VaultId = NewType("VaultId", bytes)  # 16 random bytes
SubjectId = NewType("SubjectId", bytes)  # 16 random bytes; never leaves the vault
DatasetId = NewType("DatasetId", bytes)  # 16 random bytes
PartId = NewType("PartId", bytes)  # 16 random bytes
ContainerId = NewType("ContainerId", bytes)  # 16 random bytes
KeyId = NewType("KeyId", bytes)  # 16 random bytes
ProjectId = NewType("ProjectId", bytes)  # 16 random bytes
Pseudonym = NewType("Pseudonym", str)  # bech32m, prefix = project code
AuditToken = NewType("AuditToken", str)  # "hmac-sha256:<kid>:<64 hex>"

RandomBytes = Callable[[int], bytes]
"""Randomness as an argument: ``os.urandom`` in production, a seeded generator in tests."""

Clock = Callable[[], datetime]
"""Time as an argument: returns an aware UTC datetime."""

ID_BYTES = 16


def new_id(random: RandomBytes) -> bytes:
    """16 random bytes; wrap in the NewType wanted."""
    return random(ID_BYTES)


def draw(random: RandomBytes, count: int, width: int) -> list[bytes]:
    """``count`` random values of ``width`` bytes, from one call."""
    data = random(count * width)
    return [data[at : at + width] for at in range(0, count * width, width)]


def new_uuid7(random: RandomBytes, now: datetime) -> str:
    """UUIDv7 text (RFC 9562 §5.7): 48-bit Unix milliseconds, then 74 random bits."""
    millis = int(now.timestamp() * 1000) & ((1 << 48) - 1)
    value = bytearray(millis.to_bytes(6, "big") + random(10))
    value[6] = 0x70 | (value[6] & 0x0F)
    value[8] = 0x80 | (value[8] & 0x3F)
    text = value.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def utc_now() -> datetime:
    """The production clock."""
    return datetime.now(UTC)
