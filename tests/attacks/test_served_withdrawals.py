"""Withdrawals under load: while engines read without a pause, stewards withdraw people by the command line; nothing later holds them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import vault
from tests.support import served
from tests.support.vaults import FACTOR, opened, verified
from vault.audit.actions import Action
from vault.errors import RefusedError
from vault.session import principals

READERS = 6
LEAVING = ("S03", "S05", "S09")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    token = served.staffed(folder)
    with served.serving(folder / "v", token=token) as it:
        yield it


def withdraw(server, reference):
    command = [sys.executable, "-c", "import genovault_start; genovault_start.command()", "--vault", str(server.folder)]
    environment = {"GENOVAULT_PASSPHRASE": FACTOR.passphrase.reveal().decode(), "PATH": "/usr/bin:/bin"}
    subprocess.run([*command, "--as", "ann", "consent", "withdraw", reference], env=environment, check=True, capture_output=True)


def read(panel, number, stop, answers):
    """Read until told to stop, in one of three ways: everybody, somebody by name, and since a cursor. (entry, pseudonyms) of each answer."""
    everybody = panel.genotypes()
    cursor = everybody.cursor
    while not stop.is_set():
        try:
            if number % 3 == 0:
                given = panel.genotypes()
            elif number % 3 == 1:
                given = panel.genotypes(everybody.pseudonyms)
            else:
                given = panel.genotypes(since=cursor)
                cursor = given.cursor
        except vault.RefusedError as error:
            if error.code != "refused":
                raise
            continue  # a withdrawal came while this read was made: the log says so
        answers.append((given.entry, frozenset(given.pseudonyms)))


def test_no_answer_behind_a_withdrawal_holds_the_person_and_the_engine_is_told(server):
    stop, answers = threading.Event(), []
    with vault.connect(server.url, token=server.token) as c, ThreadPoolExecutor(READERS + 1) as pool:
        panel = c.panel("served", dataset="cohort", name="pgx")
        first = panel.genotypes()
        mirror = panel.follow(wait=30)
        readers = [pool.submit(read, panel, number, stop, answers) for number in range(READERS)]
        dropped = []
        try:
            for reference in LEAVING:
                told = pool.submit(next, iter(mirror))
                withdraw(server, reference)
                dropped.append(told.result(60).dropped)
            seen = len(answers)
            until = time.monotonic() + 60
            while (
                len(answers) < seen + 2 * READERS and time.monotonic() < until
            ):  # each reads once more, behind the last withdrawal
                time.sleep(0.05)
        finally:
            stop.set()
        for reader in readers:
            reader.result(60)
        assert [len(one) for one in dropped] == [1] * len(LEAVING)
        last = panel.genotypes()
    gone = {name for one in dropped for name in one}
    assert set(first.pseudonyms) - set(last.pseudonyms) == gone
    with opened(server.folder) as s:
        leaves = [json.loads(entry.leaf) for entry in s.trail.log.entries(0)]
        assert not verified(s).findings
    withdrawals = [at for at, leaf in enumerate(leaves) if leaf["act"] == Action.CONSENT_WITHDRAW.value][-len(LEAVING) :]
    assert any(entry > withdrawals[-1] for entry, _ in answers)
    for at, (name,) in zip(withdrawals, dropped, strict=True):
        late = [entry for entry, people in answers if entry > at and name in people]
        assert late == []
    refused = {code for leaf in leaves if leaf["outcome"] == "refused" and leaf["actor"].get("for") for code in leaf["reasons"]}
    assert refused <= {"consent_changed"}
    outcomes = {at for at, leaf in enumerate(leaves) if leaf["outcome"] == "done" and leaf["act"].startswith("view.")}
    assert {entry for entry, _ in answers} <= outcomes  # every answer has its entry


def test_a_token_that_is_revoked_under_load_gets_nothing_more(server):
    from vault.access import access_tokens  # noqa: PLC0415 - here only

    with opened(server.folder) as s:
        token = served.issue(s, "rob")
    stop, answers = threading.Event(), []
    with vault.connect(server.url, token=token) as c, ThreadPoolExecutor(3) as pool:
        panel = c.panel("served", dataset="cohort", name="pgx")
        readers = [pool.submit(read, panel, number, stop, answers) for number in range(3)]
        while len(answers) < 3:
            time.sleep(0.02)
        with opened(server.folder) as s:
            access_tokens.revoke(s, token.split("_")[1])
        ends = [getattr(reader.exception(60), "code", None) for reader in readers]
        with pytest.raises(RefusedError) as later:
            panel.genotypes()
    assert set(ends) <= {"token_refused", "server_unreachable"}  # the latter: an answer on its way was cut, and is none
    assert later.value.code == "token_refused"
    with opened(server.folder) as s:
        leaves = [json.loads(entry.leaf) for entry in s.trail.log.entries(0)]
    revoked = max(at for at, leaf in enumerate(leaves) if leaf["act"] == Action.PRINCIPAL_REVOKE_TOKEN.value)
    begun = [at for at, leaf in enumerate(leaves) if leaf["act"] == "view.intent" and leaf["outcome"] == "intent"]
    own = [at for at in begun if at > revoked and leaves[at]["actor"].get("for") == "rob"]
    assert len(own) <= 3  # a look-up of before the revocation may end behind it, once for each request that was on its way


def test_a_principal_and_then_the_service_that_are_disabled_under_load_get_nothing_more(tmp_path):
    token = served.staffed(tmp_path)
    with opened(tmp_path / "v") as s:
        of_rob = served.issue(s, "rob")
    with served.serving(tmp_path / "v", token=token) as it:
        asked, stop = {"dataset": "cohort"}, threading.Event()
        path = "/v1/projects/served/panels/pgx/genotypes"

        def until_refused(bearer, given):
            with httpx.Client(base_url=it.url, headers={"Authorization": f"Bearer {bearer}"}, timeout=60) as client:
                while (answer := client.post(path, json=asked)).status_code in (200, 403) and not stop.is_set():
                    if answer.status_code == 200:  # 403: what it rests on changed while this read was made
                        given.append(answer.json()["entry"])
                return answer.status_code, answer.json().get("code")

        with ThreadPoolExecutor(6) as pool:
            given = {"rita": [], "rob": []}
            readers = {
                who: [pool.submit(until_refused, text, given[who]) for _ in range(3)]
                for who, text in (("rita", token), ("rob", of_rob))
            }
            try:
                for who, gone, told in (("rob", "rob", (401, "token_refused")), ("rita", "service", (503, "sealed"))):
                    seen = len(given[who])
                    until = time.monotonic() + 60
                    while len(given[who]) < seen + 3 and time.monotonic() < until:
                        time.sleep(0.02)
                    assert len(given[who]) >= seen + 3
                    with opened(it.folder) as s:
                        principals.disable(s, gone)
                    assert [reader.result(60) for reader in readers[who]] == [told] * 3
            finally:
                stop.set()
        assert it.client.get("/v1/sys/seal-status").json() == {"sealed": True}
    with opened(tmp_path / "v") as s:
        leaves = [json.loads(entry.leaf) for entry in s.trail.log.entries(0)]
        assert not verified(s).findings
    first, second = (
        at for at, leaf in enumerate(leaves) if leaf["act"] == Action.PRINCIPAL_DISABLE.value and leaf["outcome"] == "done"
    )
    for who, ended in (("rob", first), ("rita", second)):
        done = {
            at
            for at, leaf in enumerate(leaves)
            if leaf["outcome"] == "done" and leaf["act"].startswith("view.") and leaf["actor"].get("for") == who
        }
        assert set(given[who]) <= done, "every answer has its entry"
        assert len([at for at in done if at > ended]) <= 3, "what was on its way may end behind it, once for each reader"
