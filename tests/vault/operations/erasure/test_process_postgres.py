"""Erasure and rotation where books and keys are on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from tests.support import vaults
from tests.support.postgres import postgres_url
from vault import gate
from vault.errors import GenovaultError
from vault.operations import doctor, key_rotation
from vault.operations.erasure import process
from vault.session.settings import Places
from vault.subjects.references import resolve

pytestmark = pytest.mark.long


def test_a_person_is_erased_and_keys_rotate(tmp_path: Path):
    with postgres_url(tmp_path) as url:
        server = create_engine(make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        places = {}
        with server.connect() as connection:
            for name in ("books", "keys"):
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
                places[name] = make_url(url).set(drivername="postgresql", database=name).render_as_string(hide_password=False)
        server.dispose()
        vaults.make(tmp_path / "v", places=Places(**places), whole=False)
        with vaults.opened(tmp_path / "v") as s:
            subject = resolve(s, "S03")
            assert process.erase(s, "S03").content["destroyed"]["keys"] == 4
            assert s.subject_keys.keyless([subject]) == [subject]
            with pytest.raises(GenovaultError):
                resolve(s, "S03")
            key_rotation.rotate(s)
            for branch in key_rotation.BY_DEFAULT:
                key_rotation.destroy_epoch(s, branch, 1)
            assert gate.view(s, project="demo", dataset="cohort").genotypes.shape[1] == len(vaults.PERMITTED) - 1
            assert doctor.examine(s).ok
