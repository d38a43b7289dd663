"""An attacker who writes to the disk and holds no key: each attack works on a copy of one vault."""

from __future__ import annotations

import pytest

from tests.support.vaults import copy


@pytest.fixture
def small(tmp_path):
    """One dataset of one part and one chunk."""
    return copy(tmp_path, whole=False)


@pytest.fixture
def large(tmp_path):
    """Two datasets, two parts, two chunks."""
    return copy(tmp_path)
