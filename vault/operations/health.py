"""Findings of ``doctor``: each of one of three severities, with its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """``error``: data or a promise is in danger now. ``warning``: will be. ``note``: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class HealthFinding:
    """One finding. ``remedy``: a command, or an instruction to a person."""

    severity: Severity
    code: str
    message: str
    remedy: str
