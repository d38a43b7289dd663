"""Requests over the wire: asked in the bearer's name, seen and taken back by whom they are of, and by nobody else."""

from __future__ import annotations

import json

import pytest

from policies.token_scopes import TokenScope
from tests.support import served, vaults
from tests.support.vaults import opened, verified
from vault.access import access_tokens, requests
from vault.audit.receipt import Receipt

ASKED = {
    "format": "request/1",
    "project": "served",
    "dataset": "cohort",
    "loci": {"regions": ["22:1000-1200"]},
    "reason": "variants near a drug's target",
}
CANARY = "patient-0815"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asking")
    served.staffed(folder)
    with opened(folder / "v") as s:
        token = served.issue(s, "rita", TokenScope.REQUEST, TokenScope.READ)
        vaults.approve(s, "private", "cohort", people=["rita", "rob"])
    with served.serving(folder / "v", token=token) as it:
        yield it


def test_what_is_asked_is_a_request_of_the_bearer_with_its_entry_and_receipt(server):
    answer = server.post("/v1/requests", {**ASKED, "fields": ["genotypes"]})
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert (body["state"], body["submitted_by"], body["project"]) == ("approved", "rita", "served")
    assert body["regions"] == ["22:1000-1200"]
    assert answer.headers["location"] == f"/v1/requests/{body['request']}"
    assert server.client.get(answer.headers["location"]).json()["request"] == body["request"]
    leaf = entry(server, body["entry"])
    assert (leaf["act"], leaf["outcome"], leaf["req"]) == ("request.submit", "done", body["request"])
    assert leaf["actor"] == {"kind": "service", "id": "service", "for": "rita"}
    assert {"role:researcher", "authn:token"} <= set(leaf["flags"])
    assert "unsigned_file" not in leaf["flags"]
    receipt = server.client.get(f"/v1/receipts/{body['entry']}")
    while receipt.status_code == 202:
        assert receipt.json() == {"entry": body["entry"], "state": "unsigned"}
        assert receipt.headers["retry-after"]
        receipt = server.client.get(f"/v1/receipts/{body['entry']}")
    assert receipt.headers["content-type"].startswith("text/plain")
    assert json.loads(Receipt.from_text(receipt.text).extra) == leaf


def test_the_same_words_again_are_the_same_request_until_it_is_taken_back(server):
    asked = {**ASKED, "loci": {"regions": ["22:1000-1100"]}}
    first = server.post("/v1/requests", asked)
    again = server.post("/v1/requests", asked)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["request"] == first.json()["request"]
    back = server.post(f"/v1/requests/{first.json()['request']}/withdraw", {"reason": "asked too much"})
    assert (back.status_code, back.json()["state"]) == (200, "withdrawn")
    assert server.post("/v1/requests", asked).json()["request"] != first.json()["request"]
    assert server.post(f"/v1/requests/{first.json()['request']}/withdraw", {"reason": "again"}).status_code == 403


def test_two_people_may_ask_the_same_and_see_their_own(server):
    asked = {**ASKED, "loci": {"regions": ["22:1000-1150"]}}
    with opened(server.folder) as s:
        rob = as_(served.issue(s, "rob", TokenScope.REQUEST))
    mine, his = server.post("/v1/requests", asked), server.post("/v1/requests", asked, **rob)
    assert (mine.status_code, his.status_code) == (201, 201)
    ids = {one["request"] for one in server.client.get("/v1/requests").json()["requests"]}
    assert mine.json()["request"] in ids
    assert his.json()["request"] not in ids
    for request in (his.json()["request"], "r-0000000000", "nosuch", "..", "%2e%2e"):
        for answer in (
            server.client.get(f"/v1/requests/{request}"),
            server.post(f"/v1/requests/{request}/withdraw", {"reason": "x"}),
        ):
            assert answer.status_code in (400, 403, 404, 405), request
            assert CANARY not in answer.text
    assert server.client.get(f"/v1/receipts/{his.json()['entry']}").json()["code"] == "refused"


def test_what_a_steward_submitted_for_the_bearer_is_theirs_to_see(server):
    with opened(server.folder) as s:
        spec = requests.Spec(regions=("22:1-1200",), submitted_for="rita")
        own = requests.submit(s, "served", "cohort", kind=requests.RequestKind.RECORDS, spec=spec).request_id
        other = vaults.ask(s, project="private")
    assert server.client.get(f"/v1/requests/{own}").status_code == 200
    assert server.client.get(f"/v1/requests/{other}").json()["code"] == "refused"
    assert refusals(server)[-1] == ("request.show", "not_yours")


def test_lists_are_given_in_pages(server, monkeypatch):
    first = server.client.get("/v1/requests").json()
    assert [one["created"] for one in first["requests"]] == sorted((one["created"] for one in first["requests"]), reverse=True)
    assert first["next"] is None
    behind = server.client.get("/v1/requests", params={"before": first["requests"][0]["request"]}).json()
    assert behind["requests"] == first["requests"][1:]
    assert server.client.get("/v1/requests", params={"before": "r-nosuch"}).json()["code"] == "refused"


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"project": "private"}, 403, "refused"),
        ({"project": "nosuch"}, 403, "refused"),
        ({"for": "rob"}, 403, "refused"),
        ({"dataset": "other"}, 400, "dataset_unknown"),
        ({"dataset": "nosuch"}, 400, "dataset_unknown"),
        ({"loci": {"panel": "nosuch"}}, 400, "panel_unknown"),
        ({"loci": {"regions": ["77:1-5"]}}, 400, "contig_not_held"),
        ({"loci": {}}, 400, "document_rejected"),
        ({"loci": {"regions": [CANARY + ":x"]}}, 400, "document_rejected"),
        ({"reason": ""}, 400, "body_malformed"),
        ({"patient": CANARY}, 400, "body_malformed"),
        ({"kind": "counts", "loci": {"alleles": ["22:1000:A:G"]}}, 403, "refused"),
    ],
)
def test_a_request_that_is_none_or_not_the_bearer_s_is_answered_small(server, changed, status, code):
    answer = server.post("/v1/requests", {**ASKED, **changed})
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == code
    assert CANARY not in answer.text
    assert len(answer.content) < 600


@pytest.mark.parametrize("scope", list(TokenScope))
def test_each_route_wants_its_scope_and_a_token_without_it_leaves_an_entry(server, scope):
    with opened(server.folder) as s:
        token = as_(served.issue(s, "rita", scope))
    looks = scope in (TokenScope.REQUEST, TokenScope.READ, TokenScope.EXTRACT)
    assert server.client.get("/v1/requests", headers=token).status_code == (200 if looks else 403)
    before = len(refusals(server))
    answer = server.post("/v1/requests", {**ASKED, "reason": f"by {scope}"}, **token)
    assert answer.status_code == (201 if scope is TokenScope.REQUEST else 403)
    assert refusals(server)[before:] == ([] if scope is TokenScope.REQUEST else [("request.submit", "scope_missing")])
    budgets = scope in (TokenScope.REQUEST, TokenScope.READ, TokenScope.ENGINE)
    assert server.client.get("/v1/budgets", headers=token).status_code == (200 if budgets else 403)


def test_budgets_are_those_of_the_token_s_project(server):
    body = server.client.get("/v1/budgets").json()
    assert body["project"] == "served"
    assert {one["scope"] for one in body["budgets"]} == {"project", "organisation", "world"}
    assert all(one["left"] == one["cap"] - one["spent"] for one in body["budgets"])


def test_receipts_are_of_what_was_done_for_the_bearer_alone(server):
    with opened(server.folder) as s:
        leaves = [json.loads(one.leaf) for one in s.trail.log.entries(0)]
    theirs = [i for i, leaf in enumerate(leaves) if leaf["actor"].get("for") != "rita"]
    refused = [i for i, leaf in enumerate(leaves) if leaf["outcome"] == "refused" and leaf["actor"].get("for") == "rita"]
    for number in (theirs[0], theirs[-1], refused[-1], len(leaves) + 1_000):
        assert server.client.get(f"/v1/receipts/{number}").json()["code"] == "refused", number
    for number in ("-1", "x", "9" * 40, "1e3"):
        assert server.client.get(f"/v1/receipts/{number}").status_code == 400


def test_a_token_that_is_revoked_asks_nothing_more(server):
    with opened(server.folder) as s:
        token = served.issue(s, "rita", TokenScope.REQUEST)
        access_tokens.revoke(s, token.split("_")[1])
    assert server.client.get("/v1/requests", headers=as_(token)).json()["code"] == "token_refused"
    assert server.post("/v1/requests", ASKED, **as_(token)).status_code == 401


def test_the_log_of_it_all_holds(server):
    with opened(server.folder) as s:
        assert not verified(s).findings


def as_(token):
    return {"Authorization": f"Bearer {token}"}


def entry(server, number):
    with opened(server.folder) as s:
        return json.loads(s.trail.log.entry(number).leaf)


def refusals(server):
    with opened(server.folder) as s:
        leaves = [json.loads(one.leaf) for one in s.trail.log.entries(0)]
    return [(leaf["act"], *leaf["reasons"]) for leaf in leaves if leaf["outcome"] == "refused"]
