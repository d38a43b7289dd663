"""Engines over the wire: the same genotypes as in process, in the engine's name, within its token, and gone with a withdrawal."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from policies.token_scopes import TokenScope
from tests.support import served
from tests.support.vaults import FACTOR, opened, verified
from vault import gate
from vault.access import access_tokens
from vault.consent import recording

GENOTYPES = "/v1/projects/served/panels/pgx/genotypes"


def test_a_panel_over_the_wire_is_the_panel_in_process(server):
    answer = server.post(GENOTYPES, {"dataset": "cohort"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    with opened(server.folder) as s:
        view = gate.view(s, project="served", dataset="cohort", panel="pgx")
    assert body["calls"] == {name: view.calls_of(name) for name in view.pseudonyms}
    assert [(one["pos"], one["ref"], tuple(one["alts"])) for one in body["sites"]] == [
        (v.pos, v.ref, v.alts) for v in view.variants()
    ]
    assert server.client.get(f"/v1/receipts/{body['entry']}").status_code in (200, 202)


def test_some_people_are_rows_of_the_whole(server):
    whole = server.post(GENOTYPES, {"dataset": "cohort"}).json()
    two = sorted(whole["calls"])[:2]
    some = server.post(GENOTYPES, {"dataset": "cohort", "pseudonyms": [*two, "served-000000"]}).json()
    assert some["calls"] == {name: whole["calls"][name] for name in two}
    assert some["sites_id"] == whole["sites_id"]


def test_every_answer_has_its_entry_in_the_bearer_s_name(server):
    before = entries(server)
    server.post(GENOTYPES, {"dataset": "cohort"})
    new = [leaf for leaf in entries(server)[len(before) :] if leaf["act"].startswith("view.")]
    assert [(leaf["act"], leaf["outcome"]) for leaf in new] == [("view.read", "done")]
    for leaf in new:
        assert leaf["actor"] == {"kind": "service", "id": "service", "for": "rita"}
        assert {"role:researcher", "authn:token"} <= set(leaf["flags"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/projects/demo/panels/pgx/genotypes", {"dataset": "cohort"}),
        ("/v1/projects/nosuch/panels/pgx/genotypes", {"dataset": "cohort"}),
        ("/v1/projects/served/counts", {"dataset": "cohort", "kind": "counts", "alleles": ["22:1000:A:G"]}),
    ],
)
def test_another_s_project_no_project_and_what_it_does_not_declare_are_one_answer(server, path, body):
    answer = server.post(path, body)
    assert (answer.status_code, answer.json()["code"]) == (403, "refused")
    assert answer.headers["content-type"] == "application/problem+json"


def test_names_that_the_bearer_may_list_are_corrected(server):
    assert [one["name"] for one in server.client.get("/v1/projects/served/panels").json()["panels"]] == ["pgx"]
    assert [one["code"] for one in server.client.get("/v1/projects").json()["projects"]] == ["served"]
    answer = server.post("/v1/projects/served/panels/nosuch/genotypes", {"dataset": "cohort"})
    assert (answer.status_code, answer.json()["code"]) == (400, "panel_unknown")


def test_a_token_is_good_for_its_scopes_and_ends_at_once(server):
    with opened(server.folder) as s:
        reading, engine = served.issue(s, "rita", TokenScope.READ), served.issue(s, "rob", TokenScope.ENGINE)
    as_ = lambda token: {"Authorization": f"Bearer {token}"}  # noqa: E731 - used three times here
    assert server.post(GENOTYPES, {"dataset": "cohort"}, **as_(reading)).status_code == 403
    assert server.client.get("/v1/projects", headers=as_(engine)).status_code == 403
    assert server.post(GENOTYPES, {"dataset": "cohort"}, **as_(engine)).status_code == 200
    with opened(server.folder) as s:
        access_tokens.revoke(s, engine.split("_")[1])
    for token in (engine, "x", "gvt_x", reading[:-1] + "?"):
        answer = server.post(GENOTYPES, {"dataset": "cohort"}, **as_(token))
        assert (answer.status_code, answer.json()["code"]) == (401, "token_refused")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_at_once_asked_from_many_sides_everything_is_answered_and_the_log_holds(server):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.post(GENOTYPES, {"dataset": "cohort"}), range(24)))
    assert {answer.status_code for answer in answers} == {200}
    with opened(server.folder) as s:
        assert not verified(s).findings


def test_who_withdraws_is_in_no_later_answer(server):
    before = server.post(GENOTYPES, {"dataset": "cohort"}).json()
    with opened(server.folder) as s:
        recording.withdraw(s, "S09")
    after = server.post(GENOTYPES, {"dataset": "cohort"}).json()
    assert len(set(before["calls"]) - set(after["calls"])) == 1


def entries(server):
    with opened(server.folder, factor=FACTOR) as s:
        return [json.loads(entry.leaf) for entry in s.trail.log.entries(0)]
