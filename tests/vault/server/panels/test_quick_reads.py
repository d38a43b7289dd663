"""Reads under a kept clearance: the answer of the long way, in one entry, and gone the moment that anything it rests on is."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from policies.token_scopes import TokenScope
from tests.support import served
from tests.support.vaults import opened, verified
from vault.access import access_tokens
from vault.consent import recording
from vault.server.bodies import Genotypes

GENOTYPES = "/v1/projects/served/panels/pgx/genotypes"


def asked(server, *names, **headers):
    return server.post(GENOTYPES, {"dataset": "cohort", "pseudonyms": list(names)}, **headers)


def entries(folder, since=0):
    with opened(folder) as s:
        return [json.loads(entry.leaf) for entry in s.trail.log.entries(since)]


def test_a_quick_answer_is_that_of_the_long_way_and_as_described(server):
    whole = server.post(GENOTYPES, {"dataset": "cohort"}).json()
    name = min(whole["calls"])
    for answer in (asked(server, name), asked(server, name, **{"X-Any": "1"})):
        body = Genotypes.model_validate_json(answer.content)
        assert body.calls == {name: whole["calls"][name]}
        assert (body.sites_id, [one.model_dump() for one in body.sites]) == (whole["sites_id"], whole["sites"])


def test_each_quick_answer_is_one_entry_about_whom_it_names(server):
    name = min(server.post(GENOTYPES, {"dataset": "cohort"}).json()["calls"])
    asked(server, name)
    at = asked(server, name).json()["entry"]
    leaf = next(leaf for number, leaf in enumerate(entries(server.folder)) if number == at)
    assert (leaf["act"], leaf["outcome"], leaf["subj"]["n"]) == ("view.read", "done", 1)
    assert leaf["actor"] == {"kind": "service", "id": "service", "for": "rita"}


def test_many_at_once_are_answered_each_with_its_entry(server):
    names = sorted(server.post(GENOTYPES, {"dataset": "cohort"}).json()["calls"])
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda at: asked(server, names[at % len(names)]).json(), range(80)))
    assert len({one["entry"] for one in found}) == 80


def test_what_was_answered_is_signed_without_another_request(server):
    at = asked(server, "served-nobody").json()["entry"]
    deadline = time.monotonic() + 60
    with opened(server.folder) as s:
        while True:
            note = s.trail.log.latest_checkpoint()
            if note is not None and int(note.splitlines()[1]) > at:
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_withdrawal_by_a_command_is_in_no_later_answer(tmp_path):
    token = served.staffed(tmp_path)
    with served.serving(tmp_path / "v", token=token) as it:
        names = sorted(it.post(GENOTYPES, {"dataset": "cohort"}).json()["calls"])
        before = {name: asked(it, name).json()["calls"] for name in names}
        with ThreadPoolExecutor(4) as pool:
            load = [pool.submit(lambda name=name: asked(it, name)) for name in names * 8]
            line = [sys.executable, "-c", "import genovault_start; genovault_start.command()"]
            factor = {"GENOVAULT_PASSPHRASE": "correct horse canary staple"}
            command = [*line, "--vault", str(it.folder), "--as", "ann", "consent", "withdraw", "S03"]
            ran = subprocess.run(command, env={**served.os.environ, **factor}, capture_output=True, check=False)
            assert ran.returncode == 0, ran.stderr
            after = {name: asked(it, name).json()["calls"] for name in names}
            assert {one.result().status_code for one in load} == {200}
        gone = [name for name in names if before[name] and not after[name]]
        assert len(gone) == 1
    with opened(tmp_path / "v") as s:
        assert not verified(s).findings


def test_a_revoked_token_is_refused_at_the_next_quick_read(server):
    with opened(server.folder) as s:
        token = served.issue(s, "rob", TokenScope.ENGINE)
    other = {"Authorization": f"Bearer {token}"}
    name = min(server.post(GENOTYPES, {"dataset": "cohort"}).json()["calls"])
    for _ in range(3):
        assert asked(server, name, **other).status_code == 200
    with opened(server.folder) as s:
        access_tokens.revoke(s, token.split("_")[1])
    assert asked(server, name, **other).status_code == 401


def test_a_token_of_another_scope_or_project_has_no_quick_way(server):
    name = min(server.post(GENOTYPES, {"dataset": "cohort"}).json()["calls"])
    asked(server, name)
    with opened(server.folder) as s:
        token = served.issue(s, "rita", TokenScope.READ)
    assert asked(server, name, Authorization=f"Bearer {token}").status_code == 403
    path = GENOTYPES.replace("served", "demo")
    assert server.post(path, {"dataset": "cohort", "pseudonyms": [name]}).status_code == 403


def test_a_restriction_and_its_end_are_seen(server):
    names = sorted(server.post(GENOTYPES, {"dataset": "cohort"}).json()["calls"])
    full = [name for name in names if asked(server, name).json()["calls"]]
    with opened(server.folder) as s:
        recording.restrict(s, "S05")
    assert len([name for name in names if asked(server, name).json()["calls"]]) == len(full) - 1
