"""Somebody without keys, for whom a service acts."""

from __future__ import annotations

from dataclasses import dataclass

from vault.crypto.keystore import Role


@dataclass(frozen=True)
class OnBehalf:
    """Person or program in whose name a service acts: its principal, that one's role, and how it proved who it is.

    ``authn``: a code of the log's, as ``token``.
    """

    principal: str
    role: Role
    authn: str

    def flags(self) -> tuple[str, ...]:
        """Flags of every entry of such an act (docs/formats/audit.md §2)."""
        return f"role:{self.role.value}", f"authn:{self.authn}"
