"""The log that most tests here write to."""

from __future__ import annotations

import pytest

from tests.support.audit_log import make_books


@pytest.fixture
def books(tmp_path):
    fixture = make_books(tmp_path)
    yield fixture
    fixture.database.close()
