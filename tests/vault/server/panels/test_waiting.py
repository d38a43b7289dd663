"""Changes of a panel by long poll: told within the wait, by whatever process they were made; bounded; ended with the token and the seal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import vault
from tests.support import served
from tests.support.vaults import FACTOR, opened
from vault.access import access_tokens, projects
from vault.consent import recording
from vault.operations.erasure import process
from vault.server.panels.waiting import OF_ONE

WAIT = 30


@pytest.fixture
def panel(server):
    with vault.connect(server.url, token=server.token) as c:
        yield c.panel("served", dataset="cohort", name="pgx")


def by_command(server, *arguments):
    """The command line, in a process of its own, as a steward uses it."""
    command = [
        sys.executable,
        "-c",
        "import genovault_start; genovault_start.command()",
        "--vault",
        str(server.folder),
        "--as",
        "ann",
    ]
    environment = {"GENOVAULT_PASSPHRASE": FACTOR.passphrase.reveal().decode(), "PATH": "/usr/bin:/bin"}
    subprocess.run([*command, *arguments], env=environment, check=True, capture_output=True)


def waiting(panel, cursor, wait=WAIT):
    """What a long poll is answered, begun in a thread."""
    pool = ThreadPoolExecutor(1)
    told = pool.submit(panel.changes, cursor, wait=wait)
    pool.shutdown(wait=False)
    time.sleep(1)  # it waits: nothing that follows rests on how long
    assert not told.done()
    return told


def test_nothing_to_tell_is_told_at_the_end_of_the_wait_and_is_no_entry(server, panel):
    cursor = panel.genotypes().cursor
    before = entries(server)
    told = panel.changes(cursor, wait=1)
    assert (told.added, told.drop, told.sites_changed) == ((), (), False)
    assert entries(server) == before


def test_a_withdrawal_by_another_process_is_told_within_the_wait_with_its_entry(server, panel):
    whole = panel.genotypes()
    poll = waiting(panel, whole.cursor)
    by_command(server, "consent", "withdraw", "S05")
    told = poll.result(WAIT)  # what ends it is the change, and not the wait
    assert len(told.drop) == 1
    assert told.added == ()
    assert set(told.drop) <= set(whole.pseudonyms)
    assert set(told.drop).isdisjoint(panel.genotypes().pseudonyms)
    leaf = json.loads(next(entry for entry in reversed(entries(server)) if "view.changes" in entry))
    assert (leaf["act"], leaf["outcome"], leaf["subj"]["n"]) == ("view.changes", "done", 1)
    after = panel.changes(told.cursor)
    assert (after.added, after.drop) == ((), ())


def test_who_comes_is_told_and_their_row_follows(server, panel):
    whole = panel.genotypes()
    with opened(server.folder) as s:
        recording.withdraw(s, "S08")
    told = panel.changes(whole.cursor)
    poll = waiting(panel, told.cursor)
    with opened(server.folder) as s:
        recording.record(s, "S08", "broad-research", {"research_use": "yes"})
    assert poll.result(WAIT).added == told.drop
    came = panel.genotypes(since=told.cursor)
    assert came.whole or came.pseudonyms == told.drop


def test_a_mirror_drops_first_and_holds_what_the_vault_permits(server, panel):
    mirror = panel.follow(wait=WAIT)
    before = set(mirror.rows)
    changes = iter(mirror)
    pool = ThreadPoolExecutor(1)
    change = pool.submit(next, changes)
    with opened(server.folder) as s:
        recording.withdraw(s, "S02")
    told = change.result(60)
    pool.shutdown()
    assert len(told.dropped) == 1
    assert set(mirror.rows) == before - set(told.dropped) == set(panel.genotypes().pseudonyms)
    assert mirror.step(wait=0) is None


def test_a_mirror_holds_no_row_of_an_erased_person_though_nothing_can_name_them(server, panel):
    mirror = panel.follow(wait=1)
    before = set(mirror.rows)
    with opened(server.folder) as s:
        process.erase(s, "S10")
    mirror.step()
    assert set(mirror.rows) == set(panel.genotypes().pseudonyms)
    assert len(before - set(mirror.rows)) == 1


def test_one_token_waits_a_few_times_and_more_is_told_so(server, panel):
    cursor = panel.genotypes().cursor
    path = "/v1/projects/served/panels/pgx/changes"
    asked = {"dataset": "cohort", "since": cursor, "wait": "3"}
    with ThreadPoolExecutor(OF_ONE + 3) as pool:
        answers = list(pool.map(lambda _: server.client.get(path, params=asked), range(OF_ONE + 3)))
    codes = [one.status_code for one in answers]
    assert set(codes) == {200, 429}
    assert codes.count(200) >= OF_ONE  # more where one came when another had its answer
    for one in answers:
        if one.status_code == 429:
            assert one.json()["code"] == "too_many_waiting"
            assert one.headers["retry-after"]
    assert server.client.get(path, params={**asked, "wait": "1"}).status_code == 200  # places are given back


@pytest.mark.parametrize("wait", ["31", "-1", "x", "1.5"])
def test_a_wait_that_is_none_is_said(server, wait):
    answer = server.client.get("/v1/projects/served/panels/pgx/changes", params={"dataset": "cohort", "since": "x", "wait": wait})
    assert (answer.status_code, answer.json()["code"]) == (400, "body_malformed")


def test_clients_that_go_away_give_their_places_back(server, panel):
    cursor = panel.genotypes().cursor
    asked = {"dataset": "cohort", "since": cursor, "wait": "30"}
    headers = {"Authorization": f"Bearer {server.token}"}
    for _ in range(OF_ONE):
        with pytest.raises(httpx.TimeoutException):
            httpx.get(f"{server.url}/v1/projects/served/panels/pgx/changes", params=asked, headers=headers, timeout=1)
    for _ in range(60):
        if server.client.get("/v1/projects/served/panels/pgx/changes", params={**asked, "wait": "1"}).status_code == 200:
            return
        time.sleep(0.2)
    raise AssertionError("the places were not given back")


def test_a_revoked_token_ends_its_wait(server, panel):
    with opened(server.folder) as s:
        token = served.issue(s, "rob")
    with vault.connect(server.url, token=token) as c:
        own = c.panel("served", dataset="cohort", name="pgx")
        poll = waiting(own, own.genotypes().cursor)
        with opened(server.folder) as s:
            access_tokens.revoke(s, token.split("_")[1])
        with pytest.raises(vault.RefusedError) as caught:
            poll.result(WAIT)
    assert caught.value.code == "token_refused"


def test_a_suspended_project_ends_it(server, panel):
    poll = waiting(panel, panel.genotypes().cursor)
    with opened(server.folder) as s:
        projects.change(s, "served", "suspend")
    with pytest.raises(vault.RefusedError) as caught:
        poll.result(WAIT)
    assert caught.value.code == "refused"


def test_a_server_that_is_to_end_lets_those_who_wait_go(tmp_path):
    token = served.staffed(tmp_path)
    with served.serving(tmp_path / "v", token=token) as it, vault.connect(it.url, token=token) as c:
        panel = c.panel("served", dataset="cohort", name="pgx")
        poll = waiting(panel, panel.genotypes().cursor)
        it.process.send_signal(signal.SIGTERM)
        told = poll.result(20)
        assert (told.added, told.drop) == ((), ())
        it.process.wait(20)


def test_a_sealed_server_ends_every_wait(tmp_path):
    token, path = served.staffed(tmp_path), tmp_path / "s"
    with (
        served.serving(tmp_path / "v", "--unix", str(path), token=token, socket_of=path) as it,
        vault.connect("http://localhost", unix=path, token=token) as c,
    ):
        panel = c.panel("served", dataset="cohort", name="pgx")
        poll = waiting(panel, panel.genotypes().cursor)
        assert it.post("/v1/sys/seal", {"passphrase": served.PASSPHRASE}).status_code == 204
        with pytest.raises(vault.UnavailableError) as caught:
            poll.result(60)
    assert caught.value.code == "sealed"


def test_whoever_waits_holds_no_thread(server):
    """More wait than there are threads, and others are answered."""
    with opened(server.folder) as s:
        projects.change(s, "served", "approve")
        tokens = [served.issue(s, who) for who in ("rita", "rob") for _ in range(2)]
    polls = []
    with ThreadPoolExecutor(16) as pool:
        clients = [vault.connect(server.url, token=token) for token in tokens]
        for c in clients:
            own = c.panel("served", dataset="cohort", name="pgx")
            cursor = own.genotypes().cursor
            polls += [pool.submit(own.changes, cursor, wait=WAIT) for _ in range(OF_ONE)]
        time.sleep(1)  # they wait: nothing that follows rests on how long
        assert server.client.get("/v1/projects").status_code == 200
        assert not any(poll.done() for poll in polls)
        with opened(server.folder) as s:
            recording.withdraw(s, "S01")
        assert all(len(poll.result(60).drop) == 1 for poll in polls)
        for c in clients:
            c.close()


def entries(server):
    with opened(server.folder) as s:
        return [entry.leaf.decode() for entry in s.trail.log.entries(0)]
