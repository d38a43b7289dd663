"""The log on PostgreSQL."""

from __future__ import annotations

import json
import multiprocessing
from datetime import datetime

import pytest
from sqlalchemy import exc, text

from tests.support.audit_log import AUDITOR, ORIGIN, SIGNER, VKEY, event, open_log, token
from tests.support.postgres import postgres_url
from vault.audit.actions import Action
from vault.audit.live_source import LogSource
from vault.audit.receipt import verify_receipt
from vault.audit.verify import verify
from vault.errors import UnavailableError
from vault.storage.audit_tables import TRIGGERS
from vault.storage.base import Base
from vault.storage.database import Database


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with postgres_url(tmp_path_factory.mktemp("pg")) as url:
        yield url


@pytest.fixture
def log(server):
    database = Database(server)
    Base.metadata.create_all(database.engine)
    made = open_log(database)
    with database.write() as tx:
        made.create(tx)
    yield made
    Base.metadata.drop_all(database.engine)
    database.close()


def test_entries_are_found_by_what_they_say_and_by_their_time(log):
    made = [log.record(event(act=act)) for act in (Action.PROJECT_CREATE, Action.VIEW_READ, Action.REQUEST_SUBMIT)]
    marks = b'"act":"project.', b'"act":"request.'
    assert [entry.index for entry in log.entries_saying(marks, 0, 3)] == [0, 2]
    assert [entry.index for entry in log.entries_saying(marks, 1, 2)] == []
    times = [datetime.fromisoformat(json.loads(one.leaf)["t"]) for one in made]
    assert sorted(entry.index for entry in log.entries_made(times[0], times[-1])) == [0, 1, 2]


def test_append_sign_prove_and_verify(log):
    first = log.record(event(subjects=[token(1), token(2)], detail={"a": 1}))
    log.record_many([event(subjects=[token(2)]) for _ in range(600)])
    log.checkpoint(SIGNER)
    assert verify_receipt(log.receipt(300), None, ORIGIN, [VKEY]).index == 300
    assert log.detail(first.index, AUDITOR) == {"a": 1}
    assert log.entries_of(token(1)) == [0]
    assert len(log.entries_of(token(2))) == 601
    report = verify(LogSource(log, None), VKEY.to_text())
    assert report.ok
    assert report.signed == 601


@pytest.mark.parametrize(
    "statement", ["DELETE FROM audit_leaf", "UPDATE audit_leaf SET idx = 7", "TRUNCATE audit_leaf", "DELETE FROM audit_head"]
)
def test_rows_cannot_be_changed_by_mistake(log, statement):
    log.record(event())
    with pytest.raises((exc.DBAPIError, UnavailableError)), log.database.write() as tx:
        tx.execute(text(statement))
    assert log.size() == 1


def test_processes_share_one_sequence(log, server):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    children = [context.Process(target=append_some, args=(server, seed, queue)) for seed in (11, 12)]
    for child in children:
        child.start()
    found = [index for _ in children for index in queue.get(timeout=60)]
    for child in children:
        child.join()
    assert sorted(found) == list(range(40))
    log.checkpoint(SIGNER)
    assert verify(LogSource(log, None), VKEY.to_text()).ok


def append_some(url, seed, queue):
    log = open_log(Database(url), seed)
    queue.put([log.record(event(detail={"seed": seed})).index for _ in range(20)])


def test_the_triggers_of_the_migration_are_those_of_create_all(log):
    with log.database.engine.begin() as connection:
        names = set(connection.execute(text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")).scalars())
    wanted = {statement.split()[2] for statement in TRIGGERS["postgresql"] if statement.startswith("CREATE TRIGGER")}
    assert names == wanted
