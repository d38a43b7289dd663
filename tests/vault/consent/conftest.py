"""Fixtures of the consent room: a clock and a cohort that has not answered yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.consent_work import Clock, twelve
from tests.support.held import Held


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until it is moved."""
    return Clock()


@pytest.fixture
def held(tmp_path: Path, clock: Clock) -> Iterator[Held]:
    """The vault of ``twelve``, open."""
    made = twelve(tmp_path, clock)
    yield made
    made.vault.close()
