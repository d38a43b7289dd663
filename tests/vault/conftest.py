"""What the tests of the books share: one vault, made once, copied where a test changes it."""

from __future__ import annotations

import pytest

from tests.support.clusters import cluster
from tests.support.vaults import copy, opened


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL cluster."""
    with cluster() as url:
        yield url


@pytest.fixture
def folder(tmp_path):
    """A small vault to change at will."""
    return copy(tmp_path, whole=False)


@pytest.fixture
def s(folder):
    """The same, opened by its steward."""
    with opened(folder) as session:
        yield session
