"""Acts that wait for another steward, as every command shows them: who proposed what and why, and the command that agrees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Protocol


class WaitingAct(Protocol):
    """An act that a steward proposed and another has to agree to."""

    @property
    def proposed_by(self) -> str:
        """Principal who proposed it."""

    @property
    def proposed(self) -> datetime:
        """Time of the proposal."""

    @property
    def reason(self) -> str:
        """Reason that was given."""


def document(one: WaitingAct, about: Mapping[str, object], agree: str) -> dict[str, object]:
    """Act for programs. ``about``: what it is; ``agree``: command with which another steward agrees, for a shell."""
    return {
        **about,
        "proposed_by": one.proposed_by,
        "proposed": one.proposed.isoformat(),
        "reason": one.reason,
        "agree": agree,
    }


def lines(one: WaitingAct, about: str, agree: str) -> Iterator[str]:
    """Act for people. Arguments as of ``document``."""
    yield f"proposed by {one.proposed_by}, {one.proposed:%Y-%m-%d %H:%M:%S}: {about}: {one.reason}"
    yield f"  another steward agrees with: {agree}"
