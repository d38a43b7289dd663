"""A new vault on either database."""

from __future__ import annotations

import pytest

from tests.support import vaults
from tests.support.clusters import new_postgres
from tests.support.vaults import opened
from vault.operations.create import init
from vault.session.settings import Places


@pytest.fixture(params=["sqlite", "postgresql"])
def vault_on_both(request, tmp_path):
    """A new vault whose keys are in SQLite, then in PostgreSQL."""
    places = Places() if request.param == "sqlite" else Places(keys=new_postgres(request.getfixturevalue("server")))
    profile = vaults.Argon2Profile.TEST_ONLY
    init(tmp_path / "v", steward="ann", factor=vaults.FACTOR, places=places, profile=profile)
    with opened(tmp_path / "v") as s:
        yield s
