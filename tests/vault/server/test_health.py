"""Health: each store that is away is told apart, nothing is released meanwhile, and the server is whole again when the store is."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pysqlite3 import dbapi2

from tests.support import postgres, served, vaults
from tests.support.bucket import bucket
from tests.support.clusters import new_postgres
from tests.support.vaults import opened
from vault.crypto.keystore import Role
from vault.server.metrics import STEP
from vault.session import principals
from vault.session.settings import Places

GENOTYPES = "/v1/projects/served/panels/pgx/genotypes"


def test_a_whole_server_says_so_and_nothing_else(server):
    answer = server.client.get("/v1/sys/health")
    assert answer.status_code == 200
    body = answer.json()
    age = body["audit"].pop("last_checkpoint_age_s")
    told = datetime.fromisoformat(body.pop("time"))
    assert body == {"initialized": True, "sealed": False, "database": "ok", "audit": {"state": "ok"}, "storage": "ok"}
    assert age >= 0
    assert abs((datetime.now(UTC) - told).total_seconds()) < 600
    assert server.client.head("/v1/sys/health").status_code == 200
    assert server.client.get("/readyz").status_code == 204
    assert [server.client.head(path).status_code for path in ("/livez", "/readyz")] == [204, 204]


def test_a_sealed_one_and_one_whose_vault_is_gone(tmp_path):
    token = served.staffed(tmp_path)
    with served.serving(tmp_path / "v", token=token, sealed=True) as it:
        answer = it.client.get("/v1/sys/health")
        assert (answer.status_code, answer.json()["sealed"], set(answer.json())) == (503, True, {"initialized", "sealed", "time"})
        assert it.client.head("/v1/sys/health").status_code == 503
        (tmp_path / "v" / "vault.json").unlink()
        answer = it.client.get("/v1/sys/health")
        assert (answer.status_code, answer.json()["initialized"]) == (501, False)


def test_figures_are_for_this_machine_and_tell_of_nobody(server):
    for _ in range(STEP):
        server.client.get("/livez")
    answer = server.client.get("/v1/sys/metrics")
    assert answer.status_code == 200
    assert "genovault_sealed 0\n" in answer.text
    assert 'genovault_answers_total{route="/livez",status="2xx"}' in answer.text
    for word in ("served", "rita", "cohort", "pgx", server.token[4:14]):
        assert word not in answer.text
    for line in answer.text.splitlines():
        if line.startswith("genovault_answer"):
            assert int(line.rsplit(" ", 1)[1]) % STEP == 0
    assert server.client.get("/v1/sys/metrics", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 404


def test_while_another_writes_an_answer_waits_two_seconds_and_no_longer(server):
    writer = dbapi2.connect(str(server.folder / "books.db"), isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        answer = server.post(GENOTYPES, {"dataset": "cohort"})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert state(server) == ("ok", "unavailable", "ok")
    finally:
        writer.execute("ROLLBACK")
        writer.close()
    wait_until(lambda: state(server) == ("ok", "ok", "ok"))
    assert server.post(GENOTYPES, {"dataset": "cohort"}).status_code == 200


def test_without_the_folder_of_objects_nothing_is_released(server):
    objects = server.folder / "objects"
    objects.rename(server.folder / "elsewhere")
    try:
        wait_until(lambda: state(server) == ("ok", "ok", "unavailable"))
        assert server.client.get("/v1/sys/health").status_code == server.client.get("/readyz").status_code == 503
        assert "calls" not in server.post(GENOTYPES, {"dataset": "cohort"}).json()
    finally:
        (server.folder / "elsewhere").rename(objects)
    wait_until(lambda: state(server) == ("ok", "ok", "ok"))
    assert server.post(GENOTYPES, {"dataset": "cohort"}).status_code == 200


@pytest.mark.long
def test_away_and_back_again_database_and_bucket(tmp_path, monkeypatch):
    with bucket() as objects, cluster() as (place, url):
        for name, value in objects.environment.items():
            monkeypatch.setenv(name, value)
        token = staffed(tmp_path / "v", Places(new_postgres(url), new_postgres(url), objects.location))
        with served.serving(tmp_path / "v", token=token) as it:
            assert it.post(GENOTYPES, {"dataset": "cohort"}).status_code == 200
            assert state(it) == ("ok", "ok", "ok")

            objects.go()
            wait_until(lambda: state(it) == ("ok", "ok", "unavailable"))
            answer = it.post(GENOTYPES, {"dataset": "cohort"})
            assert answer.status_code in (403, 503)
            assert "calls" not in answer.json()
            objects.come()
            wait_until(lambda: state(it) == ("ok", "ok", "ok"))
            assert it.post(GENOTYPES, {"dataset": "cohort"}).status_code == 200

            postgres.kill(place)
            wait_until(lambda: state(it) == ("unavailable", "unavailable", "ok"))
            answer = it.post(GENOTYPES, {"dataset": "cohort"})
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert it.client.get("/livez").status_code == 204
            postgres.revive(place)
            wait_until(lambda: state(it) == ("ok", "ok", "ok"))
            assert it.post(GENOTYPES, {"dataset": "cohort"}).status_code == 200
        with opened(tmp_path / "v") as s:
            assert not vaults.verified(s).findings


def state(it):
    body = it.client.get("/v1/sys/health").json()
    return body["database"], body["audit"]["state"], body["storage"]


def staffed(folder, places):
    vaults.make(folder, places=places)
    vaults.add_role(folder, Role.SERVICE)
    with opened(folder) as s:
        principals.add(s, "rita", Role.RESEARCHER, None)
        vaults.approve(s, "served", "cohort", people=["rita"])
        return served.issue(s)


@contextmanager
def cluster():
    place = Path(tempfile.mkdtemp(prefix="genovault-pg-"))
    place.chmod(0o755)
    try:
        with postgres.postgres_url(place) as url:
            yield place, url
    finally:
        shutil.rmtree(place, ignore_errors=True)


def wait_until(held):
    for _ in range(300):
        if held():
            return
        time.sleep(0.2)
    raise AssertionError("it did not come to that")
