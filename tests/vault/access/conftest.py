"""Fixtures of the access room: those of the consent room, whose answers decide what is asked for."""

from __future__ import annotations

from tests.vault.consent.conftest import clock, held

__all__ = ["clock", "held"]
