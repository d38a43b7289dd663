"""A vault in which nothing is yet, and a folder for files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.held import Held


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    held = Held.make(tmp_path)
    yield held
    held.vault.close()
