"""Patience of writers: who has just waited for nothing makes nobody wait as long again."""

from __future__ import annotations

import threading

import pytest

from tests.support.clusters import new_sqlite
from vault.errors import UnavailableError
from vault.storage.database import Database
from vault.storage.patience import TIRED_SECONDS, Patience


def test_by_default_every_writer_waits_as_long(tmp_path):
    patience = Patience()
    patience.tire()
    assert patience.left == patience.seconds


@pytest.mark.parametrize("here", [True, False])
def test_after_one_has_waited_for_nothing_the_next_hardly_waits(tmp_path, here):
    url = new_sqlite(tmp_path)
    own = Database(url)
    other = own if here else Database(url)
    own.patience.seconds = 0.2
    held, done = threading.Event(), threading.Event()

    def hold():
        with other.write():
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    try:
        with pytest.raises(UnavailableError) as refused, own.write():
            raise AssertionError("another writes")
        assert refused.value.code == "database_unavailable"
        own.patience.seconds = 60.0
        own.patience.tire()
        assert own.patience.left == TIRED_SECONDS
    finally:
        done.set()
        thread.join()
    with own.write():
        pass
    assert own.patience.left == own.patience.seconds, "a writer that had its turn rests it"
    own.close()
    other.close()


def test_what_the_body_raises_tires_nobody(tmp_path):
    database = Database(new_sqlite(tmp_path))
    database.patience.seconds = 5.0
    with pytest.raises(ValueError, match="x"), database.write():
        raise ValueError("x")
    assert database.patience.left == 5.0
    database.close()
