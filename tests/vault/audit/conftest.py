"""Logs that most tests here write to or edit."""

from __future__ import annotations

import shutil

import pytest

from tests.support.audit_log import SIGNER, event, make_books, token
from tests.support.log_verification import KEY
from vault.audit.export import export_tiles


@pytest.fixture
def books(tmp_path):
    fixture = make_books(tmp_path)
    yield fixture
    fixture.database.close()


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """600 entries, signed at 300 and at 590."""
    books = make_books(tmp_path_factory.mktemp("grown"))
    books.log.record_many([event(detail={"i": i}) for i in range(300)])
    books.log.checkpoint(SIGNER)
    books.log.record_many([event(subjects=[token(i)]) for i in range(290)])
    books.log.checkpoint(SIGNER)
    books.log.record_many([event()] * 10)
    books.database.checkpoint_wal()
    books.database.close()
    return books


@pytest.fixture
def copy(grown, tmp_path):
    """A copy of the grown log's database, to be edited."""
    path = tmp_path / "books.db"
    shutil.copy2(grown.path, path)
    return path


@pytest.fixture(scope="module")
def exported(grown, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "tiles"
    export_tiles(grown.log, folder, vkey=KEY)
    return folder


@pytest.fixture
def export(exported, tmp_path):
    folder = tmp_path / "tiles"
    shutil.copytree(exported, folder)
    return folder
