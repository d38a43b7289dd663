"""Notices over the wire: whoever holds what a person withdrew is told, gets the signed file, and says that it is done."""

from __future__ import annotations

import json

import pytest

from policies.token_scopes import TokenScope
from tests.support import delivered, projects_amended, served
from tests.support.delivered import as_
from tests.support.vaults import opened, verified
from vault import gate
from vault.access import notices, projects, requests
from vault.consent import recording
from vault.extracts.notice_file import verify_notice
from vault.extracts.verification import key_fingerprint


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noticed")
    token = delivered.staffed(folder)
    with served.serving(folder / "v", token=token) as it:
        yield it


@pytest.fixture(scope="module")
def held(server, tmp_path_factory):
    """A release of rita's, one of rob's, and a panel that rita read in another project; then somebody in all of them withdraws."""
    mine = delivered.extracted(server, delivered.asked(server))
    with opened(server.folder) as s:
        panel = as_(served.issue(s, "rita", TokenScope.ENGINE, TokenScope.DOWNLOAD))
        spec = requests.Spec(submitted_for="rob")
        his = requests.submit(s, "parcels", "cohort", kind=requests.RequestKind.RECORDS, spec=spec).request_id
        other = gate.extract(s, his, tmp_path_factory.mktemp("his") / "out").release_id
    assert server.post("/v1/projects/served/panels/pgx/genotypes", {"dataset": "cohort"}, **panel).status_code == 200
    with opened(server.folder) as s:
        recording.withdraw(s, "S02")
        found = {one.ref: one.notice_id for one in notices.list_all(s)}
    return mine["release"], found[mine["release"]], found[other], panel, mine["release"], other


def test_whoever_holds_it_is_told_what_to_drop_and_nobody_else(server, held):
    release, own, _, panel, *_ = held
    (one,) = server.client.get("/v1/notices").json()["notices"]
    assert (one["notice"], one["concerns"], one["kind"], one["state"]) == (own, release, "release", "open")
    assert [drop["pseudonym"].startswith("parcels1") for drop in one["drops"]] == [True]
    (about_panel,) = server.client.get("/v1/notices", headers=panel).json()["notices"]
    assert (about_panel["kind"], about_panel["project"]) == ("holding", "served")


def test_the_signed_file_is_as_a_steward_would_send_it(server, held, tmp_path):
    answer = server.client.get(f"/v1/notices/{held[1]}")
    (tmp_path / "notice.json").write_bytes(answer.content)
    with opened(server.folder) as s:
        said = verify_notice(tmp_path / "notice.json", [key_fingerprint(public) for public in s.release_keys().values()])
    assert said["notice"] == held[1]
    assert said["concerns"]["id"] == held[0]


def test_another_s_notice_is_the_one_refusal(server, held):
    for notice in (held[2], "ntc-0123456789abcdef", "x"):
        for answer in (
            server.client.get(f"/v1/notices/{notice}"),
            server.post(f"/v1/notices/{notice}/ack", {"reason": "done"}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "refused")
    with opened(server.folder) as s:
        assert notices.load(s, held[2]).state == "open"


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x", "by": "ann"}, {"reason": 5}])
def test_an_acknowledgement_says_how(server, held, body):
    assert server.post(f"/v1/notices/{held[1]}/ack", body).status_code == 400


def test_it_is_acknowledged_in_the_bearer_s_name_once(server, held):
    for _ in range(2):
        answer = server.post(f"/v1/notices/{held[1]}/ack", {"reason": "column dropped, copies deleted"})
        assert (answer.status_code, answer.content) == (204, b"")
    with opened(server.folder) as s:
        found = notices.load(s, held[1])
        assert (found.state, found.content.by, found.content.said) == ("acknowledged", "rita", "column dropped, copies deleted")
        leaves = [json.loads(one.leaf) for one in s.trail.log.entries(0)]
        said = [leaf for leaf in leaves if (leaf["act"], leaf["outcome"]) == ("release.notice.acknowledge", "done")]
        assert [leaf["actor"] for leaf in said] == [{"kind": "service", "id": "service", "for": "rita"}]
        assert not notices.faults(s)
        notices.reopen(s, held[1], reason="not all of it")
    assert server.client.get("/v1/notices").json()["notices"][0]["state"] == "open"


def test_what_was_called_off_needs_no_answer(server, held):
    with opened(server.folder) as s, s.books.write() as tx:
        notice = notices.load(s, held[1])
        notices.call_off(tx, s, notice, [one.pseudonym for one in notice.content.drops])
    answer = server.post(f"/v1/notices/{held[1]}/ack", {"reason": "done"})
    assert (answer.status_code, answer.json()["code"]) == (409, "notice_state")


@pytest.mark.parametrize("ended", [False, True])
def test_whoever_left_the_project_still_gets_and_answers_their_own_notices_and_nothing_else(server, held, ended):
    """They hold what has to be dropped, whatever became of the project."""
    with opened(server.folder) as s:
        projects_amended.name(s, "parcels", "rob")
        if ended:
            projects.change(s, "parcels", "suspend", reason="x")
        recording.withdraw(s, "S05" if ended else "S04")
        own, his = ([one.notice_id for one in notices.list_all(s) if one.ref == ref][-1] for ref in held[4:])
    listed = server.client.get("/v1/notices").json()["notices"]
    assert own in [one["notice"] for one in listed]
    assert his not in [one["notice"] for one in listed]
    assert server.client.get(f"/v1/notices/{own}").status_code == 200
    assert server.post(f"/v1/notices/{own}/ack", {"reason": "dropped"}).status_code == 204
    assert server.post(f"/v1/notices/{his}/ack", {"reason": "dropped"}).status_code == 403
    for path in ("/v1/releases", "/v1/requests", f"/v1/releases/{held[0]}", f"/v1/releases/{held[0]}/files/README.txt"):
        assert server.client.get(path).status_code == 403, path
    with opened(server.folder) as s:
        if ended:
            projects.change(s, "parcels", "approve")
        projects_amended.name(s, "parcels", "rita", "rob")


@pytest.mark.parametrize("scope", list(TokenScope))
def test_each_route_wants_its_scope(server, scope):
    with opened(server.folder) as s:
        token = as_(served.issue(s, "rita", scope, project="parcels"))
    looks = scope in (TokenScope.DOWNLOAD, TokenScope.ENGINE)
    assert server.client.get("/v1/notices", headers=token).status_code == (200 if looks else 403)
    answer = server.post("/v1/notices/ntc-0123456789abcdef/ack", {"reason": "x"}, **token)
    assert answer.status_code == 403


def test_the_log_of_it_all_holds(server):
    with opened(server.folder) as s:
        assert not verified(s).findings
